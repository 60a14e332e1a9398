"""The in-process log as a `Bench`."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

from kadence.log.memory import MemoryLog
from kadence.log.memory.faults import Fault, LateEndTxn, UnknownCommit
from tests.log.bench import FILLER, Trouble, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kadence.log.memory.faults import Point
    from kadence.log.port import Log

_FAULTS: Final[Mapping[Trouble, Fault | None]] = {
    Trouble.NONE: None,
    Trouble.REQUEST_LOST: UnknownCommit(applied=False),
    Trouble.REQUEST_HELD: LateEndTxn(),
    Trouble.ANSWER_LOST: UnknownCommit(applied=True),
}


class MemoryBench:
    """A `tests.log.bench.Bench` on a cluster of its own; its clock advances with every record stamped."""

    def __init__(self) -> None:
        self._now = 1_760_000_000_000
        self._names = count()
        self._trouble = Trouble.NONE
        self.cluster = MemoryLog(self._clock)
        self.cluster.faults = self
        self.log: Log = self.cluster.start("one")
        self.other: Log = self.cluster.start("two")
        self._frail = self.cluster.start("frail")
        self.frail: Log = self._frail

    def _clock(self) -> int:
        self._now += 1
        return self._now

    def at(self, point: Point, who: object) -> Fault | None:
        frail = getattr(who, "process", None) is self._frail.process
        return _FAULTS[self._trouble] if frail and point == "writer.commit" else None

    def name(self, kind: str) -> str:
        return f"{kind}-{next(self._names)}"

    def topic(self, partitions: int = 1, **config: str) -> str:
        name = self.name("topic")
        settings = {"message.timestamp.type": "LogAppendTime"}
        settings |= {key.replace("_", "."): value for key, value in config.items()}
        self.log.admin().create(name, partitions, -1, settings)
        return name

    def compacted(self) -> str:
        return self.topic(cleanup_policy="compact", delete_retention_ms="1")

    def compact_until(self, topic: str, done: Callable[[], bool]) -> None:
        def step() -> bool:
            self.log.appender().append(topic, 0, FILLER, b"rolls the segment")
            self.cluster.roll(topic, 0)
            self.cluster.compact(topic, 0)
            return done()

        wait_until(step)

    def retain(self, topic: str, partition: int, start: int) -> None:
        self.cluster.retain(topic, partition, start)

    def recreate(self, topic: str) -> None:
        self.cluster.recreate(topic)

    def trouble(self, trouble: Trouble) -> None:
        self._trouble = trouble

    def deliver(self) -> None:
        while self.cluster.in_flight:
            self.cluster.deliver_late()
