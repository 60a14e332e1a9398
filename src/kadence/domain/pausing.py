"""The operator's side: pauses of one job, holds over many. A hold never touches the records of its jobs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kadence.domain import settle
from kadence.domain.holds import MAX_HOLDS
from kadence.domain.job import FITNESS, OPERATOR, AppliedHold, Operator, Pause, Signal, State
from kadence.domain.stimulus import LiftPause, PauseJob, ResumeJob

if TYPE_CHECKING:
    from kadence.domain.book import Book
    from kadence.domain.holds import Hold
    from kadence.domain.job import Job
    from kadence.domain.spec import Policy
    from kadence.domain.stimulus import Change

__all__ = [
    "MAX_HOLDS",
    "apply",
    "created_paused",
    "enters",
    "hold",
    "leave_holds",
    "match_holds",
    "release",
    "wake_hold",
    "wake_pause",
]


def apply(book: Book, job: Job, change: Change, wish: PauseJob | ResumeJob | LiftPause) -> None:
    """Apply a record under ``pause/<name>``; ``job`` may be new to the book (a pause may precede its job)."""
    if job.pause is not None and job.pause.until is not None and job.pause.until <= change.timestamp:
        wake_pause(book, job.name, job.pause.until)  # it ended by itself before this record was written
    match wish:
        case PauseJob(until):
            _pause(book, job, change, until)
        case ResumeJob(catch_up):
            _resume(book, job, change, catch_up)
        case LiftPause() if job.pause is not None and not job.pause.active:
            _clear(book, job)
        case LiftPause():
            _unpause(book, job, Signal.LIFT, change.timestamp, None, None, change)


def _pause(book: Book, job: Job, change: Change, until: int | None) -> None:
    """A pause on top of a pause keeps the instant from which due times are kept."""
    book.jobs[job.name] = job
    known = job.pause
    standing = known is not None and known.active
    since = known.since if known is not None and standing else book.kept_from(change.timestamp)
    job.pause = Pause(
        offset=change.offset,
        active=OPERATOR[job.operator, Signal.PAUSE] is Operator.PAUSED,
        since=since,
        until=until,
        at=change.timestamp,
        by=change.by,
        reason=change.reason,
    )
    job.refresh_blocked()
    before, after = book.restate(job, change.timestamp, change.reason, change.by)
    book.say(
        "job.paused",
        job.name,
        before=before,
        after=after,
        reason=change.reason,
        by=change.by,
        offset=change.offset,
    )
    if job.spec is not None:
        book.transition(before, after, "pause")
    if until is not None:
        if until <= _moment(book, change):
            _expire(book, job, max(until, change.timestamp))
        else:
            book.wake_at(until, "pause", job.name)


def created_paused(book: Book, job: Job, change: Change) -> None:
    """``paused: true`` in a spec counts as a pause written at that record.

    One that stands already and would end by itself does not any more.
    """
    known = job.pause
    if known is not None and known.active and known.until is None:
        return
    since = known.since if known is not None and known.active else book.kept_from(change.timestamp)
    job.pause = Pause(
        change.offset, active=True, since=since, at=change.timestamp, by=change.by, reason=change.reason, created=True
    )
    job.refresh_blocked()


def _resume(book: Book, job: Job, change: Change, catch_up: Policy | None) -> None:
    """Lift the pause and close the breaker; failures of runs due before now do not count any more."""
    tripped = job.streak.tripped if job.streak is not None else None
    job.resumed_at = change.timestamp
    fitness = FITNESS[job.fitness, Signal.RESUME]
    job.streak = None
    book.dirty(job)
    if tripped is not None and job.operator is Operator.OPEN:
        before, after = book.restate(job, change.timestamp, None, change.by)
        _say_resumed(book, job, before, after, change)
        book.transition(before, after, "resume")
        settle.lift(book, job, tripped.since, change.timestamp, catch_up, "errored")
    earlier = None if tripped is None else tripped.since
    _unpause(book, job, Signal.RESUME, change.timestamp, catch_up, earlier, change)
    if job.pause is not None:
        job.pause = replace(job.pause, offset=change.offset)
    elif job.spec is not None:
        job.pause = Pause(change.offset, active=False, at=change.timestamp, by=change.by, reason=change.reason)
    assert fitness is job.fitness or job.spec is None  # noqa: S101  the table and the record agree


def _say_resumed(book: Book, job: Job, before: State, after: State, change: Change | None) -> None:
    who = (None, None, None) if change is None else (change.reason, change.by, change.offset)
    book.say("job.resumed", job.name, before=before, after=after, reason=who[0], by=who[1], offset=who[2])


def _unpause(
    book: Book, job: Job, signal: Signal, at: int, policy: Policy | None, earlier: int | None, change: Change | None
) -> None:
    """Take an active pause off the job and decide what it kept; nothing where there is none."""
    pause = job.pause
    if pause is None or not pause.active:
        return
    offset = pause.offset if change is None else change.offset
    active = OPERATOR[job.operator, signal] is Operator.PAUSED
    job.pause = None if signal is Signal.LIFT else replace(pause, active=active, offset=offset, created=False)
    before, after = book.restate(job, at, None, None if change is None else change.by)
    if job.spec is not None:  # a pause outlives its job, and nothing is resumed then
        _say_resumed(book, job, before, after, change)
        book.transition(before, after, {Signal.EXPIRE: "until"}.get(signal, "resume"))
    since = pause.since if earlier is None else min(pause.since, earlier)
    settle.lift(book, job, since, at, policy, "paused")
    book.forget(job)


def _expire(book: Book, job: Job, at: int) -> None:
    _unpause(book, job, Signal.EXPIRE, at, None, None, None)


def wake_pause(book: Book, name: str, instant: int) -> None:
    """A pause's ``until`` may have come."""
    job = book.jobs.get(name)
    if job is not None and job.pause is not None and job.pause.active and job.pause.until == instant:
        _expire(book, job, instant)


def withdraw(book: Book, job: Job, at: int) -> None:
    """The control topic has no record under this job's pause key any more: act on the absence."""
    if job.pause is not None and not job.pause.active:
        _clear(book, job)
    elif job.pause is not None:
        until = job.pause.until
        _unpause(book, job, Signal.LIFT, at if until is None else min(at, until), None, None, None)


def _clear(book: Book, job: Job) -> None:
    """A resume, or a pause that ended, is not in force under its key any more."""
    job.pause = None
    book.dirty(job)
    book.forget(job)


def hold(book: Book, change: Change, wanted: Hold) -> None:
    """Put a hold in force, or a new version of it; jobs and due times it no longer selects are given back."""
    known = _standing(book, change)
    moment = _moment(book, change)
    in_force = known is not None and known.covers(moment)
    if known is not None and in_force and _begins_anew(book, known, wanted, change):
        _end(book, known, change.timestamp, wanted.catch_up, change)
        known, in_force = None, False
    applied = AppliedHold(
        name=change.name,
        hold=wanted,
        offset=change.offset,
        since=known.opens if known is not None and in_force else book.kept_from(change.timestamp),
        at=change.timestamp,
        started=known is not None and in_force and known.started,
        by=change.by,
        reason=change.reason,
    )
    book.holds[change.name] = applied
    book.decision.holds[change.name] = None
    narrowed = known is not None and in_force and known.opens < applied.opens
    matched = _rematch(book, applied, known, change.timestamp, narrowed=narrowed)
    if wanted.end is not None:
        if _is_over(book, wanted, change):
            _end(book, applied, max(wanted.end, change.timestamp), wanted.catch_up, change)
            return
        book.wake_at(wanted.end, "hold-end", change.name)
    if wanted.start is None or wanted.start <= moment:
        _start(book, applied, matched)
    else:
        book.wake_at(wanted.start, "hold-start", change.name)


def _begins_anew(book: Book, known: AppliedHold, wanted: Hold, change: Change) -> bool:
    """Whether the new window does not go on with what the old one keeps, so that the old hold is given back first."""
    if _is_over(book, wanted, change):
        return (wanted.start or 0) > known.opens
    return not wanted.covers(_moment(book, change))


def _is_over(book: Book, wanted: Hold, change: Change) -> bool:
    """Whether the window had closed when the record was written, or before the cursor."""
    return wanted.end is not None and wanted.end <= _moment(book, change)


def _moment(book: Book, change: Change) -> int:
    """The instant at which a record changes what stands: its broker time, or the cursor where that is past it.

    Never now: a successor reads the record late, and the window that stood then may be over by now.
    """
    return max(change.timestamp, book.cursor.through)


def _standing(book: Book, change: Change) -> AppliedHold | None:
    """The hold under this name that still stands at a record's time; one that ended by itself before is ended."""
    applied = book.holds.get(change.name)
    if applied is None or applied.ended:
        return None
    if applied.hold.end is not None and applied.hold.end <= change.timestamp:
        _end(book, applied, applied.hold.end, applied.hold.catch_up)
        return None
    return applied


def _rematch(book: Book, applied: AppliedHold, known: AppliedHold | None, at: int, *, narrowed: bool) -> int:
    """Give every job of the shard the new value of a hold; returns how many it is over.

    ``narrowed``: it keeps its jobs from a later instant on than it did, and gives back what came before that.
    """
    swapped: dict[tuple[AppliedHold, ...], tuple[AppliedHold, ...]] = {}
    matched = stopped = freed = 0
    for job in list(book.jobs.values()):
        had = known is not None and known in job.holds
        runs = _runs_without(known, job)
        if book.matching(applied.hold, job):
            matched += 1
            stopped += runs and not had
            if not had:
                settle.draw_line(book, job, applied.opens, at)
            if job.holds not in swapped:
                others = tuple(other for other in job.holds if other is not known)
                swapped[job.holds] = (*others, applied)
            job.holds = swapped[job.holds]
            job.blocked = True
            if known is not None and had and narrowed:
                settle.lift(book, job, known.opens, applied.opens, applied.hold.catch_up, "held")
        elif known is not None and had:
            freed += runs
            job.holds = tuple(other for other in job.holds if other is not known)
            settle.lift(book, job, known.opens, at, None, "held")
    if applied.started:
        book.transition(None, State.PAUSED, "hold", stopped)
        book.transition(None, State.RUNNING, "release", freed)
    return matched


def _start(book: Book, applied: AppliedHold, matched: int) -> None:
    """The hold's window is open."""
    started = book.swap_hold(applied, started=True)
    _replace(book, applied, started)
    book.say(
        "hold.applied",
        applied.name,
        reason=applied.reason,
        by=applied.by,
        offset=applied.offset,
        detail={"matched": matched},
    )
    if not applied.started:
        stopped = sum(started in job.holds and _runs_without(started, job) for job in book.jobs.values())
        book.transition(None, State.PAUSED, "hold", stopped)


def _runs_without(applied: AppliedHold | None, job: Job) -> bool:
    """Whether a job runs but for this hold: it has no trouble of its own, and no other hold over it has begun."""
    return job.state is State.RUNNING and not any(other.started for other in job.holds if other is not applied)


def _replace(book: Book, known: AppliedHold, new: AppliedHold) -> int:
    """Exchange a hold's value in every job that it is over; returns how many."""
    swapped: dict[tuple[AppliedHold, ...], tuple[AppliedHold, ...]] = {}
    count = 0
    for job in book.jobs.values():
        if known in job.holds:
            count += 1
            if job.holds not in swapped:
                swapped[job.holds] = tuple(new if other is known else other for other in job.holds)
            job.holds = swapped[job.holds]
    return count


def _end(book: Book, applied: AppliedHold, at: int, policy: Policy | None, change: Change | None = None) -> None:
    """The hold is over at ``at``: give each of its jobs back exactly as it was, and decide what it kept."""
    matched = freed = 0
    for job in list(book.jobs.values()):
        if applied in job.holds:
            matched += 1
            freed += _runs_without(applied, job)
            job.holds = tuple(other for other in job.holds if other is not applied)
            settle.lift(book, job, applied.opens, at, policy, "held")
    who = (None, None, None) if change is None else (change.reason, change.by, change.offset)
    book.say("hold.released", applied.name, reason=who[0], by=who[1], offset=who[2], detail={"matched": matched})
    if applied.started:
        book.transition(None, State.RUNNING, "release", freed)
    book.swap_hold(applied, ended=True)


def release(book: Book, change: Change) -> None:
    """A null under ``hold/<name>``."""
    _standing(book, change)
    applied = book.holds.get(change.name)
    if applied is not None:
        remove_hold(book, applied, change.timestamp, change)


def remove_hold(book: Book, applied: AppliedHold, at: int, change: Change | None = None) -> None:
    """Take a hold out of the book, ending it first if it still stands."""
    if not applied.ended:
        _end(book, applied, at, None, change)
    del book.holds[applied.name]
    book.decision.holds[applied.name] = None


def wake_hold(book: Book, name: str, instant: int) -> None:
    """A hold's start or end may have come."""
    applied = book.holds.get(name)
    if applied is None or applied.ended:
        return
    if applied.hold.end == instant:
        _end(book, applied, instant, applied.hold.catch_up)
    elif applied.hold.start == instant and not applied.started:
        _start(book, applied, sum(applied in job.holds for job in book.jobs.values()))


def match_holds(book: Book, job: Job) -> None:
    """Work out which holds a job is under, after it was created or its tags changed."""
    job.holds = tuple(
        applied for applied in book.holds.values() if not applied.ended and book.matching(applied.hold, job)
    )
    job.refresh_blocked()


def enters(book: Book, job: Job, tags: tuple[str, ...]) -> bool:
    """Whether a hold comes over the job when it carries these tags."""
    standing = (applied for applied in book.holds.values() if not applied.ended and applied not in job.holds)
    return any(applied.hold.match.matches(job.name, tags) for applied in standing)


def leave_holds(book: Book, job: Job, tags: tuple[str, ...], at: int) -> None:
    """The job is about to carry other tags: holds that do not select it with those are lifted from it."""
    for applied in job.holds:
        if not applied.hold.match.matches(job.name, tags):
            job.holds = tuple(other for other in job.holds if other is not applied)
            settle.lift(book, job, applied.opens, at, None, "held")
