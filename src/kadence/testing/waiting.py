"""A log in memory whose readers never wait: instead of that they let somebody else do what they would wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from kadence.log.memory import MemoryProcess
    from kadence.log.memory.admin import MemoryAdmin, MemoryMembership
    from kadence.log.memory.consumer import MemoryConsumer
    from kadence.log.memory.reader import MemoryReader
    from kadence.log.memory.writer import MemoryAppender, MemoryWriter
    from kadence.log.port import Record

    Wait = Callable[[float], None]
    """Called instead of waiting, with for how long (seconds). 0: before time has to pass for it, as often as not."""


def nothing(seconds: float) -> None:
    """What those wait for that are not to wait at all."""


class WaitingReader:
    """A `kadence.log.port.LogReader`."""

    def __init__(self, reader: MemoryReader, wait: Wait) -> None:
        self._reader = reader
        self._wait = wait
        self._places: set[tuple[str, int]] = set()

    def assign(self, topic: str, partition: int, offset: int) -> None:
        """Start reading a partition."""
        self._reader.assign(topic, partition, offset)
        self._places.add((topic, partition))

    def unassign(self, topic: str, partition: int) -> None:
        """Stop reading a partition."""
        self._reader.unassign(topic, partition)
        self._places.discard((topic, partition))

    def read(self, limit: int, timeout: float) -> list[Record]:
        """What there is; where there is nothing, what there is after ``wait``."""
        before = self._positions()
        records = self._reader.read(limit, 0)
        # Only markers were left: an end that is reached is worth returning for.
        if records or timeout <= 0 or self._positions() != before:
            return records
        for seconds in (0.0, timeout):
            self._wait(seconds)
            records = self._reader.read(limit, 0)
            if records:
                break
        return records

    def _positions(self) -> list[int]:
        return [self._reader.position(*place) for place in self._places]

    def position(self, topic: str, partition: int) -> int:
        """Where the next read begins."""
        return self._reader.position(topic, partition)

    def bounds(self, topic: str, partition: int, timeout: float) -> tuple[int, int]:
        """(first offset held, last stable offset)."""
        return self._reader.bounds(topic, partition, timeout)

    def offset_at(self, topic: str, partition: int, timestamp: int, timeout: float) -> int:
        """Where what was written from ``timestamp`` on begins."""
        return self._reader.offset_at(topic, partition, timestamp, timeout)

    def partitions(self, topic: str, timeout: float) -> int:
        """How many partitions a topic has, 0 if it does not exist."""
        return self._reader.partitions(topic, timeout)

    def close(self) -> None:
        """Stop reading everything."""
        self._reader.close()
        self._places.clear()


class WaitingLog:
    """A `kadence.log.port.Log`: a process of a log in memory, with readers that call ``wait`` instead of waiting."""

    def __init__(self, process: MemoryProcess, wait: Wait = nothing) -> None:
        self._process = process
        self._wait = wait

    def reader(self) -> WaitingReader:
        """A reader with nothing assigned."""
        return WaitingReader(self._process.reader(), self._wait)

    def writer(self, transactional_id: str) -> MemoryWriter:
        """Take over ``transactional_id``."""
        return self._process.writer(transactional_id)

    def appender(self) -> MemoryAppender:
        """A plain producer."""
        return self._process.appender()

    def admin(self) -> MemoryAdmin:
        """Topic facts and changes."""
        return self._process.admin()

    def join(self, group: str, topic: str) -> MemoryMembership:
        """A membership of ``group``."""
        return self._process.join(group, topic)

    def consume(self, group: str, topic: str, on_revoked: Callable[[frozenset[int], bool], None]) -> MemoryConsumer:
        """A member of ``group`` that reads."""
        return self._process.consume(group, topic, on_revoked)
