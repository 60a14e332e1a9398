"""When a job is due next, given what keeps it from firing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kadence.domain.job import Fitness, Operator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kadence.domain.job import Job
    from kadence.domain.spec import Timing


def next_due(job: Job, timing: Timing, now: int) -> int | None:
    """The first due time (ms) of ``job`` that will fire after ``now``; None where nothing known will let one.

    Pauses with an end and holds with an end are looked past, holds that begin later are foreseen.
    """
    if job.finished or job.fitness is not Fitness.CLOSED:
        return None
    windows = list(_windows(job))
    after = max(now - timing.delay, job.floor)
    # Each step looks past the end of one window for good, so there are no more steps than windows.
    for _ in range(len(windows) + 1):
        due = timing.next_after(after)
        if due is None:
            return None
        instant = due + timing.delay
        ends = [end for start, end in windows if start <= instant and (end is None or instant < end)]
        if not ends:
            return due
        known = [end for end in ends if end is not None]
        if len(known) < len(ends):
            return None
        after = max(known) - timing.delay - 1
    return None


def _windows(job: Job) -> Iterator[tuple[int, int | None]]:
    """[start, end) of firing instants that are kept; None: no end is known."""
    if job.pause is not None and job.operator is Operator.PAUSED:
        yield job.pause.since, job.pause.until
    for applied in job.holds:
        if not applied.ended:
            yield max(applied.since, applied.hold.start or 0), applied.hold.end
