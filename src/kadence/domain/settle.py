"""Judging due times: late, missed, kept by a pause, or owed. The only place that decides what becomes of one.

A due time with firing instant i, judged at ``now``, is
- *late*, and fires, when i is at most the job's grace ago;
- *missed*, and left to the job's catch-up policy, when it is older;
- *kept*, when a pause, hold or trouble covers i: whoever lifts it decides (`lift`);
- *waiting*, when nothing covers i but something keeps the job now.
What several keep is decided by the last of them, so that releasing a hold gives a paused job back exactly as it was.
All ranges of due times here are (low, high], as the settled part of a job's life ends with a due time.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING

from kadence.domain import launch
from kadence.domain.duration import format_time
from kadence.domain.job import Owed, Stage, seen
from kadence.domain.owed import owe, take

if TYPE_CHECKING:
    from kadence.domain.book import Book
    from kadence.domain.duetimes import Count
    from kadence.domain.job import Job
    from kadence.domain.spec import Policy, Timing


def judge(book: Book, job: Job, timing: Timing, low: int, high: int) -> None:
    """Decide the due times of a job in (low, high], whose firing instants have all passed.

    The floor follows, so that a transaction of which only the job's record was kept (ARCHITECTURE, law 3) has nothing
    decided twice. What is kept below it is set down; what is kept after it stays with the floor, for whoever lifts it.
    """
    before = [(start, end, True) for start, end in kept(job, timing, job.floor, low)]
    spans = [*before, *_spans(job, timing, max(job.floor, low), high)]
    while spans and spans[-1][2]:
        spans.pop()
    waits = job.blocked and job.kept_now(book.now)
    for start, end, covered in spans:
        if covered:
            owe(book, job, Owed(timing, start, end, Stage.BLOCKED))
        elif waits:
            owe(book, job, Owed(timing, start, end, Stage.WAITING))
        else:
            _decide(book, job, timing, start, end)
    if spans:
        settle_through(job, timing, spans[-1][1])


def _decide(book: Book, job: Job, timing: Timing, low: int, high: int) -> None:
    """Fire what is late in (low, high], and leave what is missed to the policy: nothing keeps the job."""
    late_from = book.now - job.grace - timing.delay
    miss(book, job, timing, low, min(high, late_from - 1))
    due = timing.next_after(max(low, late_from - 1))
    while due is not None and due <= high:
        launch.fire(book, job, due, "schedule")
        due = timing.next_after(due)


def kept(job: Job, timing: Timing, low: int, high: int) -> list[tuple[int, int]]:
    """The parts of (low, high] whose due times are kept from firing."""
    return [(start, end) for start, end, covered in _spans(job, timing, low, high) if covered]


def free(job: Job, timing: Timing, low: int, high: int) -> list[tuple[int, int]]:
    """The parts of (low, high] whose due times nothing keeps from firing."""
    return [(start, end) for start, end, covered in _spans(job, timing, low, high) if not covered]


def _spans(job: Job, timing: Timing, low: int, high: int) -> list[tuple[int, int, bool]]:
    """(low, high] cut wherever the job begins or ceases to be kept from firing, and whether it is."""
    if low >= high:
        return []
    if not job.blocked:
        return [(low, high, False)]
    edges = {edge - timing.delay - 1 for window in job.windows() for edge in window if edge is not None}
    cuts = [low, *sorted(edge for edge in edges if low < edge < high), high]
    found: list[tuple[int, int, bool]] = []
    for start, end in pairwise(cuts):
        covered = job.kept_at(end + timing.delay)
        begin = found.pop()[0] if found and found[-1][2] is covered else start
        found.append((begin, end, covered))
    return found


def draw_line(book: Book, job: Job, opens: int = 0, at: int = 0) -> None:
    """Set down what is decided by now, and what is kept: a hold that opened at ``opens`` comes over the job at ``at``.

    Without it the hold would claim, and on its release drop or run again, due times from before it was over this job.
    """
    if job.spec is None:
        return
    timing = job.spec.timing
    passed = book.settled(job, timing)
    line = max(passed, at - timing.delay - 1)
    if line <= opens - timing.delay - 1:
        return
    book.dirty(job)  # the floor that is known, too: the hold is not to claim again what was settled before
    if line > job.floor:
        for low, high in kept(job, timing, job.floor, line):
            owe(book, job, Owed(timing, low, high, Stage.BLOCKED))
        for low, high in free(job, timing, passed, line):
            owe(book, job, Owed(timing, low, high, Stage.WAITING))
        settle_through(job, timing, line)


def settle_through(job: Job, timing: Timing, line: int) -> None:
    """Settle the due times up to ``line``: the last of them is the floor.

    Not the line itself: an edit that was written before it, and is read late, puts due times between the two.
    """
    job.floor = max(job.floor, _last_due(timing, line))


@lru_cache(maxsize=4096)
def _last_due(timing: Timing, line: int) -> int:
    """The last due time up to ``line``, 0 where there is none: asked once for all the jobs that share a timing."""
    return timing.latest_before(0, line + 1) or 0


def miss_before(book: Book, job: Job, timing: Timing, floor: int) -> None:
    """Report every due time up to ``floor`` as missed: a single ``at`` that was over before it was written."""
    _report(book, job, "missed", "past", timing, 0, floor)


def miss(book: Book, job: Job, timing: Timing, low: int, high: int) -> None:
    """Apply the catch-up policy to missed due times in (low, high]."""
    spec = job.spec
    if spec is None or low >= high:
        return
    oldest = spec.catch_up.oldest(book.now)
    if oldest is not None and low < oldest - timing.delay - 1:
        edge = min(high, oldest - timing.delay - 1)
        _report(book, job, "missed", "window", timing, low, edge)
        low = edge
    match spec.catch_up.policy:
        case "skip":
            _report(book, job, "missed", "skip", timing, low, high)
        case "latest":
            newest = timing.latest_before(low + 1, high + 1)
            if newest is not None:
                _report(book, job, "missed", "latest", timing, low, newest - 1)
                launch.fire(book, job, newest, "catch_up")
        case "all":
            owe(book, job, Owed(timing, low, high, Stage.RUNNING))


def _report(book: Book, job: Job, what: str, reason: str, timing: Timing, low: int, high: int) -> None:
    """One event and one count for the due times in (low, high] that will not run; nothing where there are none."""
    if low >= high:
        return
    count, first, last = _survey(timing, low, high)
    if not count.number:
        return
    counts = book.decision.missed if what == "missed" else book.decision.dropped
    counts[reason] += count.number
    detail: dict[str, object] = {"count": count.number}
    if not count.exact:
        detail["at_least"] = True
    if first is not None and last is not None:
        detail |= {"first": format_time(first), "last": format_time(last)}
    shown = seen(job.state, job)
    book.say(f"job.{what}", job.name, before=shown, after=shown, reason=reason, detail=detail)


@lru_cache(maxsize=4096)
def _survey(timing: Timing, low: int, high: int) -> tuple[Count, int | None, int | None]:
    """Count, first and last of the due times in (low, high]: asked once for all the jobs that share a timing."""
    return timing.count(low + 1, high + 1), timing.next_after(low), timing.latest_before(low + 1, high + 1)


def drop(book: Book, job: Job, reason: str, timing: Timing, low: int, high: int) -> None:
    """Report due times in (low, high] as dropped: they were kept, and nobody asked for them."""
    _report(book, job, "dropped", reason, timing, low, high)


def lift(book: Book, job: Job, since: int, at: int, policy: Policy | None, reason: str) -> None:
    """What kept the job from firing from instant ``since`` on is gone at ``at``: decide what it kept.

    Called after the pause, hold or trouble was taken off the job. ``policy`` None: the job's ``after_pause``.
    What came due before ``since`` and was never decided waits, or is judged now if nothing else keeps the job;
    so is what the cursor has passed since ``at``. What something else keeps as well stays kept.
    """
    job.refresh_blocked()
    spec = job.spec
    if spec is None:
        return
    timing = spec.timing
    passed = book.settled(job, timing)
    opening, closing = since - timing.delay - 1, at - timing.delay - 1
    given = _unblock(book, job, at)
    if opening < closing:
        given += _give_back(book, job, passed, opening, closing)
    given.sort(key=itemgetter(1))
    _resolve(book, job, given, policy or spec.catch_up.after_pause, reason)
    judge_waiting(book, job)
    judge(book, job, timing, opening, passed)
    launch.wake(book, job)
    if not job.owed:
        book.owing.pop(job.name, None)
    if job.name not in book.ending:
        book.timetable.recall(job, timing, book.first_open())
    elif book.timetable.add(job, timing, book.first_open()):
        del book.ending[job.name]


def _unblock(book: Book, job: Job, at: int) -> list[tuple[Timing, int, int]]:
    """Return what was set down as kept, now is not any more, and has its firing instant before ``at``.

    An edit sets down due times whose firing instants were still to come; those from ``at`` on nothing kept.
    """
    given: list[tuple[Timing, int, int]] = []
    for owed in take(book, job, Stage.BLOCKED):
        edge = at - owed.timing.delay - 1
        for low, high in kept(job, owed.timing, owed.low, owed.high):
            owe(book, job, replace(owed, low=low, high=high))
        for low, high in free(job, owed.timing, owed.low, owed.high):
            if low < edge:
                given.append((owed.timing, low, min(high, edge)))
            owe(book, job, replace(owed, low=max(low, edge), stage=Stage.WAITING, high=high))
    return given


def _give_back(book: Book, job: Job, passed: int, opening: int, closing: int) -> list[tuple[Timing, int, int]]:
    """Settle the due times up to ``closing``; returns what was kept since ``opening`` and now is not any more."""
    if job.spec is None:
        return []
    timing = job.spec.timing
    spans = [*_spans(job, timing, job.floor, opening), *_spans(job, timing, max(job.floor, opening), closing)]
    while spans and spans[-1][2]:  # whatever else keeps these has the rest of the say
        closing = spans.pop()[0]
    given: list[tuple[Timing, int, int]] = []
    for low, high, covered in spans:
        if covered:
            owe(book, job, Owed(timing, low, high, Stage.BLOCKED))
        elif high <= opening:
            owe(book, job, Owed(timing, max(low, passed), high, Stage.WAITING))
        else:
            given.append((timing, low, high))
    if closing > max(passed, job.floor):
        book.dirty(job)
    settle_through(job, timing, closing)
    return given


def _resolve(book: Book, job: Job, given: list[tuple[Timing, int, int]], policy: Policy, reason: str) -> None:
    """Drop or run ranges that were kept, which are in order of time, as ``policy`` says."""
    window = job.spec.catch_up.window if job.spec is not None else None
    for index, (timing, low, high) in enumerate(given):
        rest = given[index + 1 :]
        later = policy == "latest" and any(t.latest_before(lo + 1, hi + 1) is not None for t, lo, hi in rest)
        edge = low
        if policy == "skip" or later:
            edge = high
        elif policy == "latest":
            newest = timing.latest_before(low + 1, high + 1)
            edge = high if newest is None else newest - 1
        if window is not None:
            edge = max(edge, min(high, book.now - window - timing.delay - 1))
        drop(book, job, reason, timing, low, max(low, edge))
        owe(book, job, Owed(timing, max(low, edge), high, Stage.RUNNING))


def judge_waiting(book: Book, job: Job) -> None:
    """Where nothing keeps the job any more, judge what waited for that."""
    if job.blocked and job.kept_now(book.now):
        return
    for owed in take(book, job, Stage.WAITING):
        _decide(book, job, owed.timing, owed.low, owed.high)
