"""One partition of the in-process log: offsets, control markers, the last stable offset, compaction.

The rules are Kafka's. A transaction's outcome is a control record that takes an offset and is never
delivered; the last stable offset (LSO, KIP-98) is the first offset of the oldest transaction still open here;
compaction keeps offsets and works below the LSO and the active segment only; a tombstone's grace
(``delete.retention.ms``) runs from the first cleaning that meets it (KIP-534), so dropping it takes a second.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from enum import Enum
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from kadence.log.port import Receipt, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

_OFFSET: Final = attrgetter("offset")


class Outcome(Enum):
    """How far a transaction has come."""

    OPEN = "open"
    COMMITTED = "committed"
    ABORTED = "aborted"


@dataclass(slots=True, eq=False)
class Transaction:
    """What the coordinator knows of one transaction; ``opened_at`` is broker time in ms."""

    opened_at: int
    outcome: Outcome = Outcome.OPEN
    partitions: dict[PartitionLog, None] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Entry:
    """One offset taken: a record, or (``record`` None) a control marker."""

    offset: int
    record: Record | None
    transaction: Transaction | None
    horizon: int | None = None  # broker time after which a tombstone may go; set by the first cleaning

    def visible(self) -> bool:
        return self.transaction is None or self.transaction.outcome is Outcome.COMMITTED


class PartitionLog:
    """The log of one partition. Not locked: the cluster's lock is held by every caller."""

    __slots__ = ("_active", "_entries", "_open", "available", "end", "partition", "start", "topic")

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.start = 0
        self.end = 0
        self.available = True
        self._active = 0
        self._entries: list[_Entry] = []
        self._open: dict[Transaction, int] = {}

    @property
    def stable(self) -> int:
        """The LSO: read_committed readers see nothing at or above it."""
        return min(self._open.values(), default=self.end)

    def append(
        self,
        timestamp: int,
        key: bytes | None,
        value: bytes | None,
        headers: tuple[tuple[str, bytes], ...] = (),
        transaction: Transaction | None = None,
    ) -> Receipt:
        """Append one record, in ``transaction`` or outside any."""
        record = Record(self.topic, self.partition, self.end, timestamp, key, value, headers)
        if transaction is not None:
            self._open.setdefault(transaction, self.end)
        self._entries.append(_Entry(self.end, record, transaction))
        self.end += 1
        return Receipt(record.offset, timestamp)

    def mark(self, transaction: Transaction) -> None:
        """Write the control marker that ends ``transaction`` here; it takes an offset."""
        self._open.pop(transaction, None)
        self._entries.append(_Entry(self.end, None, None))
        self.end += 1

    def read(self, position: int, limit: int) -> tuple[list[Record], int]:
        """At most ``limit`` committed records from ``position``, and the position after them."""
        records: list[Record] = []
        stable = self.stable
        for index in range(bisect_left(self._entries, position, key=_OFFSET), len(self._entries)):
            entry = self._entries[index]
            if entry.offset >= stable or len(records) == limit:
                return records, max(position, entry.offset)
            if entry.record is not None and entry.visible():
                records.append(entry.record)
        return records, max(position, stable)

    def offset_at(self, timestamp: int) -> int:
        """The offset of the first committed record of that time (ms) or a later one, else the LSO."""
        records = self.read(self.start, self.end + 1)[0]
        return next((record.offset for record in records if record.timestamp >= timestamp), self.stable)

    def records(self) -> list[Record]:
        """Every committed record still held, in offset order."""
        return self.read(self.start, self.end + 1)[0]

    def roll(self) -> None:
        """Begin a new active segment: what is there now may be compacted."""
        self._active = self.end

    def retain(self, start: int) -> None:
        """Retention passed: the log now begins at ``start``."""
        if not self.start <= start <= self.end:
            raise ValueError(f"{self.topic}[{self.partition}] holds {self.start} to {self.end}, not {start}")
        self.start = start
        self._active = max(self._active, start)
        del self._entries[: bisect_left(self._entries, start, key=_OFFSET)]

    def compact(self, now: int, lag: int, retention: int) -> None:
        """Clean once at broker time ``now``, by min.compaction.lag.ms and delete.retention.ms."""
        bound = self._cleanable(now - lag)
        newest = {entry.record.key: entry.offset for entry in self._below(bound) if entry.record and entry.visible()}
        kept = [entry for entry in self._below(bound) if _survives(entry, newest, now, retention)]
        self._entries[: bisect_left(self._entries, bound, key=_OFFSET)] = kept

    def _cleanable(self, until: int) -> int:
        """The first offset that cleaning must leave alone."""
        bound = min(self.stable, self._active)
        for entry in self._below(bound):
            if entry.record is not None and entry.record.timestamp > until:
                return entry.offset
        return bound

    def _below(self, bound: int) -> Iterator[_Entry]:
        return (entry for entry in self._entries if entry.offset < bound)


def _survives(entry: _Entry, newest: dict[bytes | None, int], now: int, retention: int) -> bool:
    """Whether a cleaning keeps ``entry``. Markers stay: that they are there is never seen."""
    record = entry.record
    if record is None:
        return True
    if not entry.visible() or newest[record.key] != record.offset:
        return False
    if record.value is not None:
        return True
    if entry.horizon is None:
        entry.horizon = now + retention
        return True
    return now <= entry.horizon
