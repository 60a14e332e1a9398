"""What commands print: aligned text for people, JSON for programs; data on stdout, everything else on stderr."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_COLOURS: Final[Mapping[str, str]] = {
    "running": "green",
    "active": "yellow",
    "paused": "yellow",
    "pending": "yellow",
    "errored": "red",
    "rejected": "red",
    "finished": "bright_black",
    "succeeded": "green",
    "started": "yellow",
    "snoozed": "yellow",
    "failed": "red",
    "timed_out": "red",
    "lost": "red",
}
_GAP: Final = "  "


def print_json(value: object) -> None:
    """One JSON document."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_json_line(value: object) -> None:
    """One JSON document in one line."""
    click.echo(json.dumps(value, ensure_ascii=False))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell. Colour is for terminals only: click takes it out of pipes."""
    print_rows(widths(headings, rows), (headings, *rows))


def widths(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """How wide each column of a table is."""
    return [max(len(row[column]) for row in (headings, *rows)) for column in range(len(headings))]


def print_rows(columns: Sequence[int], rows: Iterable[Sequence[str]]) -> None:
    """Rows of a table, each as soon as it is there; a cell that is wider than its column moves what follows."""
    for row in rows:
        words = [printable(cell) for cell in row]
        cells = [_coloured(word.ljust(width), word) for word, width in zip(words[:-1], columns, strict=False)]
        click.echo(_GAP.join([*cells, _coloured(words[-1], words[-1])]).rstrip())


def printable(text: str) -> str:
    """A text from a record as one line that does nothing to a terminal."""
    return text if text.isprintable() else "".join(each if each.isprintable() else " " for each in text)


def _coloured(text: str, word: str) -> str:
    return click.style(text, fg=_COLOURS[word]) if word in _COLOURS else text


def print_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Names and values, the values aligned; those that are empty are left out."""
    shown = [(name, value) for name, value in pairs if value]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        first, *more = [printable(line) for line in value.splitlines()] or [""]
        click.echo(f"{name.ljust(width)}  {_coloured(first, first)}".rstrip())
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
