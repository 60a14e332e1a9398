"""The in-process cluster behind the clients: topics and their settings, the coordinator, one lock."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kadence.domain.partition import partition_for
from kadence.errors import RefusedError, UnreachableError
from kadence.log.memory.faults import Boundary
from kadence.log.memory.partition import PartitionLog
from kadence.log.memory.transactions import Transactions
from kadence.log.port import TopicInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kadence.log.memory.group import Group

DEFAULTS: Final[Mapping[str, str]] = {
    "cleanup.policy": "delete",
    "delete.retention.ms": "86400000",
    "max.message.bytes": "1048588",
    "message.timestamp.type": "CreateTime",
    "min.cleanable.dirty.ratio": "0.5",
    "min.compaction.lag.ms": "0",
    "min.insync.replicas": "1",
    "retention.ms": "604800000",
    "segment.bytes": "1073741824",
    "segment.ms": "604800000",
}
"""Apache Kafka's own defaults for the topic settings that kadence looks at."""

_BATCH_OVERHEAD: Final = 61  # bytes of a v2 record batch header
_RECORD_OVERHEAD: Final = 10  # bytes of lengths and deltas around one record, about


@dataclass(slots=True)
class Topic:
    """A topic as the cluster keeps it; ``config`` holds only what was set."""

    name: str
    topic_id: str
    replication: int
    config: dict[str, str]
    partitions: list[PartitionLog]
    writable: bool = True
    error: str | None = None

    def setting(self, name: str) -> str:
        """The value in force."""
        return self.config.get(name, DEFAULTS[name])

    def info(self, *, config: bool) -> TopicInfo:
        """What `LogAdmin.describe` says."""
        if self.error is not None:
            return TopicInfo(self.name, "", 0, 0, writable=False, error=self.error)
        settings = {**DEFAULTS, **self.config} if config else {}
        return TopicInfo(
            self.name,
            self.topic_id,
            len(self.partitions),
            self.replication,
            settings,
            self.writable,
            leaderless=sum(not each.available for each in self.partitions),
            in_sync=self.replication,
        )


@dataclass(slots=True, eq=False)
class Cluster:
    """Everything the clients share. Its methods are called with ``lock`` held, unless they say otherwise."""

    clock: Callable[[], int]
    transaction_timeout: int
    topics: dict[str, Topic] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    lock: threading.Condition = field(default_factory=threading.Condition)  # over an RLock, so it is reentrant
    brokers: int = 1
    boundary: Boundary = field(init=False)
    transactions: Transactions = field(init=False)
    _topics_made: int = 0

    def __post_init__(self) -> None:
        self.boundary = Boundary(self.lock)
        self.transactions = Transactions(self.clock, self.transaction_timeout)

    def create(self, name: str, partitions: int, replication: int, config: Mapping[str, str]) -> None:
        """Make a topic with a new id, unless there is one of that name."""
        if name in self.topics:
            return
        self._topics_made += 1
        logs = [PartitionLog(name, number) for number in range(partitions)]
        topic_id = f"memory{self._topics_made:016d}"  # as long as Kafka's
        self.topics[name] = Topic(name, topic_id, max(replication, 1), dict(config), logs)

    def find(self, topic: str, partition: int) -> PartitionLog:
        """The partition, wherever it is; `UnreachableError` if there is none or its leader is away."""
        held = self.topics.get(topic)
        if held is None or not 0 <= partition < len(held.partitions) or not held.partitions[partition].available:
            raise UnreachableError(f"{topic}[{partition}] has no leader that answers")
        return held.partitions[partition]

    def accept(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> PartitionLog:
        """Choose the partition a record goes to; `RefusedError` with the broker's word where it may not."""
        held = self.topics.get(topic)
        if held is None:
            raise RefusedError(topic, "UNKNOWN_TOPIC_OR_PART")
        number = partition_for(key or b"", len(held.partitions)) if partition < 0 else partition
        if number >= len(held.partitions):
            raise RefusedError(topic, "UNKNOWN_PARTITION")
        if not held.writable or held.error is not None:
            raise RefusedError(topic, "TOPIC_AUTHORIZATION_FAILED")
        if key is None and "compact" in held.setting("cleanup.policy"):
            raise RefusedError(topic, "INVALID_RECORD")
        if _size(key, value, headers) > int(held.setting("max.message.bytes")):
            raise RefusedError(topic, "MSG_SIZE_TOO_LARGE")
        return held.partitions[number]

    def expire(self) -> tuple[str, ...]:
        """Abort the transactions whose time is up; returns their ids."""
        late = tuple(self.transactions.expire())
        if late:
            self.lock.notify_all()
        return late

    def delete(self, name: str) -> Topic:
        """Remove a topic, and what groups have committed of it."""
        for group in self.groups.values():
            if group.topic == name:
                group.committed.clear()
        return self.topics.pop(name)

    def partitions(self, topic: str) -> int:
        """How many partitions ``topic`` has, 0 if it does not exist."""
        held = self.topics.get(topic)
        return 0 if held is None else len(held.partitions)


def _size(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> int:
    """About how many bytes a batch of this one record takes on the wire."""
    named = sum(len(name.encode()) + len(content) + 2 for name, content in headers)
    return _BATCH_OVERHEAD + _RECORD_OVERHEAD + len(key or b"") + len(value or b"") + named
