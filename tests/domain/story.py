"""A readable driver of one shard: control records, outcomes and ticks in, execution ids out, rebuilt at will.

Times are seconds after `START`. Everything goes over the wire format both ways, so a story also tells whether what a
shard writes is enough to go on from: `rebuild` compacts both logs and starts a new shard from them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kadence.domain.book import Book, Cursor
from kadence.domain.duration import format_time, parse_time
from kadence.domain.firing import firing_id, run_id
from kadence.domain.job import AppliedHold
from kadence.domain.restore import Memory, rebuild
from kadence.domain.run import Run
from kadence.domain.shard import Shard
from kadence.domain.stimulus import Failure, Outcome, OutcomesHeard, PutJob, TargetChanged, Tick
from kadence.wire import control, state

if TYPE_CHECKING:
    from collections.abc import Callable

    from kadence.domain.decision import DeadLetter, Decision, Happening
    from kadence.domain.job import Job
    from kadence.domain.stimulus import Change

NAMESPACE = "kadence"
START = parse_time("2026-11-23T09:00:00Z")
NO_LIMIT = 1_000_000


def at(seconds: float) -> int:
    """The instant (ms) so many seconds into the story."""
    return START + round(seconds * 1000)


def when(seconds: float) -> str:
    """The same as the contract writes it."""
    return format_time(at(seconds))


class Story:
    """One shard of one, its two compacted logs, and everything it ever decided."""

    def __init__(self, make: Callable[[Book], Shard] = Shard) -> None:
        self.make = make
        self.now = 0.0
        self.fires: list[str] = []
        self.causes: list[str] = []
        self.values: list[bytes] = []
        self.happenings: list[Happening] = []
        self.letters: list[DeadLetter] = []
        self.missed: dict[str, int] = {}
        self.dropped: dict[str, int] = {}
        self.refused: list[tuple[int, str]] = []
        self.decisions: list[Decision] = []
        self.log: list[tuple[int, bytes, bytes | None]] = []
        self.state: dict[bytes, bytes] = {}
        self.reports: list[Outcome] = []
        self.problems: dict[str, str | None] = {}
        self.shard = make(Book(NAMESPACE, 0, 1, Cursor(START)))

    # --- what happens ------------------------------------------------------------------------------------

    def control(self, key: str, value: object = None, at: float | None = None) -> int:
        """Write a record at broker time ``at`` (now, if left out) and apply it; the worker's clock stays."""
        offset = self.write(key, value, at)
        self.apply()
        return offset

    def write(self, key: str, value: object = None, at: float | None = None) -> int:
        """Write a record that the shard has not read yet."""
        raw = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
        instant = START + round((self.now if at is None else at) * 1000)
        self.log.append((instant, key.encode(), raw))
        return len(self.log) - 1

    def apply(self, count: int | None = None) -> None:
        """Apply what was written, all of it or the next few records, without committing."""
        first = self.shard.book.cursor.control
        last = len(self.log) if count is None else min(len(self.log), first + count)
        for offset in range(first, last):
            change = self._change(offset)
            if isinstance(change.wish, PutJob):
                spec = change.wish.spec
                for topic in (spec.target.topic, spec.dead_letters.topic):
                    if topic is not None:
                        self._look(topic)
            self.shard.step(change, at(self.now))

    def outcome(
        self,
        id_: str,
        status: str,
        at: float | None = None,
        error: str | None = None,
        until: float | None = None,
    ) -> None:
        """An executor reports, at broker time ``at`` (now, if left out), and the shard hears of it."""
        instant = START + round((self.now if at is None else at) * 1000)
        job = id_.partition("@")[0].partition("!")[0]
        failure = None if error is None else Failure(*error.split(": ", 1))
        later = None if until is None else START + round(until * 1000)
        self.reports.append(Outcome(len(self.reports), instant, job, id_, status, failure, until=later))
        self.hear()

    def hear(self) -> None:
        """Apply what was reported and the cursor has not passed: after a crash before a commit some of it again."""
        for report in self.reports[self.shard.book.cursor.outcomes :]:
            self.shard.step(report, at(self.now))

    def target(self, topic: str, problem: str | None) -> None:
        """A topic for executions or dead letters goes away or comes back, and the process sees it."""
        self.problems[topic] = problem
        if topic in self._topics():
            self._look(topic)

    def _topics(self) -> set[str]:
        book = self.shard.book
        return {*book.targets, *book.letter_topics, *book.problems}

    def _look(self, topic: str) -> None:
        self.shard.step(TargetChanged(topic, self.problems.get(topic)), at(self.now))

    def tick(self, now: float, limit: int = NO_LIMIT, rounds: int | None = None) -> bool:
        """Let it be ``now`` and decide until nothing is left, or so many rounds; commits after each round."""
        self.now = now
        if self.shard.awaits_outcomes(at(now)):  # every outcome that there is was applied when it was reported
            self.shard.step(OutcomesHeard(at(now)), at(now))
        more, done = True, 0
        while more and (rounds is None or done < rounds):
            more = self.shard.step(Tick(limit), at(now))
            self.commit()
            done += 1
        return more

    def commit(self) -> Decision:
        """One transaction: remember what was decided, and write the state records."""
        decision, book = self.shard.take(), self.shard.book
        self.decisions.append(decision)
        self.fires += [firing_id(run_id(fire.name, fire.time, fire.command), fire.n) for fire in decision.fires]
        self.causes += [fire.cause for fire in decision.fires]
        self.values += [fire.spec.payload.data if fire.payload is None else fire.payload for fire in decision.fires]
        self.happenings += decision.happenings
        self.refused += [(refusal.offset, refusal.error) for refusal in decision.refusals]
        for happening in decision.happenings:
            counts = {"job.missed": self.missed, "job.dropped": self.dropped}.get(happening.kind)
            if counts is not None:
                number = happening.detail["count"]
                assert isinstance(number, int)
                counts[happening.name] = counts.get(happening.name, 0) + number
        for name in decision.jobs:
            job = book.jobs.get(name)
            self._put(b"job/" + name.encode(), None if job is None else state.encode_job(job))
        for name, run in decision.runs:
            found = book.run_of(name, run)
            self._put(b"run/" + run.encode(), None if found is None else state.encode_run(found))
        self.letters += decision.letters
        for name in decision.holds:
            hold = book.holds.get(name)
            self._put(b"hold/" + name.encode(), None if hold is None else state.encode_hold(hold))
        self._put(b"cursor", state.encode_cursor(self._cursor()))
        return decision

    def rebuild(self, forget: bool = False) -> None:  # noqa: FBT001, FBT002  a story reads rebuild(forget=True)
        """The owner dies; another one starts from the compacted logs. ``forget``: without a last commit."""
        if not forget:
            self.commit()
        record = state.decode_cursor(self.state[b"cursor"])
        assert isinstance(record, state.CursorRecord)
        memory = Memory()
        for key, value in self.state.items():
            kind, _, name = key.decode().partition("/")
            if kind == "job":
                read = state.decode_job(name, value, NAMESPACE)
                assert isinstance(read, state.JobRecord), read
                memory.jobs[name] = read.job
                if read.spec is not None:
                    memory.specs[name] = read.spec
            elif kind == "run":
                run = state.decode_run(name, value)
                assert isinstance(run, Run), run
                memory.runs.setdefault(name.partition("@")[0].partition("!")[0], {})[name] = run
            elif kind == "hold":
                hold = state.decode_hold(name, value)
                assert isinstance(hold, AppliedHold), hold
                memory.holds[name] = hold
        book = Book(NAMESPACE, 0, 1, record.cursor())
        rebuild(book, memory, self.wanted(record.control), at(self.now))
        self.shard = self.make(book)
        for topic in sorted(self._topics()):
            self._look(topic)

    def wanted(self, below: int) -> dict[tuple[str, str], Change]:
        """The compacted control log: the newest record per key below an offset, tombstones gone."""
        newest = {key: offset for offset, (_, key, _) in enumerate(self.log[:below])}
        changes = [self._change(offset) for offset in newest.values() if self.log[offset][2] is not None]
        return {(change.kind, change.name): change for change in changes if change.kind in {"job", "pause", "hold"}}

    # --- what can be seen --------------------------------------------------------------------------------

    def dues(self, name: str = "a") -> list[float]:
        """The due times of a job's scheduled executions in the order they were emitted, seconds into the story."""
        found = [id_.partition("@")[2] for id_ in self.fires if id_.startswith(f"{name}@")]
        return [(parse_time(due) - START) / 1000 for due in found]

    def triggers(self, name: str = "a") -> list[str]:
        """The ids of a job's triggered executions."""
        return [id_.partition("!")[2] for id_ in self.fires if id_.startswith(f"{name}!")]

    def job(self, name: str = "a") -> Job:
        """A job as the shard has it."""
        return self.shard.book.jobs[name]

    def said(self, kind: str, name: str | None = None) -> list[Happening]:
        """The events of a kind."""
        return [it for it in self.happenings if it.kind == kind and (name is None or it.name == name)]

    def states(self) -> dict[bytes, bytes]:
        """What stands in the state log, cursors aside."""
        return {key: value for key, value in self.state.items() if key != b"cursor"}

    def _change(self, offset: int) -> Change:
        timestamp, key, value = self.log[offset]
        return control.decode(key, value, offset, timestamp, NAMESPACE)

    def _cursor(self) -> state.CursorRecord:
        cursor = self.shard.book.cursor
        return state.CursorRecord(
            cursor.through, cursor.after, cursor.control, "topic", cursor.outcomes, "worker", "2026f"
        )

    def _put(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self.state.pop(key, None)
        else:
            self.state[key] = value


def every(seconds: float, **fields: object) -> dict[str, object]:
    """A JobSpec with a fixed period, aligned to the story's start when it divides an hour."""
    return {"schedule": {"every": f"{round(seconds * 1000)}ms"}, **fields}


EVERYTHING = {"policy": "all", "window": "7d"}
"""Catch up on all there is: every due time then runs exactly once, however late."""
