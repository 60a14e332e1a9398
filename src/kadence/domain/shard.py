"""The fold of one shard: `Shard.step` takes one stimulus and adds what follows from it to the decision in hand.

Pure: the same stimuli at the same instants give the same decisions on every machine. Whoever runs the shard
commits `take()` in one transaction together with the cursor, and throws the whole shard away if that fails.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, assert_never

from kadence.domain import breaker, changes, launch, outcomes, pausing, settle
from kadence.domain.book import Book, Cursor
from kadence.domain.decision import Decision, Fire
from kadence.domain.owed import can_run_owed, run_owed
from kadence.domain.stimulus import BadOutcome, Change, Outcome, OutcomesHeard, OutcomesLost, TargetChanged, Tick

if TYPE_CHECKING:
    from kadence.domain.job import Job
    from kadence.domain.stimulus import Stimulus

__all__ = ["Book", "Cursor", "Shard"]


class Shard:
    """One shard's machine. ``book`` is readable by anyone, written only by the rules."""

    def __init__(self, book: Book) -> None:
        """A shard that goes on from a book: empty, or as `kadence.domain.restore` rebuilt it."""
        self.book = book
        self._burst: list[tuple[Job, int]] = []
        self._position = 0
        self._burst_version = -1
        self._burst_instant = -1
        self._burst_now = 0

    def step(self, stimulus: Stimulus, now: int) -> bool:
        """Take one stimulus at wall time ``now`` (ms; one before the cursor counts as the cursor).

        True where a tick left something that is due already: tick again, after the commit.
        """
        book = self.book
        book.now = max(now, book.cursor.through)
        more = False
        match stimulus:
            case Tick(limit):
                more = self._tick(limit)
            case Change():
                self._wake_before(stimulus.timestamp)
                changes.apply(book, stimulus)
                book.cursor.control = stimulus.offset + 1
            case Outcome():
                outcomes.hear(book, stimulus)
                book.cursor.outcomes = stimulus.offset + 1
            case BadOutcome():
                self._refuse_outcome(stimulus)
                book.cursor.outcomes = stimulus.offset + 1
            case OutcomesHeard(through):
                outcomes.overdue(book, min(through, book.now))
            case OutcomesLost(begin):
                self._go_on_from(begin)
            case TargetChanged(topic, problem):
                breaker.target_changed(book, topic, problem)
            case _:
                assert_never(stimulus)
        outcomes.give_up_oldest(book)
        return more

    def take(self) -> Decision:
        """Hand over what was decided since the last call."""
        decision, self.book.decision = self.book.decision, Decision()
        return decision

    def next_due(self) -> int | None:
        """The instant (ms) at which there is something to decide; None where nothing is scheduled."""
        book = self.book
        if can_run_owed(book):
            return book.cursor.through
        late = book.deadlines.next()
        if late is not None and late <= book.now:  # not ours to decide before outcomes are heard up to now
            late = None
        candidates = (book.timetable.next_instant(), book.next_wake(), book.agenda.next(), late)
        return min((at for at in candidates if at is not None), default=None)

    def awaits_outcomes(self, now: int) -> bool:
        """Whether something is to be decided by ``now`` (ms) once every outcome from before then is applied."""
        late = self.book.deadlines.next()
        return late is not None and late <= now

    def _refuse_outcome(self, bad: BadOutcome) -> None:
        book = self.book
        book.decision.records["outcome", "rejected"] += 1
        book.say_unreadable("outcomes", bad.offset, bad.key, bad.rejected)

    def _go_on_from(self, begin: int) -> None:
        """What outcomes the log has lost is not known; it is said, and the shard goes on with those that there are."""
        book = self.book
        book.say("shard.outcomes_lost", str(book.shard), detail={"from": book.cursor.outcomes, "to": begin})
        book.cursor.outcomes = begin

    def _tick(self, limit: int) -> bool:
        """Decide everything from the cursor to now, in order of instants and, within one, of names."""
        book, cursor = self.book, self.book.cursor
        left = limit - len(book.decision.fires)
        while left > 0:
            instant, wake = book.timetable.next_instant(), book.next_wake()
            if wake is not None and wake <= book.now and (instant is None or wake <= instant):
                self._wake()
            elif instant is not None and instant <= book.now:
                before = len(book.decision.fires)
                if not self._walk(instant, left):
                    return True
                left -= len(book.decision.fires) - before
            else:
                if book.now > cursor.through:
                    cursor.through, cursor.after = book.now, None
                left -= outcomes.attend(book, left)
                left -= run_owed(book, left)
                changes.finish_settled(book)
                return left <= 0 or can_run_owed(book)
        return True

    def _wake_before(self, timestamp: int) -> None:
        """Whatever ended or began by itself before a record was written did so before the record is applied."""
        while (wake := self.book.next_wake()) is not None and wake <= timestamp:
            self._woken(*self.book.pop_wake())

    def _wake(self) -> None:
        book = self.book
        instant, kind, name = book.pop_wake()
        if instant - 1 > book.cursor.through:
            book.cursor.through, book.cursor.after = instant - 1, None
        self._woken(instant, kind, name)

    def _woken(self, instant: int, kind: str, name: str) -> None:
        book = self.book
        if kind == "pause":
            pausing.wake_pause(book, name, instant)
        else:
            pausing.wake_hold(book, name, instant)

    def _walk(self, instant: int, limit: int) -> bool:
        """Decide the jobs due at one instant, by name; False where ``limit`` executions were reached before the end."""
        book, cursor = self.book, self.book.cursor
        if self._burst_version != book.timetable.version or self._burst_instant != instant:
            self._open_burst(instant)
        burst, fires, now = self._burst, book.decision.fires, book.now
        position, stop, scheduled = self._position, len(fires) + limit, 0
        while position < len(burst) and len(fires) < stop:
            job, due = burst[position]
            position += 1
            if job.blocked and self._kept(job, due, instant):
                continue
            if instant < now - job.grace:
                self._miss(job, due, instant)
            elif due <= job.floor:
                continue
            elif job.serial:
                launch.fire(book, job, due, "schedule")
            else:
                fires.append(Fire(job.name, job.spec, due, "schedule"))  # type: ignore[arg-type]  # only jobs with a spec are due
                scheduled += 1
        if scheduled:
            book.decision.instants[instant] += scheduled
        self._position = position
        if position < len(burst):
            cursor.through, cursor.after = instant, burst[position - 1][0].name
            return False
        cursor.through, cursor.after = instant, None
        for job in book.timetable.advance(instant, self._burst_now):
            changes.finish(book, job)
        self._burst_version = -1
        return True

    def _open_burst(self, instant: int) -> None:
        """List who is due at an instant, from the cursor on: anew whenever the timetable changed under a burst."""
        book, cursor = self.book, self.book.cursor
        burst = book.timetable.due_at(instant)
        if cursor.through == instant and cursor.after is not None:
            burst = burst[bisect_right(burst, cursor.after, key=lambda pair: pair[0].name) :]
        self._burst, self._position = burst, 0
        self._burst_version, self._burst_instant, self._burst_now = book.timetable.version, instant, book.now

    def _kept(self, job: Job, due: int, instant: int) -> bool:
        """Whether a blocked job's due time is not to be decided here: settled, kept, or waiting."""
        if due <= job.floor or job.kept_at(instant):
            return True
        if not job.kept_now(self.book.now):
            settle.judge_waiting(self.book, job)  # what waited until then was due before
            return False
        if job.spec is not None:
            settle.judge(self.book, job, job.spec.timing, due - 1, due)
        return True

    def _miss(self, job: Job, due: int, instant: int) -> None:
        """Settle all the missed due times of a job at once: up to its grace ago, or to where it begins to be kept."""
        if job.spec is None:
            return
        timing = job.spec.timing
        edges = (edge for window in job.windows() for edge in window if edge is not None and edge > instant)
        horizon = min([self.book.now - job.grace, *edges]) if job.blocked else self.book.now - job.grace
        low, high = max(job.floor, due - 1), horizon - timing.delay - 1
        if low < high:
            settle.miss(self.book, job, timing, low, high)
            settle.settle_through(job, timing, high)
            self.book.dirty(job)
