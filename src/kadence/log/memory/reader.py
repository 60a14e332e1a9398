"""The read_committed reader of the in-process log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kadence.errors import OffsetOutOfRangeError, UnreachableError
from kadence.log.port import EARLIEST, LATEST

if TYPE_CHECKING:
    from kadence.log.memory.cluster import Cluster
    from kadence.log.memory.faults import Process
    from kadence.log.memory.partition import PartitionLog
    from kadence.log.port import Record


class MemoryReader:
    """A `kadence.log.port.LogReader`."""

    __slots__ = ("_cluster", "_places", "_turn", "process")

    def __init__(self, cluster: Cluster, process: Process) -> None:
        self._cluster = cluster
        self.process = process
        self._places: dict[tuple[str, int], int] = {}
        self._turn = 0

    def assign(self, topic: str, partition: int, offset: int) -> None:
        """Start reading; `LATEST` is the LSO of this moment, and may raise `UnreachableError`."""
        with self.process.effect("reader.assign", self):
            self._cluster.expire()
            self._places[topic, partition] = self._cluster.find(topic, partition).stable if offset == LATEST else offset

    def unassign(self, topic: str, partition: int) -> None:
        """Stop reading a partition."""
        self.process.require_alive()
        with self._cluster.lock:
            self._places.pop((topic, partition), None)

    def read(self, limit: int, timeout: float) -> list[Record]:
        """Committed records of the assigned partitions, each in turn first; waits for the first one."""
        try:
            with self.process.effect("reader.read", self):
                if timeout <= 0:
                    return self._collect(limit)
                return self._cluster.lock.wait_for(lambda: self._collect(limit), timeout)
        except UnreachableError:
            return []

    def _collect(self, limit: int) -> list[Record]:
        self._cluster.expire()
        places = [(place, log) for place in self._places if (log := self._available(*place)) is not None]
        for (topic, partition), log in places:
            offset = self._places[topic, partition]
            if offset == EARLIEST:
                offset = self._places[topic, partition] = log.start
            if not log.start <= offset <= log.end:
                del self._places[topic, partition]
                raise OffsetOutOfRangeError(topic, partition, offset)
        records: list[Record] = []
        first = self._turn % max(len(places), 1)
        for place, log in places[first:] + places[:first]:
            found, self._places[place] = log.read(self._places[place], limit - len(records))
            records += found
        self._turn += bool(records)
        return records

    def _available(self, topic: str, partition: int) -> PartitionLog | None:
        try:
            return self._cluster.find(topic, partition)
        except UnreachableError:
            return None

    def position(self, topic: str, partition: int) -> int:
        """Where the next read begins."""
        with self._cluster.lock:
            return max(self._places.get((topic, partition), 0), 0)

    def bounds(self, topic: str, partition: int, timeout: float) -> tuple[int, int]:  # noqa: ARG002 - answers at once
        """(first offset held, last stable offset)."""
        with self.process.effect("reader.bounds", self):
            self._cluster.expire()
            log = self._cluster.find(topic, partition)
            return log.start, log.stable

    def offset_at(self, topic: str, partition: int, timestamp: int, timeout: float) -> int:  # noqa: ARG002 - answers at once
        """The offset of the first record of that broker time or a later one, else the LSO."""
        with self.process.effect("reader.bounds", self):
            self._cluster.expire()
            return self._cluster.find(topic, partition).offset_at(timestamp)

    def partitions(self, topic: str, timeout: float) -> int:  # noqa: ARG002 - answers at once
        """How many partitions a topic has, 0 if it does not exist."""
        with self.process.effect("reader.bounds", self):
            return self._cluster.partitions(topic)

    def close(self) -> None:
        """Stop reading everything."""
        with self._cluster.lock:
            self._places.clear()
