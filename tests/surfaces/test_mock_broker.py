"""The embedded broker of the demo, with the same clients that the demo uses.

Its shortcomings are pinned here too: the demo's notes to its user, and what it switches off, rest on them.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from kadence.demo.mock_broker import MockBroker, find_library
from kadence.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOPIC = "demo.state"
_DEADLINE_S = 10.0


@pytest.fixture
def mock() -> Iterator[MockBroker]:
    with MockBroker() as running:
        running.create_topic(_TOPIC, 3)
        yield running


def _consumer(mock: MockBroker, **settings: str | bool | int) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": mock.bootstrap_servers,
            "group.id": "demo.workers",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 50,  # this broker answers a waiting fetch only when its time is up
            **settings,
        }
    )


def _producer(mock: MockBroker, **settings: str | bool | int) -> Producer:
    return Producer({"bootstrap.servers": mock.bootstrap_servers, **settings})


def _read(mock: MockBroker, partition: int, count: int) -> list[Message]:
    """Read the first ``count`` records, with the isolation that workers use."""
    consumer = _consumer(mock, **{"isolation.level": "read_committed"})
    try:
        consumer.assign([TopicPartition(_TOPIC, partition, OFFSET_BEGINNING)])
        records = consumer.consume(count, timeout=_DEADLINE_S)
        assert [record.error() for record in records] == [None] * count
        return records
    finally:
        consumer.close()


def _commit(producer: Producer, value: bytes) -> list[Message]:
    reports: list[Message] = []

    def report(error: KafkaError | None, message: Message) -> None:
        assert error is None
        reports.append(message)

    producer.begin_transaction()
    producer.produce(_TOPIC, value, b"job/a", partition=1, headers={"ce_id": b"a@1"}, on_delivery=report)
    producer.flush(_DEADLINE_S)
    producer.commit_transaction()
    return reports


def test_a_topic_has_the_partitions_asked_for(mock: MockBroker) -> None:
    mock.create_topic("demo.control", 1)
    admin = AdminClient({"bootstrap.servers": mock.bootstrap_servers})
    topics = admin.list_topics(timeout=_DEADLINE_S).topics
    assert {name: len(topic.partitions) for name, topic in topics.items()} == {_TOPIC: 3, "demo.control": 1}


def test_a_committed_transaction_is_read_with_its_key_value_and_headers(mock: MockBroker) -> None:
    producer = _producer(mock, **{"transactional.id": "demo.shard.1"})
    producer.init_transactions(_DEADLINE_S)
    _commit(producer, b"one")
    [record] = _read(mock, partition=1, count=1)
    assert (record.key(), record.value(), record.headers()) == (b"job/a", b"one", [("ce_id", b"a@1")])


def test_a_consumer_group_with_cooperative_sticky_gets_all_partitions(mock: MockBroker) -> None:
    assigned: list[int] = []

    def on_assign(_: Consumer, partitions: list[TopicPartition]) -> None:
        assigned.extend(partition.partition for partition in partitions)

    consumer = _consumer(mock, **{"partition.assignment.strategy": "cooperative-sticky"})
    try:
        consumer.subscribe([_TOPIC], on_assign=on_assign)
        rounds = 0
        while len(assigned) < 3 and rounds < 100:
            assert consumer.poll(0.1) is None
            rounds += 1
        assert sorted(assigned) == [0, 1, 2]
    finally:
        consumer.close()


def test_it_does_not_isolate_transactions_nor_fence_nor_tell_the_time(mock: MockBroker) -> None:
    first = _producer(mock, **{"transactional.id": "demo.shard.1"})
    first.init_transactions(_DEADLINE_S)
    first.begin_transaction()
    first.produce(_TOPIC, b"aborted", partition=1)
    first.flush(_DEADLINE_S)
    first.abort_transaction()
    second = _producer(mock, **{"transactional.id": "demo.shard.1"})
    second.init_transactions(_DEADLINE_S)
    [report] = _commit(first, b"zombie")
    assert [record.value() for record in _read(mock, partition=1, count=2)] == [b"aborted", b"zombie"]
    assert report.timestamp()[1] == 1234, "a delivery report's broker time became real: the demo may use it"


def test_after_close_nothing_listens_and_a_second_close_is_harmless() -> None:
    with MockBroker() as mock:
        host, port = mock.bootstrap_servers.split(":")
        socket.create_connection((host, int(port)), timeout=_DEADLINE_S).close()
    mock.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=_DEADLINE_S)
    with pytest.raises(ConfigurationError, match="closed"):
        mock.create_topic("demo.late", 1)


def test_several_brokers_live_side_by_side() -> None:
    with MockBroker() as one, MockBroker() as other:
        assert one.bootstrap_servers != other.bootstrap_servers


@pytest.mark.parametrize(
    ("name", "partitions", "complaint"),
    [(_TOPIC, 3, "already exists"), ("demo.none", 0, "at least 1 partition"), ("no spaces", 1, "topic name")],
)
def test_a_topic_that_cannot_be_is_refused_in_one_sentence(
    mock: MockBroker, name: str, partitions: int, complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        mock.create_topic(name, partitions)


def test_the_library_is_found_without_importing_the_client() -> None:
    program = (
        "import sys; from kadence.demo.mock_broker import MockBroker; MockBroker().close(); "
        "sys.exit('confluent_kafka' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    assert "rdkafka" in str(find_library())
