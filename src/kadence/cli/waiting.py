"""Why nothing is heard of runs: hints on stderr, where there is somebody to ask."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from kadence.cli.output import note
from kadence.domain.duration import format_time
from kadence.domain.run import RunStatus
from kadence.handlers.specs import APP_HEADER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kadence.view import JobView
    from kadence.view.runs import RunView

PATIENCE: Final = 30_000
"""How long (ms) a run may have been fired without anybody's having begun it."""
_EACH: Final = 5


def waiting(runs: Iterable[RunView], now: int) -> list[RunView]:
    """Those that were fired and that nobody has begun for so long."""
    return [
        run
        for run in runs
        if run.open and run.status is RunStatus.FIRED and run.fired_at is not None and now - run.fired_at > PATIENCE
    ]


def hint_at_waiting(runs: Iterable[RunView], jobs: Mapping[str, JobView]) -> None:
    """Say of which app no executor seems to run, and of which jobs nobody reports."""
    by_app: dict[str | None, list[RunView]] = defaultdict(list)
    for run in runs:
        by_app[_app(jobs.get(run.job))].append(run)
    for app, found in by_app.items():
        count = "1 run waits" if len(found) == 1 else f"{len(found)} runs wait"
        since = format_time(min(run.fired_at or run.at for run in found))
        names = sorted({run.job for run in found})
        if app is not None:
            note(f"{count} since {since}: is an executor of app {app} running?")
        else:
            note(f"{count} since {since}: {_named(names)} runs that nobody reports on")


def hint_at_silence(jobs: Iterable[JobView], since: int, now: int) -> None:
    """The same of jobs of whose runs nothing at all is known, though they were due."""
    by_app: dict[str | None, list[str]] = defaultdict(list)
    for job in jobs:
        if job.heard is not None and now - job.heard <= 2 * PATIENCE and _was_due(job, since, now):
            by_app[_app(job)].append(job.name)
    for app, names in by_app.items():
        asked = "" if app is None else f": is an executor of app {app} running?"
        note(f"{_named(names)} runs that nobody reports on{asked}")


def _was_due(job: JobView, since: int, now: int) -> bool:
    if job.spec is None or job.own is None or job.state != "running":
        return False
    due = job.spec.timing.next_after(max(since, job.own.created_at, job.own.resumed_at))
    return due is not None and due + job.spec.timing.delay < now - PATIENCE


def _app(job: JobView | None) -> str | None:
    return None if job is None or job.spec is None else dict(job.spec.target.headers).get(APP_HEADER)


def _named(names: list[str]) -> str:
    if len(names) == 1:
        return f"job {names[0]} has"
    more = f" and {len(names) - _EACH} more" if len(names) > _EACH else ""
    return f"jobs {', '.join(names[:_EACH])}{more} have"
