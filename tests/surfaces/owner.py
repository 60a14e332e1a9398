"""A small owner of every shard: reads control, steps the real fold, commits what follows. No schedule ever fires."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from kadence.clock import SystemClock
from kadence.domain.shard import Book, Cursor, Shard
from kadence.domain.stimulus import Change, Outcome, TargetChanged
from kadence.log.memory import MemoryLog
from kadence.log.port import EARLIEST
from kadence.log.topics import init_topics
from kadence.wire import control, state

if TYPE_CHECKING:
    from types import TracebackType

    from kadence.log.port import LogWriter, Record

NS = "ns"


def a_log(shards: int = 3) -> MemoryLog:
    """A log with the topics of namespace ``ns``, stamped by the machine's clock."""
    log = MemoryLog(SystemClock().wall)
    log.set_brokers(3)
    init_topics(log.admin(), NS, shards)
    return log


class Owner:
    """``with Owner(log):`` applies what is written meanwhile; `catch_up` applies what is there, without a thread."""

    def __init__(self, log: MemoryLog, worker: str = "worker-1") -> None:
        self.log, self.worker = log, worker
        self._clock = SystemClock()
        shards = log.admin().describe([f"{NS}.state"])[f"{NS}.state"].partitions
        self.shards = [Shard(Book(NS, number, shards, Cursor(self._clock.wall()))) for number in range(shards)]
        self._writers: list[LogWriter] = [log.writer(f"{NS}.shard.{number}") for number in range(shards)]
        self._reader = log.reader()
        self._reader.assign(f"{NS}.control", 0, EARLIEST)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run)

    def catch_up(self) -> None:
        while records := self._reader.read(100, 0):
            self._apply(records)

    def outcome(self, outcome: Outcome) -> None:
        shard = next(one for one in self.shards if one.book.owns(outcome.job))
        self._step(shard, outcome, [])

    def lose_target(self, topic: str, problem: str) -> None:
        for shard in self.shards:
            self._step(shard, TargetChanged(topic, problem), [])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._apply(self._reader.read(100, 0.05))

    def _apply(self, records: list[Record]) -> None:
        for record in records:
            change = control.decode(record.key, record.value, record.offset, record.timestamp, NS)
            for shard in self.shards:
                if change.kind == "hold" or shard.book.owns(change.name):
                    self._step(shard, change, [])

    def _step(self, shard: Shard, stimulus: Change | Outcome | TargetChanged, refused: list[tuple[int, str]]) -> None:
        with self._lock:  # a test reports outcomes while the thread applies what it wrote
            self._decide(shard, stimulus, refused)

    def _decide(self, shard: Shard, stimulus: Change | Outcome | TargetChanged, refused: list[tuple[int, str]]) -> None:
        shard.step(stimulus, self._clock.wall())
        decision, book = shard.take(), shard.book
        refused += [(refusal.offset, refusal.error) for refusal in decision.refusals]
        writer, topic = self._writers[book.shard], f"{NS}.state"
        writer.begin()
        for name in decision.jobs:
            job = book.jobs.get(name)
            writer.send(topic, book.shard, f"job/{name}".encode(), None if job is None else state.encode_job(job))
        for name, run in decision.runs:
            found = book.run_of(name, run)
            writer.send(topic, book.shard, f"run/{run}".encode(), None if found is None else state.encode_run(found))
        for name in decision.holds:
            hold = book.holds.get(name)
            writer.send(topic, book.shard, f"hold/{name}".encode(), None if hold is None else state.encode_hold(hold))
        cursor = state.CursorRecord(
            through=book.cursor.through,
            after=book.cursor.after,
            control=book.cursor.control,
            control_topic_id="memory",
            outcomes=book.cursor.outcomes,
            worker=self.worker,
            tzdata="2026.1",
            rejected=tuple(refused),
        )
        writer.send(topic, book.shard, state.CURSOR, state.encode_cursor(cursor))
        writer.commit()
