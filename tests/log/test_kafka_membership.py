"""The consumer group as real members see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Consumer

from kadence.clock import SystemClock
from kadence.errors import ConfigurationError
from kadence.log.kafka import KafkaLog
from kadence.log.port import Assigned, Revoked
from tests.log.acl import AclOperation, ResourceType, forbid

if TYPE_CHECKING:
    from collections.abc import Callable

    from kadence.log.kafka.membership import KafkaMembership
    from kadence.testing.broker import Cluster

pytestmark = pytest.mark.broker

ALL = frozenset(range(6))


class Member:
    """A membership and what it amounts to, polled by hand as one thread would."""

    def __init__(self, membership: KafkaMembership) -> None:
        self.membership = membership
        self.owned: frozenset[int] = frozenset()
        self.lost = False

    def poll(self) -> None:
        for change in self.membership.poll(0.05):
            match change:
                case Assigned(partitions):
                    self.owned |= partitions
                case Revoked(partitions, lost):
                    self.owned -= partitions
                    self.lost = self.lost or lost


def until(done: Callable[[], bool], *members: Member) -> None:
    """Poll every member in turn until ``done``; fails after half a minute."""
    clock = SystemClock()
    deadline = clock.monotonic() + 30_000
    while not done():
        assert clock.monotonic() < deadline, [member.owned for member in members]
        for member in members:
            member.poll()


@pytest.fixture
def log(broker: Cluster) -> KafkaLog:
    return KafkaLog(broker.bootstrap_servers)


@pytest.fixture
def topic(log: KafkaLog, namespace: str) -> str:
    log.admin().create(f"{namespace}.state", len(ALL), 1, {"cleanup.policy": "compact"})
    return f"{namespace}.state"


def test_two_members_share_and_one_that_leaves_hands_over_at_once(log: KafkaLog, topic: str, namespace: str) -> None:
    group = f"{namespace}.workers"
    first, second = Member(log.join(group, topic)), Member(log.join(group, topic))
    until(lambda: len(first.owned) == len(second.owned) == len(ALL) // 2, first, second)
    assert first.owned | second.owned == ALL
    second.membership.leave()
    second.membership.leave()
    clock = SystemClock()
    left = clock.monotonic()
    until(lambda: first.owned == ALL, first)
    assert clock.monotonic() - left < 5_000  # by the leaving, not by the session timeout of 10 s
    assert not first.lost
    first.membership.leave()


def test_records_are_not_fetched_by_a_membership(log: KafkaLog, topic: str, namespace: str) -> None:
    member = Member(log.join(f"{namespace}.workers", topic))
    until(lambda: member.owned == ALL, member)
    log.appender().append_all(topic, 0, [(b"k", b"v")] * 100)
    assert member.membership.poll(0.5) == []
    member.membership.leave()


def test_a_forbidden_group_is_a_matter_of_configuration(
    broker: Cluster, log: KafkaLog, topic: str, namespace: str
) -> None:
    group = f"{namespace}.workers"
    forbid(broker.bootstrap_servers, ResourceType.GROUP, group, AclOperation.READ)
    member = Member(log.join(group, topic))
    with pytest.raises(ConfigurationError, match=group):
        until(lambda: False, member)
    member.membership.leave()


def test_a_group_with_another_way_to_share_is_a_matter_of_configuration(
    broker: Cluster, log: KafkaLog, topic: str, namespace: str
) -> None:
    group = f"{namespace}.workers"
    stranger = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": group,
            "partition.assignment.strategy": "range",
            "auto.offset.reset": "latest",
        }
    )
    stranger.subscribe([topic])
    while not stranger.assignment():
        stranger.poll(0.1)
    member = Member(log.join(group, topic))
    with pytest.raises(ConfigurationError, match=group):
        until(lambda: False, member)
    member.membership.leave()
    stranger.close()
