"""The verb `runs`: how runs went, and with ``--follow`` how they go."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import click

from kadence.cli.context import Invocation, connection_options
from kadence.cli.output import note, print_json, print_json_line, print_rows, print_table, widths
from kadence.cli.values import DURATION, output_option
from kadence.domain.duration import format_duration, format_time
from kadence.domain.run import RunStatus
from kadence.log.topics import counted
from kadence.view.documents import run_document, time_text
from kadence.view.runlog import RunLog, is_glob

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kadence.cli.values import Output
    from kadence.client import Client
    from kadence.view.runs import RunView

_HEADINGS: Final = ("RUN", "STATUS", "ATTEMPTS", "STARTED", "DURATION", "EXECUTOR", "ERROR")
_WAIT: Final = 1.0  # seconds; how soon Ctrl-C is heard
_SECOND: Final = 1_000
_MINUTE: Final = 60_000


@click.command
@click.argument("names", nargs=-1, metavar="[NAME…|GLOB…]")
@click.option("--failed", is_flag=True, help="Only runs that failed, timed out or were lost.")
@click.option("--since", type=DURATION, default="1h", show_default=True, help="Those heard of since so long ago.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="The newest so many.")
@click.option("--follow", is_flag=True, help="Then show attempts as they end, until Ctrl-C.")
@output_option
@connection_options
@click.pass_obj
def runs_command(
    invocation: Invocation,
    *,
    names: tuple[str, ...],
    failed: bool,
    since: int,
    limit: int,
    follow: bool,
    output: Output,
) -> None:
    """Show how runs went, the newest last: status, attempts, duration, error; those under way, too."""
    now = invocation.clock.wall()
    with invocation.client() as client, client.run_log(names, since=max(0, now - since)) as runs:
        found = [run for run in runs.recent() if run.failed or not failed]
        shown = found[-limit:]
        if len(found) > limit:
            note(f"the newest {limit} of {len(found)} runs are shown; --limit N shows more")
        if runs.unreadable:
            note(f"left out {counted(runs.unreadable, 'record')} of {client.namespace}.outcomes: not about a run")
        if follow:
            with suppress(KeyboardInterrupt):  # which is how it ends
                _follow(invocation, runs, shown, failed=failed, output=output)
            return
        if output == "json":
            print_json([run_document(run) for run in shown])
        else:
            print_table(_HEADINGS, [_row(run, now) for run in shown])
        _explain_silence(client, names, found, now - since, kind="failed run" if failed else "run")


def _follow(invocation: Invocation, runs: RunLog, shown: Sequence[RunView], *, failed: bool, output: Output) -> None:
    rows = [_row(run, invocation.clock.wall()) for run in shown]
    columns = widths(_HEADINGS, rows)
    if output == "json":
        _print_lines(shown)
    else:
        print_rows(columns, [_HEADINGS, *rows])

    def tell(found: Sequence[RunView]) -> None:
        news = [run for run in found if run.failed or not failed]
        if output == "json":
            _print_lines(news)
        else:
            print_rows(columns, [_row(run, invocation.clock.wall()) for run in news])

    try:
        while True:
            tell(runs.poll(_WAIT))
    finally:
        tell(runs.kept_back())


def _print_lines(runs: Iterable[RunView]) -> None:
    for run in runs:
        print_json_line(run_document(run))


def _row(run: RunView, now: int) -> tuple[str, ...]:
    again = "" if run.next_at is None else f"again at {format_time(run.next_at)}"
    return (
        run.run,
        run.status,
        str(run.attempts),
        time_text(run.started_at) or "-",
        _length(run, now),
        run.executor or "-",
        "; ".join(part for part in (run.error, again) if part),
    )


def _length(run: RunView, now: int) -> str:
    if run.duration is not None:
        return duration_text(run.duration)
    if run.status is RunStatus.STARTED and run.started_at is not None:
        return f"{duration_text(max(0, now - run.started_at))} so far"
    return "-"


def duration_text(duration: int) -> str:
    """A duration (ms) as a person wants it: ``250ms``, ``1.2s``, ``3m20s``."""
    if duration < _SECOND:
        return f"{duration}ms"
    return f"{duration / _SECOND:.1f}s" if duration < _MINUTE else format_duration(duration // _SECOND * _SECOND)


def _explain_silence(client: Client, names: Sequence[str], found: Sequence[RunView], since: int, *, kind: str) -> None:
    """Say of which jobs there is nothing; one that does not exist is an error."""
    silent = [name for name in dict.fromkeys(names) if not is_glob(name) and all(run.job != name for run in found)]
    for name in silent:
        client.get(name)
        note(f"job {name} had no {kind} since {format_time(since)}; --since DURATION looks further back")
