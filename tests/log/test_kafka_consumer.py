"""What only a real broker can put in front of a group's consumer, and of records that are posted."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer

from kadence.errors import ConfigurationError, LogError, UnreachableError
from kadence.log.kafka import KafkaLog
from tests.log.acl import AclOperation, ResourceType, forbid
from tests.log.bench import wait_until
from tests.log.cases_consuming import Consuming, polled_until
from tests.log.test_kafka_reader import produce_with_header

if TYPE_CHECKING:
    from kadence.log.port import Receipt
    from kadence.testing.broker import Cluster

NOWHERE = "127.0.0.1:1"  # a port that is never listened on


@pytest.fixture
def log(broker: Cluster) -> KafkaLog:
    return KafkaLog(broker.bootstrap_servers)


@pytest.fixture
def topic(log: KafkaLog, namespace: str) -> str:
    log.admin().create(f"{namespace}.executions", 2, 1, {"message.timestamp.type": "LogAppendTime"})
    return f"{namespace}.executions"


@pytest.mark.broker
def test_a_batch_that_inflates_past_the_limit_is_skipped_and_nothing_else_is(
    broker: Cluster, log: KafkaLog, topic: str, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    appender = log.appender()
    appender.append(topic, 0, b"k", b"before")
    settings = {"compression.type": "zstd", "message.max.bytes": 50_000_000, "batch.size": 50_000_000}
    bomber = Producer({"bootstrap.servers": broker.bootstrap_servers, "linger.ms": 500, **settings})
    for _ in range(30):
        bomber.produce(topic, bytes(400_000), partition=0)
    bomber.flush(30)
    appender.append_all(topic, 0, [(b"k", b"after"), (b"k", b"and on")])
    appender.append(topic, 1, b"k", b"other")
    small = {"receive.message.max.bytes": "10000000", "fetch.max.bytes": "1000000"}
    for start in (0, 7):  # from before it, and from inside of it
        member = Consuming(KafkaLog(broker.bootstrap_servers, small), f"{namespace}.executors", topic)
        polled_until(lambda member=member: b"and on" in member.values and b"other" in member.values, member)  # type: ignore[misc]
        found = [record.value for record in member.read if record.partition == 0]
        assert found == [b"before", b"after", b"and on"][start and 1 :]
        assert member.poll() == []
        member.consumer.commit({0: 7})
        member.consumer.leave()
        assert caplog.text.count("offsets 1 to 30 cannot be read and are skipped") == 1
        caplog.clear()


@pytest.mark.broker
def test_a_header_whose_name_is_not_utf_8_costs_the_record_its_headers_only(
    broker: Cluster, log: KafkaLog, topic: str, namespace: str
) -> None:
    produce_with_header(broker.bootstrap_servers, topic, b"\xff\xfe", b"value", 50)
    log.appender().append(topic, 0, b"k", b"next", [("fine", b"1")])
    member = Consuming(log, f"{namespace}.executors", topic)
    polled_until(lambda: len(member.read) == 51, member)
    assert {(record.value, record.headers) for record in member.read} == {(b"value", ()), (b"next", (("fine", b"1"),))}
    member.consumer.leave()


@pytest.mark.broker
@pytest.mark.parametrize("kind", [ResourceType.GROUP, ResourceType.TOPIC])
def test_what_may_not_be_consumed_is_a_matter_of_configuration(
    broker: Cluster, log: KafkaLog, topic: str, namespace: str, kind: ResourceType
) -> None:
    group = f"{namespace}.executors"
    forbid(broker.bootstrap_servers, kind, group if kind is ResourceType.GROUP else topic, AclOperation.READ)
    if kind is ResourceType.TOPIC:
        forbid(broker.bootstrap_servers, kind, topic, AclOperation.DESCRIBE)
    member = Consuming(log, group, topic)
    with pytest.raises(ConfigurationError, match=namespace):
        polled_until(lambda: False, member)
    member.consumer.leave()


@pytest.mark.broker
def test_a_topic_that_is_not_there_yet_is_waited_for(log: KafkaLog, namespace: str) -> None:
    log = KafkaLog(log._connection.bootstrap_servers, {"topic.metadata.refresh.interval.ms": "300"})
    member = Consuming(log, f"{namespace}.executors", f"{namespace}.later")
    assert [member.poll() for _ in range(5)] == [[]] * 5
    log.admin().create(f"{namespace}.later", 1, 1, {})
    log.appender().append(f"{namespace}.later", 0, b"k", b"v")
    polled_until(lambda: member.values == [b"v"], member)
    member.consumer.leave()


@pytest.mark.broker
def test_a_member_that_did_not_poll_for_too_long_is_told_what_it_lost_and_commits_nothing_of_it(
    broker: Cluster, log: KafkaLog, topic: str, namespace: str
) -> None:
    group = f"{namespace}.executors"
    hasty = KafkaLog(broker.bootstrap_servers, {"max.poll.interval.ms": "6000", "session.timeout.ms": "6000"})
    log.appender().append_all(topic, 0, [(b"k", b"1"), (b"k", b"2")])
    first, second = Consuming(hasty, group, topic), Consuming(log, group, topic)
    polled_until(lambda: len(first.read) == 2, first)

    def too_late() -> None:
        with suppress(UnreachableError):  # of what it was told before it was put out of the group
            first.consumer.commit({0: 2, 1: 2})

    first.at_revocation = too_late
    polled_until(lambda: second.consumer.assigned() == frozenset({0, 1}), second)  # which takes as long as that
    second.consumer.commit({0: 1})

    def gone() -> frozenset[int]:
        return frozenset().union(*(partitions for partitions, _ in first.revocations))

    polled_until(lambda: gone() == frozenset({0, 1}), first, second)
    assert first.revocations[-1][1]
    polled_until(lambda: len(first.consumer.assigned()) == 1, first, second)  # it joined again
    for member in (first, second):
        member.at_revocation = lambda: None
        member.consumer.leave()
    third = Consuming(log, group, topic)
    polled_until(lambda: [record.offset for record in third.read] == [1], third)
    third.consumer.leave()


@pytest.mark.broker
def test_a_commit_while_members_come_and_go_holds_or_says_that_it_may_not(
    log: KafkaLog, topic: str, namespace: str
) -> None:
    group = f"{namespace}.executors"
    log.appender().append_all(topic, 0, [(b"k", b"v")] * 5)
    member = Consuming(log, group, topic)
    polled_until(lambda: len(member.read) == 5, member)
    for _ in range(3):
        other = Consuming(log, group, topic)
        polled_until(lambda: len(member.consumer.assigned()) == 1, other, member)
        member.commit_read()
        polled_until(lambda other=other: len(other.consumer.assigned()) == 1, other, member)  # type: ignore[misc]
        other.consumer.leave()
        polled_until(lambda: len(member.consumer.assigned()) == 2, member)
        member.commit_read()
    member.consumer.leave()


def test_posts_that_nobody_takes_are_answered_by_themselves_and_at_the_end() -> None:
    answers: list[Receipt | LogError] = []
    appender = KafkaLog(NOWHERE, {"message.timeout.ms": "200"}).appender()
    for _ in range(3):
        appender.post("orders", 0, b"k", b"v", done=answers.append)
    wait_until(lambda: len(answers) == 3)
    appender.post("orders", 0, b"k", b"v", done=answers.append)
    appender.close()
    assert [type(answer) for answer in answers] == [UnreachableError] * 4


@pytest.mark.broker
def test_an_appender_may_be_closed_by_an_answer(log: KafkaLog, topic: str) -> None:
    appender, closed = log.appender(), threading.Event()

    def close(_: Receipt | LogError) -> None:
        appender.close()
        closed.set()

    answers: list[Receipt | LogError] = []
    appender.post(topic, 0, b"k", b"v", done=close)
    for _ in range(10):
        try:
            appender.post(topic, 0, b"k", b"v", done=answers.append)
        except RuntimeError:  # closed meanwhile
            break
    wait_until(closed.is_set)
    assert not [answer for answer in answers if isinstance(answer, LogError)]


@pytest.mark.broker
def test_posts_wait_for_room_in_a_small_queue(broker: Cluster, topic: str) -> None:
    log = KafkaLog(broker.bootstrap_servers, {"queue.buffering.max.messages": "10"})
    answers: list[Receipt | LogError] = []
    appender = log.appender()

    def again(answer: Receipt | LogError) -> None:
        answers.append(answer)
        appender.post(topic, 1, b"k", b"from an answer", done=answers.append)

    for _ in range(300):
        appender.post(topic, 0, b"k", b"v", done=again)
    wait_until(lambda: len(answers) == 600)
    appender.close()
    assert not [answer for answer in answers if isinstance(answer, LogError)]
