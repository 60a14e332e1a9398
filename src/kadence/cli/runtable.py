"""Runs as rows of a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kadence.cli.output import widths
from kadence.domain.duration import format_duration, format_time
from kadence.domain.firing import read_firing
from kadence.domain.run import RunStatus
from kadence.view.documents import time_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kadence.view import JobView
    from kadence.view.runs import RunView

HEADINGS: Final = ("RUN", "STATUS", "ATTEMPTS", "STARTED", "DURATION", "EXECUTOR", "NEXT", "ERROR")
_AGAIN: Final = "when the job runs again"
_TIME: Final = len("@2026-11-23T09:00:00Z")
_WIDTHS: Final = (3, 9, 8, 24, 12, 16, len("again at ") + 24, 5)
"""What rows that are yet to come are likely to need."""
_LONG_NAME: Final = 20
_SECOND: Final = 1_000
_MINUTE: Final = 60_000


def row(run: RunView, jobs: Mapping[str, JobView], now: int) -> tuple[str, ...]:
    """One run; ``jobs``: those known that a run which is to be fired again may wait for."""
    return (
        run.run,
        run.status,
        str(run.attempts),
        time_text(run.started_at) or "-",
        _length(run, now),
        run.executor or "-",
        _next(run, jobs.get(run.job)),
        run.error or "",
    )


def live_widths(rows: Sequence[Sequence[str]], names: Sequence[str]) -> list[int]:
    """How wide columns should be to which rows are added later; ``names``: the jobs asked for, if any were."""
    run = max(map(len, names), default=_LONG_NAME) + _TIME
    return [max(pair) for pair in zip(widths(HEADINGS, rows), (run, *_WIDTHS[1:]), strict=True)]


def _length(run: RunView, now: int) -> str:
    if run.duration is not None:
        return duration_text(run.duration)
    if run.open and run.status is RunStatus.STARTED and run.started_at is not None:
        return f"{duration_text(max(0, now - run.started_at))} so far"
    if run.open and run.status is RunStatus.FIRED and run.fired_at is not None:
        return f"waits {duration_text(max(0, now - run.fired_at))}"
    return "-"


def _next(run: RunView, job: JobView | None) -> str:
    if run.next_at is None:
        return "-"
    firing = read_firing(run.run)
    stopped = job is not None and job.state in {"paused", "errored"}
    if stopped and not (firing is not None and firing.probe):
        return _AGAIN
    return f"again at {format_time(run.next_at)}"


def duration_text(duration: int) -> str:
    """A duration (ms) as a person wants it: ``250ms``, ``1.2s``, ``3m20s``."""
    if duration < _SECOND:
        return f"{duration}ms"
    return f"{duration / _SECOND:.1f}s" if duration < _MINUTE else format_duration(duration // _SECOND * _SECOND)
