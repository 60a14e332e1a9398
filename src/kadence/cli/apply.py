"""The verb `apply`: jobs from files. Everything is checked before anything is written."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kadence.cli.context import Invocation, connection_options
from kadence.cli.jobfiles import STDIN, files_of, read_entries
from kadence.cli.output import note, print_json
from kadence.cli.report import report
from kadence.cli.typos import hint_at_errored
from kadence.cli.values import output_option, reason_option, wait_options
from kadence.client import commands
from kadence.client.unheeded import unheeded
from kadence.errors import InvalidSpecError
from kadence.log.topics import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kadence.cli.jobfiles import Entry
    from kadence.cli.values import Output
    from kadence.client import Command


@click.command
@click.option(
    "-f", "--file", "places", multiple=True, required=True, metavar="FILE|DIR|-", help="YAML or JSON; may be repeated."
)
@click.option("--dry-run", is_flag=True, help="Check the files and write nothing; no broker is needed.")
@reason_option
@wait_options
@output_option
@connection_options
@click.pass_obj
def apply_command(
    invocation: Invocation,
    places: tuple[str, ...],
    dry_run: bool,  # noqa: FBT001  click passes options by position or name as it likes
    reason: str | None,
    wait: int,
    output: Output,
) -> None:
    """Create or change jobs from files. Whether a job is paused is not touched."""
    entries = [entry for place in places for entry in _read(place)]
    _check_names(entries)
    if not entries:
        given = ", ".join("standard input" if place == STDIN else place for place in places)
        raise InvalidSpecError(f"there is no job in {given}; nothing was written")
    settings = invocation.settings()
    if dry_run:
        wanted = _checked(entries, settings.namespace, commands.NOBODY)
        _warn(wanted)
        if output == "json":
            print_json([{"kind": "job", "name": one.name, "fate": "checked"} for one in wanted])
        else:
            click.echo(f"{counted(len(entries), 'job')} would be applied; nothing was written")
        return
    with invocation.client() as client:
        wanted = _checked(entries, client.namespace, commands.Signature(client.by, reason))
        done = client.submit(wanted, wait=wait / 1000)
        _warn(wanted)
        report(done, "applied", output, wait=wait)
        if wait > 0:
            hint_at_errored(client, done)


def _warn(wanted: Iterable[Command]) -> None:
    for sentence in unheeded(wanted):
        note(f"warning: {sentence}")


def _read(place: str) -> Iterable[Entry]:
    if place == STDIN:
        return read_entries(sys.stdin.read(), "standard input")
    found: list[Entry] = []
    for path in files_of(Path(place)):
        try:
            found += read_entries(path.read_text("utf-8"), str(path))
        except OSError as error:
            raise InvalidSpecError(f"{path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise InvalidSpecError(f"{path} is not UTF-8 text (byte {error.start})") from error
    return found


def _check_names(entries: list[Entry]) -> None:
    seen: dict[str, str] = {}
    for entry in entries:
        if entry.name in seen:
            raise InvalidSpecError(f"{entry.where}: job {entry.name} is defined twice, first at {seen[entry.name]}")
        seen[entry.name] = entry.where


def _checked(entries: list[Entry], namespace: str, signature: commands.Signature) -> list[Command]:
    """Every entry as the record it becomes; the first that is not valid names its place."""
    found: list[Command] = []
    for entry in entries:
        try:
            found.append(commands.put(entry.name, entry.spec, namespace, signature))
        except InvalidSpecError as error:
            raise InvalidSpecError(f"{entry.where}: {error}; nothing was written") from error
    return found
