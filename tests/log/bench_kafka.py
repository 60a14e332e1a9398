"""A real broker as a `Bench`."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from kadence.errors import UnreachableError
from kadence.log.kafka import KafkaLog
from tests.log.bench import FILLER, WAIT_S, Trouble, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from kadence.log.port import Log, LogAdmin, LogAppender, LogConsumer, LogReader, LogWriter, Membership
    from tests.log.endtxn_proxy import EndTxnProxy

_EAGER: Final = {
    "cleanup_policy": "compact",
    "delete_retention_ms": "1",
    "max_compaction_lag_ms": "1",
    "min_cleanable_dirty_ratio": "0.0",
    "min_compaction_lag_ms": "0",
    "segment_ms": "100",
}
"""Topic settings under which the log cleaner takes every chance it gets."""


class _Closes(Protocol):
    def close(self) -> None: ...


_C = TypeVar("_C", bound=_Closes)


class _Remembering:
    """A `Log` that closes at the end whatever it made."""

    def __init__(self, log: Log, endings: list[Callable[[], None]]) -> None:
        self._log = log
        self._endings = endings

    def reader(self) -> LogReader:
        return self._remember(self._log.reader())

    def writer(self, transactional_id: str) -> LogWriter:
        return self._remember(self._log.writer(transactional_id))

    def appender(self) -> LogAppender:
        return self._remember(self._log.appender())

    def admin(self) -> LogAdmin:
        return self._remember(self._log.admin())

    def join(self, group: str, topic: str) -> Membership:
        membership = self._log.join(group, topic)
        self._endings.append(membership.leave)
        return membership

    def consume(self, group: str, topic: str, on_revoked: Callable[[frozenset[int], bool], None]) -> LogConsumer:
        consumer = self._log.consume(group, topic, on_revoked)
        self._endings.append(consumer.leave)
        return consumer

    def _remember(self, made: _C) -> _C:
        self._endings.append(made.close)
        return made


def _leads(reader: LogReader, topic: str, partition: int) -> bool:
    """Whether the partition has a leader that answers."""
    try:
        reader.bounds(topic, partition, 1.0)
    except UnreachableError:
        return False
    return True


class KafkaBench:
    """A `tests.log.bench.Bench` on a broker shared with other cases; ``with KafkaBench(...) as bench``."""

    def __init__(self, bootstrap_servers: str, proxied: str, proxy: EndTxnProxy) -> None:
        self._endings: list[Callable[[], None]] = []
        self._proxy = proxy
        self._client = AdminClient({"bootstrap.servers": bootstrap_servers})
        self.log: Log = _Remembering(KafkaLog(bootstrap_servers), self._endings)
        self.other: Log = _Remembering(KafkaLog(bootstrap_servers), self._endings)
        frail = {
            "transaction.timeout.ms": "2000",
            "socket.timeout.ms": "1000",
        }  # a lost answer is missed soon
        self.frail: Log = _Remembering(KafkaLog(proxied, frail), self._endings)

    def close(self) -> None:
        self._proxy.trouble = Trouble.NONE
        for end in reversed(self._endings):
            end()

    def name(self, kind: str) -> str:
        return f"{kind}-{uuid.uuid4().hex[:12]}"

    def topic(self, partitions: int = 1, **config: str) -> str:
        name = self.name("topic")
        settings = {"message.timestamp.type": "LogAppendTime"}
        settings |= {key.replace("_", "."): value for key, value in config.items()}
        self.log.admin().create(name, partitions, -1, settings)
        reader = self.log.reader()
        for partition in range(partitions):  # a leader that is only just coming may let a first record be lost
            wait_until(lambda partition=partition: _leads(reader, name, partition))  # type: ignore[misc]
        reader.close()
        return name

    def compacted(self) -> str:
        return self.topic(1, **_EAGER)

    def compact_until(self, topic: str, done: Callable[[], bool]) -> None:
        appender = self.log.appender()

        def step() -> bool:
            appender.append(topic, 0, FILLER, b"rolls the segment")
            return done()

        wait_until(step)

    def retain(self, topic: str, partition: int, start: int) -> None:
        for future in self._client.delete_records([TopicPartition(topic, partition, start)]).values():
            future.result(WAIT_S)

    def recreate(self, topic: str) -> None:
        facts = self.log.admin().describe([topic])[topic]
        for future in self._client.delete_topics([topic]).values():
            future.result(WAIT_S)
        wait_until(lambda: topic not in self.log.admin().describe([topic]))
        self.log.admin().create(topic, facts.partitions, facts.replication, {})

    def trouble(self, trouble: Trouble) -> None:
        self._proxy.trouble = trouble

    def deliver(self) -> None:
        assert self._proxy.deliver() > 0
