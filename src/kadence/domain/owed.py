"""What a job still owes: ranges of due times that the cursor does not settle, oldest first, and running them in turn.

They come of pauses, holds and outages, and go with whoever lifts those or as they run. `settle` decides which due
times are owed; here they are only kept in order, and within bounds, as they all stand in the job's state record.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import replace
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from kadence.domain import launch
from kadence.domain.job import Owed, Stage

if TYPE_CHECKING:
    from kadence.domain.book import Book
    from kadence.domain.job import Job
    from kadence.domain.spec import Timing

MOST_REMEMBERED: Final = 128 * 1024
"""Bytes that what a job owes may take: its state record, which may hold a spec, too, must stay below Kafka's 1 MB."""
_RANGE: Final = 150
"""Bytes of a range, but for its schedule."""
_SHARE: Final = 100
"""How many owed due times of one job run before the next job's: no backlog starves another."""
_low = attrgetter("low")


def owe(book: Book, job: Job, owed: Owed) -> None:
    """Remember due times that are still to be decided or run; a range that continues another one extends it."""
    if owed.low >= owed.high:
        return
    first = owed.timing.next_after(owed.low)
    if first is None or first > owed.high:
        return
    index = bisect_right(job.owed, owed.low, key=_low)
    before, after = job.owed[:index], job.owed[index:]
    if before and _continues(before[-1], owed, first):
        before, owed = before[:-1], replace(before[-1], high=owed.high)
    job.owed = (*before, owed, *after)
    book.owing[job.name] = job
    book.dirty(job)


def _continues(former: Owed, owed: Owed, first: int) -> bool:
    """Whether no due time lies between the two, so that one range says it all."""
    alike = (former.timing, former.stage) == (owed.timing, owed.stage)
    return alike and former.high <= owed.low and former.timing.next_after(former.high) == first


def take(book: Book, job: Job, stage: Stage) -> list[Owed]:
    """Take the ranges of one stage off a job, to decide about them anew."""
    taken = [owed for owed in job.owed if owed.stage is stage]
    if taken:
        job.owed = tuple(owed for owed in job.owed if owed.stage is not stage)
        book.dirty(job)
    return taken


def weight_with(job: Job, timing: Timing) -> int:
    """Bytes that remembering what the job owes would take if due times of ``timing`` came to it."""
    timings = [one for one, _ in groupby(owed.timing for owed in job.owed)]
    added = 0 if timings and timings[-1] == timing else _weight(timing)
    return sum(_weight(one) for one in timings) + added + _RANGE * (len(job.owed) + 1)


@lru_cache(maxsize=4096)
def _weight(timing: Timing) -> int:
    return len(json.dumps(timing.document()))


def run_owed(book: Book, limit: int) -> int:
    """Run owed due times, oldest first and turn by turn over the jobs; returns how many (at most ``limit``)."""
    done = 0
    for name in list(book.owing):
        if done >= limit:
            break
        job = book.owing.pop(name)
        done += _run_owed_of(book, job, min(_SHARE, limit - done))
        if job.owed:
            book.owing[name] = job
    return done


def _run_owed_of(book: Book, job: Job, limit: int) -> int:
    if not _can_run(book, job):
        return 0
    done, left = 0, []
    if job.serial:  # the next one when this one is over
        limit = 1
    for owed in job.owed:
        position, due = owed.low, owed.timing.next_after(owed.low)
        if owed.stage is Stage.RUNNING:
            while due is not None and due <= owed.high and done < limit:
                launch.fire(book, job, due, "catch_up")
                done += 1
                position, due = due, owed.timing.next_after(due)
        if due is not None and due <= owed.high:
            left.append(owed if position == owed.low else replace(owed, low=position))
    job.owed = tuple(left)
    book.dirty(job)
    return done


def can_run_owed(book: Book) -> bool:
    """Whether a tick would run something that is owed."""
    return any(_can_run(book, job) for job in book.owing.values())


def _can_run(book: Book, job: Job) -> bool:
    runs = any(owed.stage is Stage.RUNNING for owed in job.owed)
    if job.serial and job.occupied(book.now) is not None:
        return False
    return runs and not (job.blocked and job.kept_now(book.now))
