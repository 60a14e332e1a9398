"""Applying control records: each wish is carried out or refused, in log order, and refusing changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kadence.domain import breaker, launch, pausing, settle
from kadence.domain.book import IDS_REMEMBERED
from kadence.domain.decision import Fire, Refusal
from kadence.domain.firing import run_id
from kadence.domain.job import NO_OFFSET, Job, Operator, Owed, Rejection, Stage, State, seen
from kadence.domain.owed import MOST_REMEMBERED, owe, weight_with
from kadence.domain.schedule import At
from kadence.domain.stimulus import (
    Backfill,
    CancelCommand,
    DeleteJob,
    LiftPause,
    PauseJob,
    PutHold,
    PutJob,
    Rejected,
    ReleaseHold,
    ResumeJob,
    Skip,
    Trigger,
)

if TYPE_CHECKING:
    from kadence.domain.book import Book
    from kadence.domain.holds import Hold
    from kadence.domain.spec import JobSpec
    from kadence.domain.stimulus import Change

BARRIER: Final = "barrier"


class Refused(Exception):  # noqa: N818  it is a verdict on a record, not a failure of the program
    """The record is not applied; the message is what its writer is told."""


def apply(book: Book, change: Change, *, silent: bool = False) -> None:
    """Carry out one control record that concerns this shard.

    ``silent``: it was judged before (at takeover); a second refusal is not reported again.
    """
    if change.kind == BARRIER:
        return
    if not silent:  # at takeover records are given the time of the takeover, which control has not got to
        book.hear(change.timestamp)
    try:
        _apply(book, change)
    except Refused as refused:
        if not silent:
            refuse(book, change, str(refused), b"")
    else:
        if isinstance(change.wish, Rejected):
            if not silent:
                refuse(book, change, change.wish.error, change.wish.excerpt)
        else:
            book.decision.records[change.kind, "applied"] += 1
    if change.id and not isinstance(change.wish, CancelCommand):
        book.decision.commands.append((change.timestamp, change.key))
    book.decision.prompt = True


def refuse(book: Book, change: Change, error: str, excerpt: bytes) -> None:
    """Report a record that was not applied; a bad hold concerns every shard but is reported by one."""
    book.decision.refusals.append(Refusal(change.offset, change.key, error))
    if change.kind == "job" and (job := book.jobs.get(change.name)) is not None and job.spec is not None:
        job.rejection = Rejection(change.offset, error)
        book.dirty(job)
    if change.kind == "hold" and not book.owns(change.name):
        return
    book.decision.records[change.kind or "unknown", "rejected"] += 1
    detail = {"excerpt": excerpt.decode("utf-8", "replace")} if excerpt else {}
    book.say(
        "record.rejected",
        change.name,
        reason=error,
        by=change.by,
        offset=change.offset,
        detail={"topic": f"{book.namespace}.control", "partition": 0, "key": change.key, **detail},
    )


def _apply(book: Book, change: Change) -> None:
    match change.wish:
        case PutJob(spec):
            _put(book, change, spec)
        case DeleteJob():
            if (job := book.jobs.get(change.name)) is not None and job.spec is not None:
                delete(book, job, change.timestamp, change)
        case PauseJob() | ResumeJob() | LiftPause():
            job = book.jobs.get(change.name)
            in_force = NO_OFFSET if job is None or job.pause is None or job.pause.created else job.pause.offset
            _check_in_force(change, in_force)
            pausing.apply(book, job or Job(change.name), change, change.wish)
        case PutHold(hold):
            _put_hold(book, change, hold)
        case ReleaseHold():
            pausing.release(book, change)
        case Trigger(id_, payload):
            _trigger(book, change, id_, payload)
        case Skip() | Backfill():
            msg = f"{change.kind} is not carried out by this version of kadence"
            raise Refused(msg)
        case CancelCommand(id_):
            _forget_id(book, change.name, id_)
        case Rejected():
            pass


def _put_hold(book: Book, change: Change, hold: Hold) -> None:
    applied = book.holds.get(change.name)
    _check_in_force(change, NO_OFFSET if applied is None else applied.offset)
    if hold.every is not None:
        msg = "every: recurring windows are not carried out by this version of kadence; give start and end"
        raise Refused(msg)
    if applied is None and sum(not hold.ended for hold in book.holds.values()) >= pausing.MAX_HOLDS:
        msg = f"there are {pausing.MAX_HOLDS} holds already; release one first"
        raise Refused(msg)
    pausing.hold(book, change, hold)


def _forget_id(book: Book, name: str, id_: str) -> None:
    job = book.jobs.get(name)
    if job is not None and id_ in job.ids:
        job.ids = tuple(known for known in job.ids if known != id_)
        book.dirty(job)


def _check_in_force(change: Change, offset: int) -> None:
    if change.offset == offset:  # half a transaction kept it in force, and it is applied again
        return
    if change.if_offset is not None and change.if_offset != offset:
        now = "none is" if offset == NO_OFFSET else f"the one at offset {offset} is"
        msg = f"stale: written for offset {change.if_offset}, but {now} in force under this key"
        raise Refused(msg)


def _put(book: Book, change: Change, spec: JobSpec) -> None:
    job = book.jobs.get(change.name)
    known = None if job is None else job.spec
    _check_in_force(change, NO_OFFSET if job is None or known is None else job.spec_offset)
    if known is not None and known.revision is not None and (spec.revision or 0) < known.revision:
        msg = f"stale: revision {spec.revision or 'none'} is older than {known.revision}, which is in force"
        raise Refused(msg)
    if job is not None and known is not None and known.timing != spec.timing and (job.owed or job.blocked):
        _check_memory(job, known)
    if job is None:
        job = book.jobs[change.name] = Job(change.name)
    job.spec_offset, job.rejection = change.offset, None
    book.dirty(job)
    if known is None:
        _create(book, job, change, spec)
    elif known != spec:
        _edit(book, job, change, known, spec)


def _check_memory(job: Job, known: JobSpec) -> None:
    """A job that may not fire remembers a schedule per edit, for whoever lifts that; all of them in one record."""
    if weight_with(job, known.timing) > MOST_REMEMBERED:
        msg = (
            "its schedule cannot be changed while it cannot fire: what it owes under the earlier ones would take more "
            f"than {MOST_REMEMBERED // 1024} KiB to remember. Resume it or release its holds first, then change it"
        )
        raise Refused(msg)


def _create(book: Book, job: Job, change: Change, spec: JobSpec) -> None:
    """A job that was not there: its first due time is the first after the record's broker time."""
    job.created_at = job.resumed_at = change.timestamp
    job.since, job.finished = change.timestamp, False
    job.floor = max(job.floor, _first_floor(spec, change.timestamp))
    book.define(job, spec)
    launch.attend_all(book, job)  # half a transaction may have kept some of it
    if job.owed:  # half a transaction kept the job, but not the cursor
        book.owing[job.name] = job
    if spec.paused:
        pausing.created_paused(book, job, change)
    pausing.match_holds(book, job)
    paused = job.pause if job.operator is Operator.PAUSED else None
    by, reason = (change.by, change.reason) if paused is None else (paused.by, paused.reason)
    _, after = book.restate(job, change.timestamp, reason, by)
    book.say("job.created", job.name, after=after, reason=change.reason, by=change.by, offset=change.offset)
    book.transition(None, after, "created")
    breaker.use_target(book, job, spec)
    _report_past(book, job, spec)
    schedule(book, job, spec)


def _edit(book: Book, job: Job, change: Change, known: JobSpec, spec: JobSpec) -> None:
    """A changed definition: the old spec decides what it owed up to the record's time, the new one goes on."""
    retimed, retagged = known.timing != spec.timing, known.tags != spec.tags
    shown = seen(job.state, job)
    if retagged:
        pausing.leave_holds(book, job, spec.tags, change.timestamp)
    if known.target != spec.target:
        breaker.leave_target(book, job, known)
    if retimed:
        _close_old_timing(book, job, known, spec, change.timestamp)
    elif retagged and book.holds:
        settle.draw_line(book, job, at=change.timestamp if pausing.enters(book, job, spec.tags) else 0)
    book.timetable.remove(job, known.timing)
    book.ending.pop(job.name, None)
    book.undefine(job)
    book.define(job, spec)
    if retimed:
        job.finished = False
    _edit_runs(book, job, known, change.timestamp)
    if known.target != spec.target:
        breaker.use_target(book, job, spec)
    if retagged:
        pausing.match_holds(book, job)
        settle.judge_waiting(book, job)
    _, after = book.restate(job, change.timestamp, job.reason, job.by)
    book.say(
        "job.updated",
        job.name,
        before=shown,
        after=after,
        reason=change.reason,
        by=change.by,
        offset=change.offset,
    )
    book.transition(shown, after, "hold" if after is State.PAUSED else "release")
    if retimed:
        _report_past(book, job, spec, known)
        schedule(book, job, spec)
    elif not job.finished:
        book.timetable.add(job, spec.timing, book.first_open())
    if known.target != spec.target:
        breaker.changed_target(book, job, spec, change.timestamp)


def _edit_runs(book: Book, job: Job, known: JobSpec, at: int) -> None:
    """Runs that are under way have the new ``timeout``, and an open breaker the new probes."""
    if job.spec is not None and known.timeout != job.spec.timeout:
        launch.attend_all(book, job)
    if job.spec is not None and known.breaker != job.spec.breaker:
        breaker.replan(book, job, at)


def _first_floor(spec: JobSpec, timestamp: int) -> int:
    """A spec counts from the record's time; a single ``at`` may be as late as its grace."""
    return timestamp - spec.catch_up.grace - 1 if spec.once else timestamp


def _close_old_timing(book: Book, job: Job, known: JobSpec, spec: JobSpec, timestamp: int) -> None:
    """Decide the due times up to ``timestamp`` that the old spec still owed, and set the floor for the new one.

    The new spec counts from the record's time or from the last due time that the old one decided, if that is later:
    no due time is lost, none is doubled.
    """
    timing = known.timing
    passed = book.settled(job, timing)
    settle.judge(book, job, timing, passed, timestamp)
    for low, high in settle.kept(job, timing, job.floor, timestamp):
        owe(book, job, Owed(timing, low, high, Stage.BLOCKED))
    first = max(_first_floor(spec, timestamp), job.floor)
    old = [(first, timestamp), *settle.free(job, timing, max(first, timestamp), passed)]
    decided = [timing.latest_before(low + 1, high + 1) for low, high in old]
    job.floor = max([first, *(due or 0 for due in decided)])


def _report_past(book: Book, job: Job, spec: JobSpec, known: JobSpec | None = None) -> None:
    """A single ``at`` that was over before it was written is missed, unless the spec before had it, too."""
    at = spec.timing.schedule
    if isinstance(at, At) and not (known is not None and known.timing.next_after(at.instant - 1) == at.instant):
        settle.miss_before(book, job, spec.timing, job.floor)


def schedule(book: Book, job: Job, spec: JobSpec) -> None:
    """Decide at once what the cursor has passed since the floor, then file the job in the timetable."""
    passed = book.settled(job, spec.timing)
    settle.judge(book, job, spec.timing, job.floor, passed)
    if not book.timetable.add(job, spec.timing, book.first_open()):
        finish(book, job)


def finish(book: Book, job: Job) -> None:
    """No due time is left: once nothing is owed and nothing keeps the job either, it is finished."""
    if job.finished or job.spec is None:
        return
    if job.owed or (job.blocked and job.kept_now(book.now)):
        book.ending[job.name] = job
        return
    job.finished = True
    before, after = book.restate(job, book.now, job.reason, job.by)
    book.say("job.finished", job.name, before=before, after=after)
    book.transition(before, State.FINISHED, "schedule")


def finish_settled(book: Book) -> None:
    """Finish the jobs that only waited for what they owed, or for whatever kept them."""
    for name in list(book.ending):
        job = book.ending.pop(name)
        if book.jobs.get(name) is job:
            finish(book, job)


def delete(book: Book, job: Job, timestamp: int, change: Change | None = None) -> None:
    """Take a job's definition away; a pause outlives it. Due times that were still owed are dropped."""
    spec = job.spec
    if spec is None:
        return
    timing = spec.timing
    passed = book.settled(job, timing)
    for owed in job.owed:
        settle.drop(book, job, "deleted", owed.timing, owed.low, owed.high)
    for low, high in settle.kept(job, timing, job.floor, min(passed, timestamp)):
        settle.drop(book, job, "deleted", timing, low, high)
    settle.drop(book, job, "deleted", timing, passed, timestamp)
    decided = [timing.latest_before(low + 1, high + 1) for low, high in settle.free(job, timing, timestamp, passed)]
    job.floor = max([job.floor, *(due or 0 for due in decided)])
    before, job.lost = seen(job.state, job), None
    breaker.leave_target(book, job, spec)
    book.timetable.remove(job, timing)
    book.undefine(job)
    launch.forget_all(book, job)
    job.spec_offset, job.rejection, job.streak = NO_OFFSET, None, None
    job.owed, job.holds, job.finished, job.ids = (), (), False, ()
    job.created_at = job.succeeded_at = job.last_success = 0
    book.owing.pop(job.name, None)
    book.ending.pop(job.name, None)
    job.refresh_blocked()
    book.restate(job, timestamp, None if job.pause is None else job.pause.reason, job.by)
    book.forget(job)
    who = {} if change is None else {"reason": change.reason, "by": change.by, "offset": change.offset}
    book.say("job.deleted", job.name, before=before, **who)  # type: ignore[arg-type]  # three optional texts
    book.transition(before, "deleted", "deleted")


def _trigger(book: Book, change: Change, id_: str, payload: bytes | None) -> None:
    job = book.jobs.get(change.name)
    if job is None or job.spec is None:
        msg = f"there is no job {change.name!r} to trigger"
        raise Refused(msg)
    _check_in_force(change, NO_OFFSET)  # a command acts once: nothing stays in force under its key
    if id_ in job.ids:
        msg = f"duplicate: id {id_!r} was triggered before"
        raise Refused(msg)
    if job.lost is not None:
        raise Refused(job.lost.reason)
    newest = job.ids[1 - IDS_REMEMBERED :]
    older = job.ids[: 1 - IDS_REMEMBERED]
    job.ids = (*(one for one in older if book.run_of(job.name, run_id(job.name, 0, one)) is not None), *newest, id_)
    book.dirty(job)
    launch.launch(book, job, Fire(job.name, job.spec, book.now, "trigger", id_, payload))
