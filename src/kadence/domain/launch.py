"""Firing runs, again if need be, and remembering those that something still depends on.

A job that runs one at a time (``overlap: skip``) has each of its runs remembered, any other job only those that were
reported as failed, snoozed or (with a ``timeout``) started, and those that somebody triggered.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kadence.domain.decision import Fire
from kadence.domain.duration import format_time
from kadence.domain.firing import read_firing, run_id
from kadence.domain.job import seen
from kadence.domain.run import NO_RUNS, Run, RunStatus, Skipped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kadence.domain.book import Book
    from kadence.domain.job import Job

REMEMBERED: Final = 3_600_000
"""Milliseconds for which a run that is over is remembered, so that what is reported late or twice changes nothing."""
LOST_AFTER: Final = 86_400_000
"""Milliseconds after its firing from which a run that nobody reported about is given up."""
MOST_OPEN: Final = 1_000
"""Runs of one job that are open at once, or over and remembered; of more the oldest is given up."""


def fire(book: Book, job: Job, due: int, cause: str) -> None:
    """Emit the execution of one due time, unless an earlier run of a job that runs one at a time is under way."""
    spec = job.spec
    if spec is None:
        return
    if job.serial:
        run = run_id(job.name, due)
        if run in job.runs or run in job.past:  # half a transaction kept it: its execution stands before it in the log
            return
        if (earlier := job.occupied(book.now)) is not None:
            _skip(book, job, earlier, due)
            return
    launch(book, job, Fire(job.name, spec, due, cause))
    book.decision.instants[due + spec.timing.delay] += 1


def launch(book: Book, job: Job, fire: Fire) -> None:
    """Emit the first firing of a run, and remember it where that is needed."""
    book.decision.fires.append(fire)
    if job.serial or fire.command is not None:
        run = run_id(fire.name, fire.time, fire.command)
        expires = fire.expires(book.now)
        remember(book, job, Run(run, fire.time, fire.cause, book.now, expires=expires, payload=fire.payload))


def fire_again(book: Book, job: Job, run: Run) -> None:
    """Emit the next firing of a run that waited for it: another attempt, or after a snooze the same one."""
    firing = read_firing(run.id)
    if job.spec is None or firing is None:
        return
    failed = run.status in {RunStatus.FAILED, RunStatus.TIMED_OUT}
    attempt, cause = run.attempt + failed, run.cause if firing.probe else "retry"
    fire = Fire(job.name, job.spec, run.time, cause, firing.command, run.payload, run.n + 1, attempt)
    book.decision.fires.append(fire)
    again = replace(run, n=fire.n, attempt=attempt, fired=book.now, expires=fire.expires(book.now))
    remember(book, job, replace(again, status=RunStatus.FIRED, started=None, next_at=None))


def _skip(book: Book, job: Job, earlier: Run, due: int) -> None:
    """Leave a due time out. It is told when the run that was in the way is over, with all the others, as one range."""
    known = earlier.skipped
    if known is not None and due <= known.last:  # half a transaction kept that
        return
    skipped = Skipped(1, due, due) if known is None else Skipped(known.count + 1, known.first, due)
    book.decision.dropped["overlap"] += 1
    remember(book, job, replace(earlier, skipped=skipped))


def remember(book: Book, job: Job, run: Run) -> None:
    """Take what is now so of a run into the book, and see to it that it is looked at when its time comes."""
    book.decision.runs[job.name, run.id] = None
    if run.settled_at is None:
        job.runs = _with(job.runs, run)
        if len(job.runs) > MOST_OPEN:
            book.crowded.append(job)
    else:
        _settled(book, job, run)
    under_way = run.settled_at is None and run.next_at is None
    if not under_way and job.streak is not None and job.streak.probe_at is not None:  # which may have waited for it
        book.agenda.add(job.streak.probe_at, job.name)
    attend(book, job, run)


def _settled(book: Book, job: Job, run: Run) -> None:
    job.runs = _without(job.runs, run.id)
    job.past = _with(job.past, run)
    while len(job.past) > MOST_OPEN:
        forget(book, job, next(iter(job.past)))
    _tell_skipped(book, job, run)


def _tell_skipped(book: Book, job: Job, run: Run) -> None:
    """One event for all the due times that were left out for a run."""
    if (skipped := run.skipped) is None:
        return
    detail: dict[str, object] = {"count": skipped.count, "run": run.id}
    detail |= {"first": format_time(skipped.first), "last": format_time(skipped.last)}
    shown = seen(job.state, job)
    book.say("job.dropped", job.name, before=shown, after=shown, reason="overlap", detail=detail)


def _with(runs: Mapping[str, Run], run: Run) -> Mapping[str, Run]:
    """The same mapping with one more: all but the shared empty one are the job's own."""
    known = runs if isinstance(runs, dict) else {}
    known[run.id] = run
    return known


def _without(runs: Mapping[str, Run], run: str) -> Mapping[str, Run]:
    if isinstance(runs, dict):
        runs.pop(run, None)
    return runs or NO_RUNS


def forget(book: Book, job: Job, run: str) -> None:
    """A run is remembered no more; its state record becomes a tombstone."""
    gone = job.past.get(run)
    book.decision.runs[job.name, run] = None
    job.runs, job.past = _without(job.runs, run), _without(job.past, run)
    if gone is not None and gone.status is RunStatus.SUCCEEDED and not _succeeded_since(job):
        job.succeeded_at = gone.settled_at or 0
        book.dirty(job)


def _succeeded_since(job: Job) -> bool:
    return any(run.status is RunStatus.SUCCEEDED for run in job.past.values())


def forget_all(book: Book, job: Job) -> None:
    """A job is deleted, and its runs with it."""
    for run in job.runs.values():
        _tell_skipped(book, job, run)
    for id_ in (*job.runs, *job.past):
        book.decision.runs[job.name, id_] = None
    job.runs, job.past = NO_RUNS, NO_RUNS


def attend(book: Book, job: Job, run: Run) -> None:
    """Enter a run where it will be looked at: for its next firing, when it is late, or to forget it."""
    if run.settled_at is not None:
        _fade_at(book, job, run.settled_at + REMEMBERED)
    elif run.next_at is not None:
        book.agenda.add(run.next_at, job.name, run.id)
    else:
        watch(book, job, deadline(job, run))


def _fade_at(book: Book, job: Job, instant: int) -> None:
    """See to it that a job forgets the oldest of its runs that are over when its hour is: one entry per job."""
    if job.fades_at is None or instant < job.fades_at:
        job.fades_at = instant
        book.agenda.add(instant, job.name)


def fade(book: Book, job: Job) -> None:
    """Forget the runs whose hour is over."""
    if job.fades_at is None or job.fades_at > book.now:
        return
    job.fades_at = None
    for run in list(job.past.values()):
        over = (run.settled_at or 0) + REMEMBERED
        if over > book.now:
            _fade_at(book, job, over)
            return
        forget(book, job, run.id)


def watch(book: Book, job: Job, late: int) -> None:
    """See to it that a job is looked at when one of its runs is late: one entry per job, or a day's would pile up."""
    if job.late_at is None or late < job.late_at:
        job.late_at = late
        book.deadlines.add(late, job.name)


def attend_all(book: Book, job: Job) -> None:
    """Enter all that a job waits for anew: it was restored, edited, or may fire again."""
    for run in (*job.runs.values(), *job.past.values()):
        attend(book, job, run)
    if job.streak is not None and job.streak.probe_at is not None:
        book.agenda.add(job.streak.probe_at, job.name)


def wake(book: Book, job: Job) -> None:
    """A job may fire again, as far as one of its pauses, holds or troubles goes: look at what waited for that."""
    for run in job.runs.values():
        if run.next_at is not None:
            book.agenda.add(run.next_at, job.name, run.id)
    if job.streak is not None and job.streak.probe_at is not None:
        book.agenda.add(job.streak.probe_at, job.name)


def deadline(job: Job, run: Run) -> int:
    """When a run that nobody reports about fails (``timeout``, from its start) or is given up."""
    lost = run.fired + LOST_AFTER
    timeout = None if job.spec is None else job.spec.timeout
    return lost if run.started is None or timeout is None else min(lost, run.started + timeout)
