"""Everything that was ever committed, as a reader sees it who misses nothing: what the oracle judges."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from kadence.errors import OffsetOutOfRangeError
from kadence.log.port import EARLIEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kadence.log.memory import MemoryLog
    from kadence.log.port import Record


class Observer:
    """Reads all topics as they grow, before compaction, retention or deletion can take anything away."""

    def __init__(self, log: MemoryLog, partitions: Iterable[tuple[str, int]]) -> None:
        self._reader = log.start("observer").reader()
        self.records: dict[tuple[str, int], list[Record]] = {place: [] for place in partitions}
        self.torn: Counter[bytes] = Counter()
        self.halves = 0
        for topic, partition in self.records:
            self._reader.assign(topic, partition, EARLIEST)

    def poll(self) -> list[Record]:
        """Read all there is; returns what is new."""
        found: list[Record] = []
        while True:
            try:
                records = self._reader.read(100_000, 0)
            except OffsetOutOfRangeError as error:
                self._reader.assign(error.topic, error.partition, EARLIEST)
                continue
            if not records:
                return found
            for record in records:
                self.records[record.topic, record.partition].append(record)
            found += records

    def recreated(self, topic: str) -> None:
        """The topic was deleted and created again: read it from its new beginning."""
        for place, partition in self.records:
            if place == topic:
                self._reader.assign(topic, partition, EARLIEST)

    def around(self, deliver: Callable[[], bool]) -> None:
        """Note which executions half a transaction committed: each may be committed once more."""
        self.poll()
        deliver()
        found = self.poll()
        self.halves += bool(found)
        for record in found:
            for name, value in record.headers:
                if name == "ce_id":
                    self.torn[value] += 1

    def all(self, topic: str) -> list[Record]:
        """The records of a topic by broker time."""
        found = [record for (name, _), records in self.records.items() if name == topic for record in records]
        return sorted(found, key=lambda record: record.timestamp)
