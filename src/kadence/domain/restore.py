"""Rebuilding a shard from the compacted logs: its own memory, reconciled with what is wanted now.

The state topic says what the shard had applied; the newest control records below the cursor say what is wanted.
They agree unless a record was rejected (its key's newest record is not the one in force) or compaction removed a
key while nobody looked (an absent key is not wanted). Control records at or above the cursor are not seen here:
they are applied afterwards, one by one, like any other.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kadence.domain import changes, launch, pausing
from kadence.domain.job import NO_OFFSET, Operator
from kadence.domain.run import NO_RUNS, RunStatus
from kadence.domain.stimulus import DeleteJob, PauseJob, PutJob, Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kadence.domain.book import Book
    from kadence.domain.job import AppliedHold, Job
    from kadence.domain.run import Run
    from kadence.domain.spec import JobSpec
    from kadence.domain.stimulus import Change, Wish


@dataclass(slots=True)
class Memory:
    """What a shard's state records say, besides the cursor. ``specs``: last good specs kept under a rejected one."""

    jobs: dict[str, Job] = field(default_factory=dict)
    runs: dict[str, dict[str, Run]] = field(default_factory=dict)
    specs: dict[str, JobSpec] = field(default_factory=dict)
    holds: dict[str, AppliedHold] = field(default_factory=dict)


def rebuild(book: Book, memory: Memory, wanted: Mapping[tuple[str, str], Change], now: int) -> None:
    """Fill an empty book. ``wanted``: per (kind, name) the newest control record below the cursor.

    What the absence of a key, or a record that only this version understands, changes is decided here, at ``now``;
    it is in the book's decision afterwards and belongs into the shard's first transaction.
    """
    book.now = max(now, book.cursor.through)
    book.holds.update(memory.holds)
    for name, job in memory.jobs.items():
        book.jobs[name] = job
        give_runs(job, memory.runs.get(name, {}))
        _restore_job(book, job, _spec_of(book, job, memory, wanted), wanted)
    for name, runs in memory.runs.items():
        if name not in memory.jobs:
            book.decision.runs.update(((name, run), None) for run in runs)
    _withdraw_absent(book, wanted)
    _restore_wakes(book)
    for key, change in wanted.items():
        if not _in_force(book, key, change):
            changes.apply(book, replace(change, timestamp=book.now), silent=True)


def _spec_of(book: Book, job: Job, memory: Memory, wanted: Mapping[tuple[str, str], Change]) -> JobSpec | None:
    change = wanted.get(("job", job.name))
    if change is not None and isinstance(change.wish, PutJob):
        if _torn(book, job.spec_offset):
            job.spec_offset = change.offset  # what was in force at the cursor; the newer one is applied again
        if change.offset == job.spec_offset:
            return change.wish.spec
    return memory.specs.get(job.name)


def _torn(book: Book, offset: int) -> bool:
    """Whether a state record speaks of a control record that the cursor has not passed.

    Half a transaction was committed (ARCHITECTURE, law 3), without its cursor: the record will be applied again.
    """
    return offset >= book.cursor.control


def give_runs(job: Job, runs: Mapping[str, Run]) -> None:
    """Let a job that was read know of its runs, those that are over in the order in which they ended."""
    in_order = sorted(runs.values(), key=lambda run: (run.settled_at or 0, run.id))
    job.runs = {run.id: run for run in in_order if run.settled_at is None} or NO_RUNS
    job.past = {run.id: run for run in in_order if run.settled_at is not None} or NO_RUNS
    successes = (run.settled_at or 0 for run in in_order if run.status is RunStatus.SUCCEEDED)
    job.last_success = max(job.succeeded_at, *successes, 0)


def _restore_job(book: Book, job: Job, spec: JobSpec | None, wanted: Mapping[tuple[str, str], Change]) -> None:
    """Give a remembered job its spec and place; one whose definition is gone is deleted once all is restored."""
    if spec is None and _torn(book, job.spec_offset):
        job.refresh_blocked()  # the definition is applied again, and finds what the job owes and has run
        return
    if spec is None:
        if job.spec_offset != NO_OFFSET and ("job", job.name) in wanted:
            job.floor = max(job.floor, book.cursor.through)
        job.refresh_blocked()
        launch.forget_all(book, job)
        if job.operator is Operator.OPEN:
            book.bury(job)
        return
    book.define(job, spec)
    job.holds = tuple(hold for hold in book.holds.values() if not hold.ended and book.matching(hold.hold, job))
    job.refresh_blocked()
    if spec.target.topic is not None:
        book.targets.setdefault(spec.target.topic, {})[job.name] = job
        if job.lost is not None:
            book.problems.setdefault(spec.target.topic, job.lost.reason.partition(": ")[2])
    if job.owed:
        book.owing[job.name] = job
    launch.attend_all(book, job)
    if not job.finished and not book.timetable.add(job, spec.timing, book.first_open()):
        book.ending[job.name] = job


def _withdraw_absent(book: Book, wanted: Mapping[tuple[str, str], Change]) -> None:
    """What the control topic no longer holds is not wanted: delete, lift, release."""
    for job in list(book.jobs.values()):
        definition = wanted.get(("job", job.name))
        if job.spec is not None and (definition is None or isinstance(definition.wish, DeleteJob)):
            changes.delete(book, job, book.now)
        elif _lost_its_definition(book, job) and definition is None:
            job.spec_offset, job.floor = NO_OFFSET, 0
            book.dirty(job)
            book.forget(job)
            book.say("job.deleted", job.name, before=job.state, reason="its control record is gone")
            book.transition(job.state, "deleted", "deleted")
        absent = ("pause", job.name) not in wanted
        if job.pause is not None and absent and not job.pause.created and not _torn(book, job.pause.offset):
            pausing.withdraw(book, job, book.now)
    for applied in list(book.holds.values()):
        if ("hold", applied.name) not in wanted and not _torn(book, applied.offset):
            end = applied.hold.end
            pausing.remove_hold(book, applied, book.now if end is None else min(book.now, end))


def _lost_its_definition(book: Book, job: Job) -> bool:
    """Whether a job had a definition that is nowhere any more; a torn one comes again."""
    return job.spec is None and job.spec_offset != NO_OFFSET and not _torn(book, job.spec_offset)


def _restore_wakes(book: Book) -> None:
    for job in book.jobs.values():
        if job.pause is not None and job.pause.active and job.pause.until is not None:
            book.wake_at(job.pause.until, "pause", job.name)
    for applied in book.holds.values():
        if applied.ended:
            continue
        if not applied.started and applied.hold.start is not None:
            book.wake_at(applied.hold.start, "hold-start", applied.name)
        if applied.hold.end is not None:
            book.wake_at(applied.hold.end, "hold-end", applied.name)


def _in_force(book: Book, key: tuple[str, str], change: Change) -> bool:
    """Whether the newest record of a key is what this shard applied already (or can never apply)."""
    kind, name = key
    if isinstance(change.wish, Rejected):
        return True
    job = book.jobs.get(name)
    match kind:
        case "job":
            return isinstance(change.wish, DeleteJob) or (job is not None and job.spec_offset == change.offset)
        case "pause":
            if job is None or job.pause is None:
                return not _pauses(change.wish, book.now)  # a resume leaves no trace on a job created since
            return job.pause.offset >= change.offset
        case "hold":
            applied = book.holds.get(name)
            return applied is not None and (applied.offset == change.offset or _torn(book, applied.offset))
        case _:
            return True


def _pauses(wish: Wish, now: int) -> bool:
    """Whether a wish is a pause that is not over."""
    return isinstance(wish, PauseJob) and (wish.until is None or wish.until > now)
