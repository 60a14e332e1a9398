"""A shard's book: its cursor, jobs, holds and timetable, and the few strokes with which the rules write in it."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from kadence.domain.agenda import Agenda
from kadence.domain.decision import Decision, Happening
from kadence.domain.job import Fitness, Job, Operator, State, effective_state, seen
from kadence.domain.partition import partition_for
from kadence.domain.timetable import Timetable

if TYPE_CHECKING:
    from kadence.domain.holds import Hold
    from kadence.domain.job import AppliedHold
    from kadence.domain.run import Run
    from kadence.domain.spec import JobSpec, Timing
    from kadence.domain.stimulus import Rejected

IDS_REMEMBERED: Final = 100


@dataclass(slots=True)
class Cursor:
    """How far a shard is: see "State records" in the contract. ``through`` in ms, the offsets are next to apply."""

    through: int
    after: str | None = None
    control: int = 0
    outcomes: int = 0


class Book:
    """Everything one shard knows. The rules beside this module, and `shard`, are its only writers."""

    def __init__(self, namespace: str, shard: int, shards: int, cursor: Cursor) -> None:
        """An empty book for shard ``shard`` of ``shards``."""
        self.namespace = namespace
        self.shard = shard
        self.shards = shards
        self.cursor = cursor
        self.now = cursor.through
        self.jobs: dict[str, Job] = {}
        self.holds: dict[str, AppliedHold] = {}
        self.timetable = Timetable()
        self.decision = Decision()
        self.owing: dict[str, Job] = {}
        self.ending: dict[str, Job] = {}
        self.problems: dict[str, str] = {}
        self.targets: dict[str, dict[str, Job]] = {}
        self.dead_letters = f"{namespace}.dead_letters"
        self.letter_topics: Counter[str] = Counter({self.dead_letters: 1})
        self.serial = 0
        """How many jobs run one at a time: those need to know of every outcome before a due time is decided."""
        self.agenda = Agenda()
        self.deadlines = Agenda()
        """What depends on outcomes that may be on their way; the agenda is the rest."""
        self.crowded: list[Job] = []
        """Jobs of which more runs are open than may be."""
        self.heard = 0
        self.graves: dict[str, Job] = {}
        self._next_grave = 0
        self._wakes: list[tuple[int, str, str]] = []

    def owns(self, name: str) -> bool:
        """Whether a name belongs to this shard."""
        return partition_for(name.encode(), self.shards) == self.shard

    def settled(self, job: Job, timing: Timing) -> int:
        """The due time up to which (inclusive) this job's are decided: its floor, or what the cursor has passed."""
        bound = self.cursor.through - timing.delay
        if self.cursor.after is not None and job.name > self.cursor.after:
            bound -= 1
        return max(bound, job.floor)

    def first_open(self) -> int:
        """The first firing instant that is not wholly decided."""
        return self.cursor.through + (1 if self.cursor.after is None else 0)

    def kept_from(self, timestamp: int) -> int:
        """From which firing instant something written at broker time ``timestamp`` keeps a job from firing.

        From its own time on, but never from before what is decided already.
        """
        return max(timestamp, self.cursor.through + 1)

    def define(self, job: Job, spec: JobSpec) -> None:
        """Give a job its definition; `undefine` comes first where it has another."""
        job.define(spec)
        self.serial += spec.serial
        if spec.dead_letters.topic is not None:
            self.letter_topics[spec.dead_letters.topic] += 1

    def undefine(self, job: Job) -> None:
        """Take a job's definition away."""
        spec, job.spec, job.serial = job.spec, None, False
        if spec is not None:
            self.serial -= spec.serial
            if (topic := spec.dead_letters.topic) is not None:
                self.letter_topics -= Counter({topic: 1})

    def run_of(self, name: str, run: str) -> Run | None:
        """What is remembered of a run of a job, or None."""
        job = self.jobs.get(name)
        return None if job is None else job.runs.get(run) or job.past.get(run)

    def dirty(self, job: Job) -> None:
        """The job's state record must be written with this transaction."""
        self.decision.jobs[job.name] = None

    def say(  # noqa: PLR0913  an event has this many parts, all but two optional
        self,
        kind: str,
        name: str,
        *,
        before: State | None = None,
        after: State | None = None,
        reason: str | None = None,
        by: str | None = None,
        offset: int | None = None,
        detail: dict[str, object] | None = None,
    ) -> None:
        """Emit an event."""
        self.decision.happenings.append(Happening(kind, name, before, after, reason, by, offset, detail or {}))

    def say_unreadable(self, topic: str, offset: int, name: str, rejected: Rejected, **more: object) -> None:
        """Emit the event of a record in our partition of a topic (``state``, ``outcomes``) that cannot be read."""
        place = {"topic": f"{self.namespace}.{topic}", "partition": self.shard, "offset": offset}
        excerpt = rejected.excerpt.decode("utf-8", "replace")
        self.say("record.rejected", name, reason=rejected.error, detail={**place, **more, "excerpt": excerpt})

    def restate(self, job: Job, at: int, reason: str | None, by: str | None) -> tuple[State, State]:
        """Bring the job's own state up to date after a transition; returns what people see (before, after)."""
        before = job.state
        job.state = effective_state(job.operator, job.fitness, held=False, finished=job.finished)
        if job.state is not before:
            job.since = at
        job.reason = next((trouble.reason for trouble in job.troubles()), None)
        job.by = by
        if job.fitness is Fitness.CLOSED:
            job.reason = reason if job.operator is Operator.PAUSED else None
        self.dirty(job)
        return seen(before, job), seen(job.state, job)

    def transition(self, before: State | None, to: str, reason: str, count: int = 1) -> None:
        """Count a transition of so many jobs for the metric, where it is one."""
        if before != to and count:
            self.decision.transitions[to, reason] += count

    def wake_at(self, instant: int, kind: str, name: str) -> None:
        """Ask to be woken when the cursor gets to an instant: a pause's ``until``, a hold's start or end."""
        heapq.heappush(self._wakes, (instant, kind, name))

    def next_wake(self) -> int | None:
        """When the earliest wake is due, or None."""
        return self._wakes[0][0] if self._wakes else None

    def pop_wake(self) -> tuple[int, str, str]:
        """Take the earliest wake. A wake may be stale: whoever handles it looks whether it still applies."""
        return heapq.heappop(self._wakes)

    def forget(self, job: Job) -> None:
        """Drop a job that has neither spec nor pause left; its state record becomes a tombstone.

        One that fired after it was deleted (the shard read the record late) leaves its floor behind until control
        has got there, or it would fire the same due times again if the next record creates it anew.
        """
        if job.spec is None and job.operator is Operator.OPEN:
            self.owing.pop(job.name, None)
            if job.floor > self.heard:
                self.bury(job)
            else:
                self.jobs.pop(job.name, None)

    def bury(self, job: Job) -> None:
        """Keep what is left of a job until control has got to its floor."""
        self._next_grave = min(self._next_grave, job.floor) if self.graves else job.floor
        self.graves[job.name] = job

    def hear(self, timestamp: int) -> None:
        """Control has got to this broker time: what only waited for that is forgotten."""
        self.heard = max(self.heard, timestamp)
        if not self.graves or self.heard < self._next_grave:
            return
        for job in [job for job in self.graves.values() if job.floor <= self.heard or job.spec is not None]:
            del self.graves[job.name]
            if job.spec is None:
                self.forget(job)
                self.dirty(job)
        self._next_grave = min((job.floor for job in self.graves.values()), default=0)

    def swap_hold(self, applied: AppliedHold, **changes: object) -> AppliedHold:
        """Record that a hold started or ended; its jobs are given the new value by the caller."""
        changed = replace(applied, **changes)  # type: ignore[arg-type]  # names are checked by `replace`
        self.holds[applied.name] = changed
        self.decision.holds[applied.name] = None
        return changed

    def matching(self, hold: Hold, job: Job) -> bool:
        """Whether a hold is over a job. A pause without a spec has no tags and nothing to hold."""
        return job.spec is not None and hold.match.matches(job.name, job.spec.tags)
