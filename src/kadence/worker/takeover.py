"""Taking over a shard: fence, mark, read everything up to the marks, and only then decide (ARCHITECTURE, law 2).

The marks (barriers) are records of our own with a fresh nonce: one on ``state[p]``, committed with the producer
that has just fenced its predecessor, so that nothing of the predecessor can follow it; one on control, so that every
command written before we came is known to have been read. End-of-partition, watermarks and idle time would all
lie while some transaction is open.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from kadence.domain.book import Book, Cursor
from kadence.domain.firing import read_firing
from kadence.domain.restore import Memory, rebuild
from kadence.domain.shard import Shard
from kadence.domain.stimulus import Rejected, TargetChanged
from kadence.errors import ConfigurationError, FencedError, UnreadableError
from kadence.log.port import EARLIEST
from kadence.log.topics import Applied, control_recreated
from kadence.wire import control, state
from kadence.worker.skew import read_clocks

if TYPE_CHECKING:
    from collections.abc import Callable

    from kadence.log.port import LogReader, LogWriter, Receipt, Record
    from kadence.worker.environment import Environment

logger = logging.getLogger(__name__)

PATIENCE: Final = 30_000
"""Milliseconds to wait for our own mark on control; a foreign open transaction may hide it for longer."""
_BATCH: Final = 10_000
_LONGEST_KEY: Final = 300
"""Characters of a stranger's key that are told."""


class Phase(Enum):
    """Where a takeover stands."""

    FENCING = auto()
    READING = auto()
    AWAITING_CONTROL = auto()
    DONE = auto()


@dataclass(slots=True)
class Found:
    """What the state partition says."""

    memory: Memory = field(default_factory=Memory)
    cursor: state.CursorRecord | None = None
    unreadable: dict[str, tuple[int, Rejected]] = field(default_factory=dict)
    """Key to offset and reason of what cannot be read and was not replaced since."""


class Takeover:
    """One takeover of one shard, a step at a time; any error abandons it, and the next one starts afresh."""

    def __init__(self, environment: Environment, shard: int, assigned: Callable[[], bool]) -> None:
        """``assigned`` tells whether the group still means us to run this shard."""
        self._env = environment
        self._shard = shard
        self._assigned = assigned
        self._reader: LogReader | None = None
        self._found = Found()
        self._deadline = 0
        self._position = -1
        self.phase = Phase.FENCING
        self.nonce = environment.nonce()
        self.writer: LogWriter | None = None
        self.barrier: Receipt | None = None
        self.sent = read_clocks(environment.clock)
        self.acknowledged = 0
        self.through_control = 0
        """Nothing fires before the shard's cursor is past this control offset."""
        self.control_topic_id = ""
        self.tzdata_before: str | None = None

    def step(self) -> bool:
        """Do the next part; False where there was nothing to do but wait. Raises what the log raises."""
        match self.phase:
            case Phase.FENCING:
                return self._fence()
            case Phase.READING:
                return self._read()
            case Phase.AWAITING_CONTROL:
                return self._await_control()
            case Phase.DONE:
                return False

    def close(self) -> None:
        """Release what is not handed over."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _fence(self) -> bool:
        env, shard = self._env, self._shard
        if not self._assigned():
            return False
        self.writer = env.log.writer(f"{env.namespace}.shard.{shard}")
        if not self._assigned():
            return False
        self.writer.begin()
        value = state.encode_barrier(env.worker, self.nonce)
        self.sent = read_clocks(env.clock)
        self.writer.send(env.topic("state"), shard, state.BARRIER, value)
        self.barrier = self.writer.commit()
        self.acknowledged = env.clock.wall()
        env.appender.append(env.topic("control"), 0, control.key_of("barrier", str(shard)), value)
        self._reader = env.log.reader()
        self._reader.assign(env.topic("state"), shard, EARLIEST)
        self.phase = Phase.READING
        return True

    def _read(self) -> bool:
        if self._reader is None:
            return False
        records = self._reader.read(_BATCH, 0.5)
        for record in records:
            if record.key == state.BARRIER and state.barrier_nonce(record.value) == self.nonce:
                self.close()
                self._check_cursor()
                self.phase = Phase.AWAITING_CONTROL
                return True
            if self.barrier is not None and record.offset > self.barrier.offset:
                message = f"another worker took shard {self._shard} over, and its mark has replaced ours"
                raise FencedError(message)
            self._remember(record)
        return bool(records)

    def _remember(self, record: Record) -> None:
        """Keep the newest of each state record."""
        key = (record.key or b"").decode("utf-8", "replace")
        kind, _, name = key.partition("/")
        found, memory, value = self._found, self._found.memory, record.value
        found.unreadable.pop(key, None)
        decoded: object = None
        match kind:
            case "cursor" if value is not None:
                decoded = state.decode_cursor(value)
                if isinstance(decoded, state.CursorRecord):
                    found.cursor = decoded
            case "job":
                memory.jobs.pop(name, None)
                memory.specs.pop(name, None)
                if value is not None:
                    decoded = state.decode_job(name, value, self._env.namespace)
                    if isinstance(decoded, state.JobRecord):
                        memory.jobs[name] = decoded.job
                        if decoded.spec is not None:
                            memory.specs[name] = decoded.spec
            case "run":
                decoded = self._remember_run(name, value)
            case "hold":
                memory.holds.pop(name, None)
                if value is not None:
                    decoded = state.decode_hold(name, value)
                    if not isinstance(decoded, Rejected):
                        memory.holds[name] = decoded
            case _:
                pass
        if isinstance(decoded, Rejected):
            found.unreadable[key] = record.offset, decoded

    def _remember_run(self, id_: str, value: bytes | None) -> object:
        """Keep the newest of a run's records, by its job."""
        firing = read_firing(id_)
        if firing is None:
            error = f"state record run/{id_[:_LONGEST_KEY]} names no run"
            return None if value is None else Rejected(error, value[: control.EXCERPT])
        runs = self._found.memory.runs.setdefault(firing.job, {})
        runs.pop(id_, None)
        if value is None:
            return None
        decoded = state.decode_run(id_, value)
        if not isinstance(decoded, Rejected):
            runs[id_] = decoded
        return decoded

    def _check_cursor(self) -> None:
        """A shard whose cursor cannot be read is not run: it would lose due times, or run them again."""
        offset, rejected = self._found.unreadable.get("cursor", (0, None))
        if rejected is not None:
            message = (
                f"{self._env.topic('state')}[{self._shard}] at offset {offset}: {rejected.error}. Where a newer "
                "kadence wrote it, run that one; where somebody else did, write the newest good cursor before it "
                "again, under its key"
            )
            raise UnreadableError(message)

    def _report_unreadable(self, book: Book) -> None:
        """Say which of its memories the shard goes on without: those jobs and holds begin anew."""
        for found, (offset, rejected) in self._found.unreadable.items():
            key = found[:_LONGEST_KEY]
            logger.error("shard %d: %s; it begins anew", self._shard, rejected.error)
            book.say_unreadable("state", offset, key.partition("/")[2], rejected, key=key)

    def _await_control(self) -> bool:
        tail, now = self._env.tail, self._env.clock.monotonic()
        offset = tail.offset_of(self.nonce)
        if offset is None and tail.position != self._position:
            self._position, self._deadline = tail.position, now + PATIENCE  # it is still reading, not held up
        if offset is None and now < self._deadline:
            return False
        if offset is None and self._tail_is_behind():
            self._deadline = now + PATIENCE
            return False
        if offset is None:
            logger.error(
                "shard %d: our own mark on control has not come back for %d s; an open transaction of someone else "
                "may hide commands (see kadence status). Going on with what can be read",
                self._shard,
                PATIENCE // 1000,
            )
        self.through_control = tail.position - 1 if offset is None else offset
        self.phase = Phase.DONE
        return True

    def _tail_is_behind(self) -> bool:
        """Whether the tail is merely slow: what it has not read yet, but could, must not be mistaken for absent."""
        position, found = self._env.tail.position, self._found.cursor
        if found is not None and position < found.control:
            return True
        reader = self._env.log.reader()
        try:
            reader.assign(self._env.topic("control"), 0, position or EARLIEST)
            return bool(reader.read(1, 5.0))
        finally:
            reader.close()

    def build(self, now: int) -> Shard:
        """The shard as the log has it; call once `phase` is DONE."""
        env, found = self._env, self._found.cursor
        self.control_topic_id = env.control_topic_id()
        if found is None:
            cursor = Cursor(self._beginning(now))
        else:
            self._check_control(found)
            cursor, self.tzdata_before = found.cursor(), found.tzdata
        book = Book(env.namespace, self._shard, env.shards, cursor)
        wanted = {}
        for record in env.tail.level(self._shard, cursor.control):
            change = control.decode(record.key, record.value, record.offset, record.timestamp, env.namespace)
            if change.kind in {"job", "pause", "hold"}:
                wanted[change.kind, change.name] = change
        rebuild(book, self._found.memory, wanted, now)
        self._report_unreadable(book)
        shard = Shard(book)
        env.targets.ensure({*book.targets, *book.letter_topics})
        for topic in sorted({*book.targets, *book.letter_topics, *book.problems}):
            shard.step(TargetChanged(topic, env.targets.problem(topic)), now)
        return shard

    def _beginning(self, now: int) -> int:
        """Where a shard without a cursor begins: at the oldest record that concerns it.

        Its records are all applied before it decides anything, so that each job, pause and hold has the time that is
        its own, as if the shard had been run all the while.
        """
        if self.barrier is None:
            message = "a takeover is built after its barrier"
            raise RuntimeError(message)
        begin = self.barrier.timestamp if self._env.broker_clock else now
        oldest, _ = self._env.tail.since(self._shard, 0, 1)
        return min([begin, *(record.timestamp for record in oldest)])

    def _check_control(self, found: state.CursorRecord) -> None:
        """A control topic that is not the one the cursor speaks of would make new commands look applied."""
        env = self._env
        applied = Applied(self._shard, found.control, found.control_topic_id)
        finding = control_recreated(env.namespace, applied, self.control_topic_id, env.tail.position)
        if finding is not None:
            raise ConfigurationError(finding.sentence)
