"""What became of written records, told one line each, and the exit code that follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from kadence.cli.output import note, print_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kadence.cli.values import Output
    from kadence.client import Written

NOT_FOUND: Final = 3
REJECTED: Final = 4
NOT_CONFIRMED: Final = 5
_EACH: Final = 20


def written_document(written: Written) -> dict[str, object]:
    """A record's fate as JSON."""
    return {
        "kind": written.kind,
        "name": written.name,
        "offset": written.offset,
        "fate": written.fate,
        "error": written.error,
        "found": written.found,
    }


def report(
    written: Sequence[Written], done: str, output: Output, *, wait: int, missing: Callable[[str], str] | None = None
) -> None:
    """Say what became of each record (``done`` is the verb's past tense) and leave with the exit code.

    ``missing`` phrases that there was no such job or hold. More than a screenful is summed up.
    """
    if output == "json":
        print_json([written_document(one) for one in written])
    else:
        _tell(written, done, missing, waited=wait > 0)
    rejected(written)
    if wait > 0 and any(one.fate == "recorded" for one in written):
        raise click.exceptions.Exit(NOT_CONFIRMED)


def rejected(written: Sequence[Written]) -> None:
    """Say which records were rejected and why; leave with the exit code if there is any."""
    found = [one for one in written if one.fate == "rejected"]
    for one in found:
        before = "" if one.kind == "trigger" else "; what was in force before still is"
        note(f"{one.kind} {one.name} was rejected at offset {one.offset}: {one.error}{before}")
    if found:
        raise click.exceptions.Exit(REJECTED)


def _tell(written: Sequence[Written], done: str, missing: Callable[[str], str] | None, *, waited: bool) -> None:
    fate = "in force once a worker runs" if waited else "not waited for"
    by_fate = {each: [one for one in written if one.fate == each] for each in ("in_force", "recorded")}
    for one in by_fate["in_force"] if len(by_fate["in_force"]) <= _EACH else []:
        absent = f"; {missing(one.name)}" if missing is not None and one.found is False else ""
        click.echo(f"{done} {one.name}: in force{absent}")
    if len(by_fate["in_force"]) > _EACH:
        click.echo(f"{done} {len(by_fate['in_force'])} jobs: in force")
    for one in by_fate["recorded"][:_EACH]:
        click.echo(f"{done} {one.name}: recorded at offset {one.offset}, {fate}")
    if len(by_fate["recorded"]) > _EACH:
        last = by_fate["recorded"][-1].offset
        click.echo(f"… {done} {len(by_fate['recorded'])} jobs in all: recorded up to offset {last}")
