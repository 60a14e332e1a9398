"""The producers of the in-process log: the transactional writer and the plain appender."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kadence.errors import LogError, RefusedError, UncleanError, UnreachableError
from kadence.log.memory.faults import DuplicateEndTxn, Hold, LateEndTxn, SlowMarkers, UnknownCommit
from kadence.log.memory.transactions import EndTxn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kadence.log.memory.cluster import Cluster
    from kadence.log.memory.faults import Fault, Point, Process
    from kadence.log.memory.partition import PartitionLog
    from kadence.log.port import Receipt


_log = logging.getLogger("kadence.memory")


@dataclass(frozen=True, slots=True, eq=False)
class _Queued:
    """A record that the producer has and the log does not."""

    partition: PartitionLog
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class MemoryWriter:
    """A `kadence.log.port.LogWriter`: its construction is the takeover."""

    __slots__ = (
        "_added",
        "_cluster",
        "_error",
        "_last",
        "_newest",
        "_open",
        "_queue",
        "_refusal",
        "epoch",
        "process",
        "transactional_id",
    )

    def __init__(self, cluster: Cluster, process: Process, transactional_id: str) -> None:
        self._cluster = cluster
        self.process = process
        self.transactional_id = transactional_id
        self._error: LogError | None = None
        self._open = False
        self._reset()
        with process.effect("writer.open", self):
            self.epoch = cluster.transactions.init(transactional_id)
            cluster.lock.notify_all()

    def _reset(self) -> None:
        self._added: set[PartitionLog] = set()
        self._queue: list[_Queued] = []
        self._refusal: RefusedError | None = None
        self._newest: _Queued | None = None
        self._last: Receipt | None = None

    @contextmanager
    def _step(self, point: Point) -> Iterator[Fault | None]:
        """One call: refused once the writer is dead, and the end of the writer if it fails."""
        self.process.require_alive()
        if self._error is not None:
            raise self._error
        try:
            with self.process.effect(point, self) as fault:
                self._cluster.expire()
                yield fault
        except UnreachableError as error:
            self._error = UncleanError(f"{self.transactional_id}: {error}; its transaction is abandoned")
            raise self._error from error
        except LogError as error:
            self._error = error
            raise

    def begin(self) -> None:
        """Open a transaction. The broker hears of it with the first record."""
        with self._step("writer.begin"):
            if self._open:
                raise RuntimeError("a transaction is open already")
            self._reset()
            self._open = True

    def send(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        """Append a record, or queue it under `Hold`; a refusal is raised by whatever is called next."""
        with self._step("writer.send") as fault:
            self._require_open()
            self._raise_refusal()
            try:
                place = self._cluster.accept(topic, partition, key, value, headers)
            except RefusedError as error:
                self._refusal = error  # as a delivery report would bring it
                return
            record = _Queued(place, key, value, tuple(headers))
            self._newest = record
            held = fault == Hold() or not place.available
            if held or any(earlier.partition is place for earlier in self._queue):
                self._queue.append(record)
            else:
                self._append(record)

    def _append(self, record: _Queued) -> None:
        place, transactions = record.partition, self._cluster.transactions
        if not place.available:
            raise UncleanError(f"{place.topic}[{place.partition}] has no leader that answers")
        transactions.require(self.transactional_id, self.epoch)
        if place not in self._added:
            transactions.add(self.transactional_id, place)
            self._added.add(place)
        transaction = transactions.find(self.transactional_id, place)
        receipt = place.append(self._cluster.clock(), record.key, record.value, record.headers, transaction)
        if record is self._newest:
            self._last = receipt

    def flush(self) -> None:
        """Append what is queued; raise what was refused."""
        with self._step("writer.flush"):
            self._require_open()
            self._drain()

    def _drain(self) -> None:
        for record in self._queue:
            self._append(record)
        self._queue.clear()
        self._raise_refusal()

    def commit(self) -> Receipt:
        """Flush, then EndTxn; the receipt is that of the last record sent."""
        with self._step("writer.commit") as fault:
            self._require_open()
            self._drain()
            if self._last is None:
                raise RuntimeError("nothing was sent in this transaction")
            self._end(fault)
            self._open = False
            return self._last

    def _end(self, fault: Fault | None) -> None:
        transactions = self._cluster.transactions
        transactions.require(self.transactional_id, self.epoch)
        if isinstance(fault, LateEndTxn | DuplicateEndTxn):
            transactions.in_flight.append(EndTxn(self.transactional_id, self.epoch))
        if fault not in (LateEndTxn(), UnknownCommit(applied=False)):
            transactions.commit(self.transactional_id, self.epoch, slowly=fault == SlowMarkers())
            self._cluster.lock.notify_all()
        if isinstance(fault, LateEndTxn | UnknownCommit):
            raise UncleanError(f"the commit of {self.transactional_id} was not answered in time")

    def _require_open(self) -> None:
        if not self._open:
            raise RuntimeError("no transaction is open: begin() comes first")

    def _raise_refusal(self) -> None:
        if self._refusal is not None:
            raise self._refusal

    def close(self) -> None:
        """Abandon an open transaction: it stays open until it is fenced or expires."""
        self._error = self._error or UncleanError(f"the writer of {self.transactional_id} is closed")


class MemoryAppender:
    """A `kadence.log.port.LogAppender`."""

    __slots__ = ("_closed", "_cluster", "process")

    def __init__(self, cluster: Cluster, process: Process) -> None:
        self._closed = False
        self._cluster = cluster
        self.process = process

    def append(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        *,
        timeout: float = 30.0,  # noqa: ARG002 - answers at once
    ) -> Receipt:
        """Append one record, outside any transaction."""
        with self.process.effect("appender.append", self):
            place = self._cluster.accept(topic, partition, key, value, headers)
            if not place.available:
                raise UnreachableError(f"{topic}[{place.partition}] has no leader that answers")
            receipt = place.append(self._cluster.clock(), key, value, tuple(headers))
            self._cluster.lock.notify_all()
            return receipt

    def append_all(
        self,
        topic: str,
        partition: int,
        records: Sequence[tuple[bytes | None, bytes | None]],
        *,
        timeout: float = 60.0,
    ) -> list[Receipt]:
        """Append each in turn; a refused one does not keep the others out, and is raised at the end."""
        receipts: list[Receipt] = []
        failed: list[LogError] = []
        for key, value in records:
            try:
                receipts.append(self.append(topic, partition, key, value, timeout=timeout))
            except (RefusedError, UnreachableError) as error:
                failed.append(error)
        if failed:
            raise failed[0]
        return receipts

    def post(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        *,
        done: Callable[[Receipt | LogError], None],
    ) -> None:
        """Append one record; ``done`` is called before this returns, without any lock held."""
        if self._closed:
            raise RuntimeError("this appender is closed")
        answer: Receipt | LogError
        try:
            answer = self.append(topic, partition, key, value, headers)
        except (RefusedError, UnreachableError) as error:
            answer = error
        try:
            done(answer)
        except Exception:  # noqa: BLE001  whatever it is, the others are to hear theirs
            _log.exception("what was to be done with the answer of %s failed", topic)

    def close(self) -> None:
        """Nothing is held back, so nothing is flushed."""
        self._closed = True
