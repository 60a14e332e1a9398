"""An in-process log that behaves as Kafka does wherever kadence could tell the difference.

It is the broker of the simulation and the test double in one: offsets, control markers, the last stable
offset, epochs and fencing, compaction, a cooperative group, and faults at every effect. It holds no
randomness and stamps records by the clock it is given. One conformance suite runs on it and on
`kadence.log.kafka`.

`MemoryLog` is the cluster, and a `kadence.log.port.Log` for tests that need only one process;
`MemoryLog.start` gives every simulated process its own `Log`, which can be killed alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kadence.log.memory.admin import MemoryAdmin, MemoryMembership
from kadence.log.memory.cluster import Cluster
from kadence.log.memory.consumer import MemoryConsumer
from kadence.log.memory.faults import Process
from kadence.log.memory.group import Group
from kadence.log.memory.reader import MemoryReader
from kadence.log.memory.writer import MemoryAppender, MemoryWriter

if TYPE_CHECKING:
    from collections.abc import Callable

    from kadence.log.memory.faults import Faults
    from kadence.log.memory.group import Member
    from kadence.log.memory.partition import PartitionLog
    from kadence.log.memory.transactions import InFlight
    from kadence.log.port import Record


class MemoryProcess:
    """A `kadence.log.port.Log` as one process has it. Once dead, whatever it made raises `SimulatedCrash`."""

    __slots__ = ("_cluster", "process")

    def __init__(self, cluster: Cluster, process: Process) -> None:
        self._cluster = cluster
        self.process = process

    def kill(self) -> None:
        """End the process between two effects, as SIGKILL does."""
        self.process.die()

    def reader(self) -> MemoryReader:
        """A reader with nothing assigned."""
        self.process.require_alive()
        return MemoryReader(self._cluster, self.process)

    def writer(self, transactional_id: str) -> MemoryWriter:
        """Take over ``transactional_id``."""
        return MemoryWriter(self._cluster, self.process, transactional_id)

    def appender(self) -> MemoryAppender:
        """A plain producer."""
        self.process.require_alive()
        return MemoryAppender(self._cluster, self.process)

    def admin(self) -> MemoryAdmin:
        """Topic facts and changes."""
        self.process.require_alive()
        return MemoryAdmin(self._cluster, self.process)

    def join(self, group: str, topic: str) -> MemoryMembership:
        """A membership of ``group``; it joins at its first poll."""
        return MemoryMembership(self._cluster, self.process, self._group(group, topic))

    def consume(self, group: str, topic: str, on_revoked: Callable[[frozenset[int], bool], None]) -> MemoryConsumer:
        """A member of ``group`` that reads; it joins at its first poll. ``on_revoked`` is called without locks held."""
        return MemoryConsumer(self._cluster, self.process, self._group(group, topic), on_revoked)

    def _group(self, group: str, topic: str) -> Group:
        self.process.require_alive()
        with self._cluster.lock:
            return self._cluster.groups.setdefault(group, Group(group, topic))


class MemoryLog(MemoryProcess):
    """The cluster, and what an operator, a broker or an accident can do to it.

    ``clock`` gives broker time in ms since the epoch. ``transaction_timeout`` in ms: a transaction open for
    longer is aborted and its writer fenced, at the next call of any client or of `expire_transactions`.
    """

    __slots__ = ()

    def __init__(self, clock: Callable[[], int], *, transaction_timeout: int = 60_000) -> None:
        cluster = Cluster(clock, transaction_timeout)
        super().__init__(cluster, Process("main", cluster.boundary))

    # --- processes, and what befalls them ---

    def start(self, name: str) -> MemoryProcess:
        """Start a process; several may have one name, as a worker has over its restarts."""
        return MemoryProcess(self._cluster, Process(name, self._cluster.boundary))

    @property
    def faults(self) -> Faults | None:
        """Who decides what goes wrong at each effect; None: nothing does."""
        return self._cluster.boundary.faults

    @faults.setter
    def faults(self, faults: Faults | None) -> None:
        self._cluster.boundary.faults = faults

    def members(self, group: str) -> tuple[Member, ...]:
        """The members of a group in joining order, as the coordinator sees them."""
        with self._cluster.lock:
            held = self._cluster.groups.get(group)
            return () if held is None else tuple(held.members.values())

    def lose(self, group: str, member: str) -> None:
        """Let the session of a member lapse; ``member`` is a member id or the name of its process."""
        with self._cluster.lock:
            for held in self.members(group):
                if member in (held.member_id, held.process):
                    self._cluster.groups[group].remove(held)
            self._cluster.lock.notify_all()

    def lose_silent(self, group: str, session: int) -> tuple[str, ...]:
        """Let the sessions lapse without a poll in the last ``session`` ms; returns their member ids."""
        with self._cluster.lock:
            oldest = self._cluster.clock() - session
            silent = tuple(held.member_id for held in self.members(group) if held.seen < oldest)
            for member in silent:
                self.lose(group, member)
            return silent

    # --- transactions ---

    @property
    def in_flight(self) -> tuple[InFlight, ...]:
        """Requests and markers that have not arrived yet, oldest first."""
        with self._cluster.lock:
            return tuple(self._cluster.transactions.in_flight)

    def deliver_late(self, index: int = 0) -> bool:
        """Let one of `in_flight` arrive now; whether it changed anything. `IndexError` if there is none."""
        with self._cluster.lock:
            transactions = self._cluster.transactions
            changed = transactions.deliver(transactions.in_flight[index])
            self._cluster.lock.notify_all()
            return changed

    def expire_transactions(self) -> tuple[str, ...]:
        """Abort and fence what is open for longer than the timeout; returns the transactional ids."""
        with self._cluster.lock:
            return self._cluster.expire()

    # --- topics ---

    def delete(self, topic: str) -> None:
        """Delete a topic with all its records."""
        with self._cluster.lock:
            self._cluster.delete(topic)
            self._cluster.lock.notify_all()

    def recreate(self, topic: str) -> None:
        """Delete a topic and create it again, alike but empty and with a new id."""
        with self._cluster.lock:
            old = self._cluster.delete(topic)
            self._cluster.create(topic, len(old.partitions), old.replication, old.config)
            self._cluster.lock.notify_all()

    def restrict(self, topic: str, *, writable: bool = True, error: str | None = None) -> None:
        """Set what we may do with a topic; ``error``: not even describe it, and this is the broker's word."""
        with self._cluster.lock:
            held = self._cluster.topics[topic]
            held.writable, held.error = writable, error

    def set_available(self, topic: str, partition: int, *, available: bool) -> None:
        """Take the leader of a partition away, or bring it back."""
        with self._cluster.lock:
            self._partition(topic, partition).available = available
            self._cluster.lock.notify_all()

    def set_brokers(self, brokers: int) -> None:
        """Set how many brokers the cluster says it has."""
        self._cluster.brokers = brokers

    def roll(self, topic: str, partition: int) -> None:
        """Begin a new segment: what is in the log now is no longer in the active one."""
        with self._cluster.lock:
            self._partition(topic, partition).roll()

    def compact(self, topic: str, partition: int) -> None:
        """Let the log cleaner pass once, by the topic's min.compaction.lag.ms and delete.retention.ms."""
        with self._cluster.lock:
            held = self._cluster.topics[topic]
            lag, retention = (int(held.setting(name)) for name in ("min.compaction.lag.ms", "delete.retention.ms"))
            self._partition(topic, partition).compact(self._cluster.clock(), lag, retention)

    def retain(self, topic: str, partition: int, start: int) -> None:
        """Let retention pass: the partition begins at ``start`` from now on."""
        with self._cluster.lock:
            self._partition(topic, partition).retain(start)

    def records(self, topic: str, partition: int) -> list[Record]:
        """Every committed record below the LSO that is still held, in offset order: for oracles."""
        with self._cluster.lock:
            return self._partition(topic, partition).records()

    def end(self, topic: str, partition: int) -> int:
        """The log's end, open transactions and markers included (the high watermark, not the LSO)."""
        with self._cluster.lock:
            return self._partition(topic, partition).end

    def _partition(self, topic: str, partition: int) -> PartitionLog:
        return self._cluster.topics[topic].partitions[partition]
