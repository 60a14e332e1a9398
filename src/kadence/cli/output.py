"""What commands print: aligned text for people, JSON for programs; data on stdout, everything else on stderr."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_COLOURS: Final[Mapping[str, str]] = {
    "running": "green",
    "active": "yellow",
    "paused": "yellow",
    "pending": "yellow",
    "errored": "red",
    "rejected": "red",
    "finished": "bright_black",
}
_GAP: Final = "  "


def print_json(value: object) -> None:
    """One JSON document."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell. Colour is for terminals only: click takes it out of pipes."""
    widths = [max(len(row[column]) for row in (headings, *rows)) for column in range(len(headings))]
    for row in (headings, *rows):
        cells = [_coloured(cell.ljust(width), cell) for cell, width in zip(row[:-1], widths, strict=False)]
        click.echo(_GAP.join([*cells, _coloured(row[-1], row[-1])]).rstrip())


def _coloured(text: str, word: str) -> str:
    return click.style(text, fg=_COLOURS[word]) if word in _COLOURS else text


def print_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Names and values, the values aligned; those that are empty are left out."""
    shown = [(name, value) for name, value in pairs if value]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        first, *more = value.splitlines()
        click.echo(f"{name.ljust(width)}  {_coloured(first, first)}")
        for line in more:
            click.echo(f"{' ' * width}  {line}")


def note(message: str) -> None:
    """Something a person should know that is not the data asked for."""
    click.echo(f"kadence: {message}", err=True)


def schedule_text(schedule: object) -> str:
    """A schedule document in a few words."""
    match schedule:
        case {"cron": cron, "timezone": zone} if zone != "UTC":
            return f"{cron} {zone}"
        case {"cron": cron}:
            return f"{cron}"
        case {"every": every}:
            return f"every {every}s" if isinstance(every, int | float) else f"every {every}"
        case {"at": at}:
            return f"at {at}"
        case list():
            return " | ".join(schedule_text(one) for one in schedule)
        case _:
            return "-"
