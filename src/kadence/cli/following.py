"""Following runs: each attempt as it ends, as rows or as JSON lines, until Ctrl-C."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from kadence.cli.output import note, print_json_line, print_rows
from kadence.cli.runtable import HEADINGS, live_widths, row
from kadence.errors import UnreachableError
from kadence.view.documents import run_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kadence.cli.context import Invocation
    from kadence.client import Client
    from kadence.view import JobView
    from kadence.view.runlog import RunLog
    from kadence.view.runs import RunView

_WAIT: Final = 1.0  # seconds; how soon Ctrl-C is heard
_SILENT: Final = 5
"""After so many waits without news it is asked whether there is anybody to tell any."""


class Printer(Protocol):
    """Shows runs as they come."""

    def show(self, runs: Sequence[RunView]) -> None:
        """These, too."""


class Lines:
    """One JSON object a line."""

    def __init__(self, shown: Iterable[RunView]) -> None:
        """``shown``: what there was before."""
        self.show(tuple(shown))

    def show(self, runs: Sequence[RunView]) -> None:
        """Print them."""
        for run in runs:
            print_json_line(run_document(run))


class Rows:
    """Rows of a table."""

    def __init__(
        self,
        invocation: Invocation,
        client: Client,
        names: Sequence[str],
        shown: Sequence[RunView],
        jobs: Mapping[str, JobView],
    ) -> None:
        """``shown``: what there was before, ``jobs`` what is known of the jobs of it."""
        self._client, self._clock = client, invocation.clock
        rows = [row(run, jobs, self._clock.wall()) for run in shown]
        self._columns = live_widths(rows, names)
        print_rows(self._columns, [HEADINGS, *rows])

    def show(self, runs: Sequence[RunView]) -> None:
        """Print them."""
        jobs = self._jobs({run.job for run in runs if run.next_at is not None})
        print_rows(self._columns, [row(run, jobs, self._clock.wall()) for run in runs])

    def _jobs(self, names: set[str]) -> Mapping[str, JobView]:
        try:
            return self._client.known(names) if names else {}
        except UnreachableError:  # whoever follows is told so, if it lasts
            return {}


def follow_runs(runs: RunLog, printer: Printer, *, failed: bool) -> None:
    """Show what ends until Ctrl-C, which is raised. Says once that no broker answers, and that one does again."""
    silent, gone = 0, False
    try:
        while True:
            found = runs.poll(_WAIT)
            printer.show([run for run in found if run.failed or not failed])
            silent = 0 if found else silent + 1
            if silent >= _SILENT or gone:
                silent, was_gone = 0, gone
                gone = not runs.answers()
                if gone != was_gone:
                    note("no broker answers; waiting for one" if gone else "a broker answers again")
    finally:
        printer.show([run for run in runs.kept_back() if run.failed or not failed])
