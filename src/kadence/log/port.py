"""The log as kadence needs it: readers, transactional writers, plain appends, topic facts, consumer groups.

Everything above this layer is written against these protocols; `kadence.log.kafka` and `kadence.log.memory`
implement them, and one conformance suite holds both to the same behaviour. All readers are read_committed:
they deliver no aborted record and nothing at or above the last stable offset (LSO, KIP-98).

Errors are those of `kadence.errors`: `UnreachableError` (try again), `FencedError`, `UncleanError` and
`RefusedError` (the writer is dead: discard it and everything decided with it, take over again),
`OffsetOutOfRangeError`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from kadence.errors import LogError

EARLIEST: Final = -2
"""As an offset to assign: the first offset the log still holds."""
LATEST: Final = -1
"""As an offset to assign: the current end (LSO), so that only records committed from now on are read."""


class Record(NamedTuple):
    """One committed record; ``timestamp`` is broker time in ms since the epoch (LogAppendTime)."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Receipt(NamedTuple):
    """Where and when (broker time, ms) a record was appended."""

    offset: int
    timestamp: int


class LogReader(Protocol):
    """Reads committed records of the partitions assigned to it. Used by one thread at a time."""

    def assign(self, topic: str, partition: int, offset: int) -> None:
        """Start (or restart) reading a partition at ``offset``, `EARLIEST` or `LATEST`; others are untouched.

        `LATEST` is resolved before this returns: a record appended afterwards is seen.
        """

    def unassign(self, topic: str, partition: int) -> None:
        """Stop reading a partition; no record of it is returned afterwards."""

    def read(self, limit: int, timeout: float) -> list[Record]:
        """At most ``limit`` records in offset order per partition; waits up to ``timeout`` seconds for the first.

        A partition whose leader is away contributes nothing and delays no other. Raises
        `OffsetOutOfRangeError` for a partition whose assigned offset the log does not hold; that partition is
        unassigned then.
        """

    def position(self, topic: str, partition: int) -> int:
        """Up to which offset (exclusive) an assigned partition was read; 0 before anything is known.

        It passes markers and aborted records, too, when the end is reached: from then on there is nothing before it
        that is still to come.
        """

    def bounds(self, topic: str, partition: int, timeout: float) -> tuple[int, int]:
        """(first offset held, last stable offset) right now. Raises `UnreachableError`."""

    def offset_at(self, topic: str, partition: int, timestamp: int, timeout: float) -> int:
        """Where to begin so as to read all from the first record whose broker time is >= ``timestamp`` (ms) on.

        That record's offset, or that of a marker or an aborted record just before it; the end (LSO) of this moment
        where there is none. A partition need not be assigned. Raises `UnreachableError` after ``timeout`` seconds.
        """

    def partitions(self, topic: str, timeout: float) -> int:
        """How many partitions a topic has; 0 where there is none of that name.

        Raises `UnreachableError`, and `ConfigurationError` where we may not know.
        """

    def close(self) -> None:
        """Release the connection. Idempotent."""


class LogWriter(Protocol):
    """A transactional producer that holds the newest epoch of its transactional id. One thread.

    After any error it is dead: every later call raises. Nothing is ever re-sent by the caller.
    """

    def begin(self) -> None:
        """Open a transaction (no network)."""

    def send(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        """Queue a record in the open transaction; blocks only while the local queue is full.

        Raises `RefusedError` where it is already known that the topic will not take it.
        """

    def flush(self) -> None:
        """Return when every record sent so far is appended; raises if one was not (`RefusedError` names the topic)."""

    def commit(self) -> Receipt:
        """Commit; returns the receipt of the last record sent. Raises `FencedError`, `RefusedError`, `UncleanError`.

        `UncleanError` means that the outcome is unknown: it may be committed now, later, or never.
        """

    def close(self) -> None:
        """Abandon an open transaction (the next holder of the id ends it) and release the producer. Idempotent."""


class LogAppender(Protocol):
    """An idempotent producer without transactions. Safe for several threads."""

    def append(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        *,
        timeout: float = 30.0,
    ) -> Receipt:
        """Append one record and wait for the acknowledgement. Raises `RefusedError`, `UnreachableError`."""

    def append_all(
        self, topic: str, partition: int, records: Sequence[tuple[bytes | None, bytes | None]], *, timeout: float = 60.0
    ) -> list[Receipt]:
        """Append many (key, value) records in order, pipelined; receipts in the same order. Same errors."""

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
        """Append one record without waiting for it; blocks only while the local queue is full.

        ``done`` is called exactly once, with the receipt or with what `append` would have raised: soon after the
        answer, in a thread of the appender's or in the caller's, perhaps before this returns. It may post again, and
        delays the answers to others for as long as it takes; what it raises is logged and goes no further.
        Records are posted in order per partition, and in no particular order with those of `append`.
        Raises `RuntimeError` once the appender is closed.
        """

    def close(self) -> None:
        """Flush and release. Idempotent.

        Returns once every posted record's ``done`` was called, unless it is called by one of them. What was not
        acknowledged by then (10 s) is reported as `UnreachableError`; it may still be appended.
        """


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """What the cluster says of one topic. ``error`` is None or the broker's word for why it cannot be used.

    ``leaderless`` counts partitions that no broker leads, ``in_sync`` the replicas that have everything, of the
    partition with the fewest: both are about this moment, the rest lasts.
    """

    name: str
    topic_id: str
    partitions: int
    replication: int
    config: Mapping[str, str] = field(default_factory=dict)
    writable: bool = True
    error: str | None = None
    leaderless: int = 0
    in_sync: int = 1


class LogAdmin(Protocol):
    """Facts about topics and changes to them. Safe for several threads."""

    def describe(self, topics: Collection[str], *, timeout: float = 10.0, config: bool = True) -> dict[str, TopicInfo]:
        """Facts for each topic that exists; a missing topic is absent. ``writable``: we may WRITE to it.

        A topic that we may not even describe is present with ``error`` set. Raises `UnreachableError`.
        """

    def create(
        self, topic: str, partitions: int, replication: int, config: Mapping[str, str], *, timeout: float = 30.0
    ) -> None:
        """Create a topic (no error where it exists already) and return once brokers know it.

        ``replication`` -1: the cluster's default.
        """

    def alter(self, topic: str, config: Mapping[str, str], *, timeout: float = 30.0) -> None:
        """Set these settings of a topic, leaving its others (IncrementalAlterConfigs, KIP-339)."""

    def brokers(self, *, timeout: float = 10.0) -> int:
        """How many brokers answer for the cluster. Raises `UnreachableError`."""

    def close(self) -> None:
        """Release. Idempotent."""


@dataclass(frozen=True, slots=True)
class Assigned:
    """The group gave us these partitions as well."""

    partitions: frozenset[int]


@dataclass(frozen=True, slots=True)
class Revoked:
    """The group took these partitions (``lost``: our membership had lapsed, others may already own them)."""

    partitions: frozenset[int]
    lost: bool = False


class Membership(Protocol):
    """Our place in the consumer group; partitions are assigned, never read. One thread."""

    def poll(self, timeout: float) -> list[Assigned | Revoked]:
        """Keep the membership alive and return the changes of assignment since the last call, in order."""

    def leave(self) -> None:
        """Leave the group at once, so that the others are given our partitions. Idempotent."""


class LogConsumer(Protocol):
    """A member of a consumer group that reads what is assigned to it, from where the group has got to. One thread.

    A partition that the group never committed begins at its first record, and so does one whose committed offset the
    log does not hold (any more). Partitions come and go within `poll` alone. Before some go, the ``on_revoked`` of
    `Log.consume` is called with them, within `poll` or `leave` and in its thread: until it returns they are ours and
    `commit` holds for them, and nobody else is given them. With ``lost`` true our membership had lapsed: they are
    gone already, others may be reading them, and `commit` leaves them out. What ``on_revoked`` raises is raised by
    the `poll` or `leave` it was called in; the partitions go all the same, and no record is lost by it.
    """

    def poll(self, limit: int, timeout: float) -> list[Record]:
        """Serve the membership, and return at most ``limit`` committed records, in offset order per partition.

        Waits up to ``timeout`` seconds for the first. To be called every few seconds, however long a record takes to
        be worked on: a member that did not poll for half a minute loses its partitions. A record that is returned is
        not returned again while the partition stays ours. A topic that is not there is waited for. Raises
        `ConfigurationError` where the group or the topic will not have us.
        """

    def assigned(self) -> frozenset[int]:
        """The partitions that are ours at this moment."""

    def pause(self, partitions: Collection[int]) -> None:
        """Return no records of these partitions until `resume`; the membership goes on.

        Those that are not ours are left out, and a partition that goes forgets it: should it come back it is read.
        """

    def resume(self, partitions: Collection[int]) -> None:
        """Go on with these partitions where `poll` stopped returning records of them; others are left out."""

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Tell the group that everything below these offsets is done, and wait for the answer.

        Offsets of partitions that are not ours are left out. Raises `UnreachableError`: the group may or may not know,
        so commit again after the next `poll`, which may find the partitions lost. Raises `ConfigurationError` where
        we may not commit.
        """

    def leave(self) -> None:
        """Leave the group at once, without committing; calls ``on_revoked`` first. Idempotent."""


class Log(Protocol):
    """A cluster: where readers, writers and the rest come from."""

    def reader(self) -> LogReader:
        """A read_committed reader with nothing assigned."""

    def writer(self, transactional_id: str) -> LogWriter:
        """Take over ``transactional_id`` (InitProducerId): ends and fences its former holder, then return.

        Raises `UnreachableError` where the coordinator does not answer in time.
        """

    def appender(self) -> LogAppender:
        """A plain producer."""

    def admin(self) -> LogAdmin:
        """Topic facts and changes."""

    def join(self, group: str, topic: str) -> Membership:
        """Join ``group``, subscribed to ``topic`` for its assignment only."""

    def consume(self, group: str, topic: str, on_revoked: Callable[[frozenset[int], bool], None]) -> LogConsumer:
        """Join ``group`` to read ``topic``; the first `LogConsumer.poll` begins it.

        ``on_revoked(partitions, lost)`` is told of partitions that go, see `LogConsumer`.
        """
