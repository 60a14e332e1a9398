"""The verb `runs`: how runs went, and with ``--follow`` how they go."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import click

from kadence.cli.context import Invocation, connection_options
from kadence.cli.following import Lines, Rows, follow_runs
from kadence.cli.output import note, print_json, print_table
from kadence.cli.runtable import HEADINGS, row
from kadence.cli.signs import warn_of_silence
from kadence.cli.values import DURATION, output_option
from kadence.cli.waiting import hint_at_silence, hint_at_waiting, waiting
from kadence.domain.duration import format_time
from kadence.log.topics import counted
from kadence.view.documents import run_document
from kadence.view.runlog import is_glob

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kadence.cli.values import Output
    from kadence.client import Client
    from kadence.view import JobView
    from kadence.view.runs import RunView


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
        heard = runs.recent()
        found = [run for run in heard if run.failed or not failed]
        shown = found[-limit:]
        quiet = _quiet(client, names, found)  # raises where one is no job: before anything is shown
        if len(found) > limit:
            note(f"the newest {limit} of {len(found)} runs are shown; --limit N shows more")
        if runs.unreadable:
            note(f"left out {counted(runs.unreadable, 'record')} of {client.namespace}.outcomes: not about a run")
        for job in () if follow else quiet:
            kind = "failed run" if failed else "run"
            note(f"job {job.name} had no {kind} since {format_time(now - since)}; --since DURATION looks further back")
        late = waiting(heard, now)
        wanted = {run.job for run in late} | {run.job for run in shown if run.next_at is not None}
        jobs = client.known(wanted) if wanted else {}
        hint_at_waiting(late, jobs)
        if not heard:
            silent = quiet if names else client.list(names=names)
            warn_of_silence(silent, client.namespace, now)
            hint_at_silence(silent, now - since, now)
        if follow:
            printer = Lines(shown) if output == "json" else Rows(invocation, client, names, shown, jobs)
            with suppress(KeyboardInterrupt):  # which is how it ends
                follow_runs(runs, printer, failed=failed)
        elif output == "json":
            print_json([run_document(run) for run in shown])
        else:
            print_table(HEADINGS, [row(run, jobs, now) for run in shown])


def _quiet(client: Client, names: Sequence[str], found: Sequence[RunView]) -> list[JobView]:
    """The jobs that were named and of which there is nothing; raises `NotFoundError` for one that is none."""
    heard = {run.job for run in found}
    return [client.get(name) for name in dict.fromkeys(names) if not is_glob(name) and name not in heard]
