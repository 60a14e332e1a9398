"""What only a real broker can say to a transactional writer: who fenced it, and which topic refused."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING

import pytest

from kadence.domain.partition import partition_for
from kadence.errors import ConfigurationError, FencedError, RefusedError
from kadence.log.kafka import KafkaLog
from kadence.log.port import EARLIEST
from tests.log.acl import AclOperation, ResourceType, delete_topic, forbid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kadence.log.kafka.writer import KafkaWriter
    from kadence.log.port import Record
    from kadence.testing.broker import Cluster

pytestmark = pytest.mark.broker

APPEND_TIME = {"message.timestamp.type": "LogAppendTime"}


@pytest.fixture
def log(broker: Cluster) -> KafkaLog:
    return KafkaLog(broker.bootstrap_servers)


@pytest.fixture
def topic(log: KafkaLog, namespace: str) -> str:
    name = f"{namespace}.executions"
    log.admin().create(name, 3, 1, APPEND_TIME)
    return name


@pytest.fixture
def writer(log: KafkaLog, topic: str, namespace: str) -> Iterator[KafkaWriter]:
    """A writer that has committed to ``topic`` once, so that what a test does next is no first contact."""
    writer = log.writer(f"{namespace}.shard.0")
    writer.begin()
    writer.send(topic, 0, b"k", b"v")
    writer.commit()
    yield writer
    writer.close()


def refusal(writer: KafkaWriter, good: str, bad: str, value: bytes = b"v") -> RefusedError:
    """What a transaction meets that also holds a record for ``bad``; afterwards every call says the same."""
    writer.begin()
    writer.send(good, 0, b"k", b"v")
    with pytest.raises(RefusedError) as raised:
        send_and_flush(writer, bad, value)
    with pytest.raises(RefusedError) as again:
        writer.commit()
    assert again.value.topic == raised.value.topic
    return raised.value


def send_and_flush(writer: KafkaWriter, topic: str, value: bytes) -> None:
    writer.send(topic, 0, b"k", value)
    writer.flush()


def test_a_missing_topic_refuses_by_name(writer: KafkaWriter, topic: str, namespace: str) -> None:
    error = refusal(writer, topic, f"{namespace}.missing")
    assert error.topic == f"{namespace}.missing"
    assert "Unknown topic" in error.reason


def test_a_missing_topic_is_not_created_by_writing_to_it(
    log: KafkaLog, writer: KafkaWriter, topic: str, namespace: str
) -> None:
    refusal(writer, topic, f"{namespace}.missing")
    assert log.admin().describe([f"{namespace}.missing"]) == {}


def test_a_topic_that_takes_only_smaller_records_refuses_by_name(
    log: KafkaLog, writer: KafkaWriter, topic: str, namespace: str
) -> None:
    small = f"{namespace}.small"
    log.admin().create(small, 1, 1, {"max.message.bytes": "1000"})
    error = refusal(writer, topic, small, secrets.token_bytes(5_000))
    assert (error.topic, error.reason) == (small, "Broker: Message size too large")


def test_a_forbidden_topic_refuses_by_name(
    broker: Cluster, log: KafkaLog, writer: KafkaWriter, topic: str, namespace: str
) -> None:
    closed = f"{namespace}.closed"
    log.admin().create(closed, 1, 1, {})
    forbid(broker.bootstrap_servers, ResourceType.TOPIC, closed, AclOperation.WRITE)
    error = refusal(writer, topic, closed)
    assert (error.topic, error.reason) == (closed, "it may not be written to")


def test_a_topic_deleted_under_load_refuses_by_name(
    broker: Cluster, log: KafkaLog, writer: KafkaWriter, topic: str, namespace: str
) -> None:
    doomed = f"{namespace}.doomed"
    log.admin().create(doomed, 1, 1, {})
    committed = threading.Event()

    def delete() -> None:
        committed.wait(30)
        delete_topic(broker.bootstrap_servers, doomed)

    deletion = threading.Thread(target=delete)
    deletion.start()

    def load() -> None:
        while True:
            writer.begin()
            writer.send(topic, 0, b"k", b"v")
            for _ in range(20):
                writer.send(doomed, 0, b"k", b"v")
            writer.flush()
            writer.commit()
            committed.set()

    with pytest.raises(RefusedError) as raised:
        load()
    assert committed.is_set(), raised.value
    deletion.join()
    assert raised.value.topic == doomed


def test_after_a_refusal_a_successor_commits_and_nothing_of_the_refused_transaction_is_seen(
    log: KafkaLog, writer: KafkaWriter, topic: str, namespace: str
) -> None:
    refusal(writer, topic, f"{namespace}.missing")
    writer.close()
    successor = log.writer(f"{namespace}.shard.0")
    successor.begin()
    successor.send(topic, 0, b"k", b"after")
    receipt = successor.commit()
    successor.close()
    reader = log.reader()
    reader.assign(topic, 0, EARLIEST)
    records: list[Record] = []
    while not records or records[-1].offset < receipt.offset:
        records += reader.read(100, 10)
    reader.close()
    assert [record.value for record in records] == [b"v", b"after"]


def test_a_writer_that_was_taken_over_hears_that_it_is_fenced(log: KafkaLog, topic: str, namespace: str) -> None:
    first = log.writer(f"{namespace}.shard.0")
    first.begin()
    first.send(topic, 0, b"k", b"v")
    first.flush()
    second = log.writer(f"{namespace}.shard.0")
    with pytest.raises(FencedError):
        first.commit()
    with pytest.raises(FencedError):
        first.begin()
    first.close()
    second.close()


def test_a_forbidden_transactional_id_is_a_matter_of_configuration(
    broker: Cluster, log: KafkaLog, namespace: str
) -> None:
    shard = f"{namespace}.shard.0"
    forbid(broker.bootstrap_servers, ResourceType.TRANSACTIONAL_ID, shard, AclOperation.WRITE)
    with pytest.raises(ConfigurationError, match="shard"):
        log.writer(shard)


def test_a_full_queue_makes_send_wait_and_loses_nothing(broker: Cluster, topic: str, namespace: str) -> None:
    log = KafkaLog(broker.bootstrap_servers, {"queue.buffering.max.messages": "10"})
    writer = log.writer(f"{namespace}.shard.0")
    writer.begin()
    for number in range(200):
        writer.send(topic, 1, b"k", b"%d" % number)
    assert writer.commit().offset == 199
    writer.close()


def test_without_a_partition_a_key_goes_where_java_puts_it(log: KafkaLog, namespace: str) -> None:
    topic = f"{namespace}.target"
    log.admin().create(topic, 7, 1, {})
    writer = log.writer(f"{namespace}.shard.0")
    keys = [b"", b"a", b"21", b"foobar", "überfällig".encode(), b"a-little-bit-longer-string"]
    writer.begin()
    for key in keys:
        writer.send(topic, -1, key, b"v")
    writer.commit()
    writer.close()
    reader = log.reader()
    for partition in range(7):
        reader.assign(topic, partition, EARLIEST)
    found: dict[bytes | None, int] = {}
    while len(found) < len(keys):
        found.update({record.key: record.partition for record in reader.read(100, 10)})
    reader.close()
    assert found == {key: partition_for(key, 7) for key in keys}
