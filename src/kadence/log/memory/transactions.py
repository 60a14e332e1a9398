"""The transaction coordinator of the in-process log: ids, epochs, EndTxn requests, markers, timeouts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kadence.errors import FencedError, UncleanError
from kadence.log.memory.partition import Outcome, Transaction

if TYPE_CHECKING:
    from collections.abc import Callable

    from kadence.log.memory.partition import PartitionLog


@dataclass(frozen=True, slots=True)
class EndTxn:
    """A commit request still under way. It takes effect only while ``epoch`` holds."""

    transactional_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Markers:
    """A decided transaction whose markers are still to be written."""

    transactional_id: str
    epoch: int


InFlight = EndTxn | Markers


@dataclass(slots=True)
class _Holder:
    """The newest epoch of one transactional id, its open transaction, and the decided one without markers."""

    epoch: int = -1
    open: Transaction | None = None
    unmarked: Transaction | None = None


class Transactions:
    """One coordinator for all transactional ids. Not locked: the cluster's lock is held by every caller."""

    __slots__ = ("_clock", "_holders", "_timeout", "in_flight")

    def __init__(self, clock: Callable[[], int], timeout: int) -> None:
        self._clock = clock
        self._timeout = timeout
        self._holders: dict[str, _Holder] = {}
        self.in_flight: list[InFlight] = []

    def init(self, transactional_id: str) -> int:
        """InitProducerId: end what the former holder left open, fence it, return the new epoch."""
        holder = self._holders.setdefault(transactional_id, _Holder())
        self._abort(transactional_id, holder)
        self._write_markers(transactional_id, holder)
        return holder.epoch

    def require(self, transactional_id: str, epoch: int) -> None:
        """Raise `FencedError` unless ``epoch`` is the newest of this id."""
        if self._holders[transactional_id].epoch != epoch:
            raise FencedError(f"{transactional_id} was taken over by another writer, or its transaction timed out")

    def add(self, transactional_id: str, partition: PartitionLog) -> None:
        """AddPartitionsToTxn: begin a transaction with the first partition."""
        holder = self._holders[transactional_id]
        self._write_markers(transactional_id, holder)
        if holder.open is None:
            holder.open = Transaction(self._clock())
        holder.open.partitions[partition] = None

    def find(self, transactional_id: str, partition: PartitionLog) -> Transaction:
        """The open transaction; `UncleanError` if ``partition`` is not in it (KIP-890 verification)."""
        transaction = self._holders[transactional_id].open
        if transaction is None or partition not in transaction.partitions:
            raise UncleanError(f"the transaction of {transactional_id} was ended under way (INVALID_TXN_STATE)")
        return transaction

    def commit(self, transactional_id: str, epoch: int, *, slowly: bool = False) -> None:
        """EndTxn(commit); nothing open is a success, as for a retry. ``slowly``: the markers come later."""
        self.require(transactional_id, epoch)
        holder = self._holders[transactional_id]
        self._write_markers(transactional_id, holder)
        self._decide(holder, Outcome.COMMITTED)
        if slowly and holder.unmarked is not None:
            self.in_flight.append(Markers(transactional_id, epoch))
        else:
            self._write_markers(transactional_id, holder)

    def deliver(self, request: InFlight) -> bool:
        """Let ``request`` arrive now; whether it changed anything."""
        self.in_flight.remove(request)
        holder = self._holders[request.transactional_id]
        match request:
            case Markers():
                self._write_markers(request.transactional_id, holder)
                return True
            case EndTxn():
                if holder.epoch != request.epoch or holder.open is None:
                    return False
                self.commit(request.transactional_id, request.epoch)
                return True

    def expire(self) -> list[str]:
        """Abort and fence every transaction open for longer than the timeout; returns their ids."""
        oldest = self._clock() - self._timeout
        late = [name for name, holder in self._holders.items() if holder.open and holder.open.opened_at < oldest]
        for name in late:
            self._abort(name, self._holders[name])
        return late

    def _abort(self, name: str, holder: _Holder) -> None:
        holder.epoch += 1
        self._write_markers(name, holder)
        self._decide(holder, Outcome.ABORTED)
        self._write_markers(name, holder)

    def _decide(self, holder: _Holder, outcome: Outcome) -> None:
        if holder.open is not None:
            holder.open.outcome = outcome
        holder.unmarked, holder.open = holder.open, None

    def _write_markers(self, name: str, holder: _Holder) -> None:
        if holder.unmarked is None:
            return
        for partition in holder.unmarked.partitions:
            partition.mark(holder.unmarked)
        holder.unmarked = None
        self.in_flight[:] = [
            request
            for request in self.in_flight
            if not (isinstance(request, Markers) and request.transactional_id == name)
        ]
