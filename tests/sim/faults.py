"""Which fault meets which effect: drawn from a seeded source, counted, and switched off for the healing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from kadence.log.memory.faults import POSSIBLE, DuplicateEndTxn
from kadence.log.memory.transactions import EndTxn

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from kadence.log.memory import MemoryLog
    from kadence.log.memory.faults import Fault, Point
    from tests.sim.times import BrokerTime

POINTS: Final[tuple[Point, ...]] = (
    "writer.open",
    "writer.begin",
    "writer.send",
    "writer.flush",
    "writer.commit",
    "appender.append",
    "reader.assign",
    "reader.read",
    "admin.describe",
)
"""The effects that a worker has on the log and that the simulation steps over."""
INNOCENT: Final = ("main", "client", "executors", "observer")
"""Processes that nothing happens to."""
_OFTEN: Final[dict[Point, float]] = {
    "writer.open": 4,
    "writer.flush": 4,
    "writer.commit": 6,
    "appender.append": 4,
    "admin.describe": 2,
}
"""Where there are few effects, faults are more frequent."""
_CHOICE: Final[dict[Point, tuple[Fault, ...]]] = {
    "writer.commit": (*POSSIBLE["writer.commit"], DuplicateEndTxn(), DuplicateEndTxn(), DuplicateEndTxn())
}
_IMPATIENCE: Final = 0.02
_APPENDS: Final = frozenset({"writer.send", "writer.commit", "appender.append"})


class SeededFaults:
    """A `kadence.log.memory.faults.Faults`: each effect of a worker fails with probability ``rate``.

    Every append takes a millisecond, so that broker times put all records into one order. ``torn`` is called around
    the late arrival of a duplicated EndTxn, which may commit half a transaction.
    """

    def __init__(
        self, random: Random, time: BrokerTime, log: MemoryLog, rate: float, torn: Callable[[Callable[[], bool]], None]
    ) -> None:
        self._random = random
        self._time = time
        self._log = log
        self._torn = torn
        self._duplicated: set[tuple[str, int]] = set()
        self.rate = rate
        self.counts: Counter[str] = Counter()

    def at(self, point: Point, who: object) -> Fault | None:
        if point in _APPENDS:
            self._time.advance(1)
        if who.process.name in INNOCENT or not self.rate:  # type: ignore[attr-defined]  # whoever has effects has one
            return None
        if self._log.in_flight and self._random.random() < 0.25:
            self.deliver_late(point, who)
        if self._random.random() >= self.rate * _OFTEN.get(point, 1):
            return None
        fault = self._random.choice(_CHOICE.get(point, POSSIBLE[point]))
        self.counts[f"{point} {fault}"] += 1
        if isinstance(fault, DuplicateEndTxn):
            self._duplicated.add((who.transactional_id, who.epoch))  # type: ignore[attr-defined]  # a writer
        return fault

    def deliver_late(self, point: Point | None = None, who: object = None) -> None:
        """Let something that is under way arrive.

        A duplicated EndTxn mostly waits until its producer is in the midst of the next transaction: that tears it.
        """
        index = self._random.randrange(len(self._log.in_flight))
        request = self._log.in_flight[index]
        if isinstance(request, EndTxn) and (request.transactional_id, request.epoch) in self._duplicated:
            amid = point == "writer.send" and who.transactional_id == request.transactional_id  # type: ignore[attr-defined]
            if amid or point is None or self._random.random() < _IMPATIENCE:
                self._torn(lambda: self._deliver(index, "a duplicate EndTxn arrives"))
        else:
            self._deliver(index, f"a late {type(request).__name__} arrives")

    def _deliver(self, index: int, what: str) -> bool:
        changed = self._log.deliver_late(index)
        self.counts[f"{what}: {'it counts' if changed else 'too late'}"] += 1
        return changed
