"""Facts that only a real cluster has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kadence.errors import ConfigurationError, NotFoundError
from kadence.log.kafka import KafkaLog
from tests.log.acl import AclOperation, ResourceType, delete_topic, forbid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kadence.log.kafka.admin import KafkaAdmin
    from kadence.testing.broker import Cluster

pytestmark = pytest.mark.broker


@pytest.fixture
def admin(broker: Cluster) -> Iterator[KafkaAdmin]:
    admin = KafkaLog(broker.bootstrap_servers).admin()
    yield admin
    admin.close()


def test_a_topic_is_described_with_all_that_a_start_up_check_asks(admin: KafkaAdmin, namespace: str) -> None:
    name = f"{namespace}.state"
    admin.create(name, 12, -1, {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"})
    info = admin.describe([name, f"{namespace}.missing"])
    assert set(info) == {name}
    facts = info[name]
    assert (facts.partitions, facts.replication, facts.writable, facts.error) == (12, 1, True, None)
    assert facts.topic_id
    assert facts.config["cleanup.policy"] == "compact"
    assert facts.config["message.timestamp.type"] == "LogAppendTime"
    assert facts.config["max.message.bytes"] == "1048588"  # defaults are told as well


def test_a_topic_that_was_created_again_has_another_id(admin: KafkaAdmin, broker: Cluster, namespace: str) -> None:
    name = f"{namespace}.control"
    admin.create(name, 1, 1, {})
    before = admin.describe([name])[name].topic_id
    delete_topic(broker.bootstrap_servers, name)
    admin.create(name, 1, 1, {})
    assert admin.describe([name])[name].topic_id != before


def test_a_topic_that_may_not_be_written_to_says_so(admin: KafkaAdmin, broker: Cluster, namespace: str) -> None:
    name = f"{namespace}.closed"
    admin.create(name, 1, 1, {})
    forbid(broker.bootstrap_servers, ResourceType.TOPIC, name, AclOperation.WRITE)
    assert not admin.describe([name], config=False)[name].writable


def test_a_topic_whose_settings_are_secret_is_described_without_them(
    admin: KafkaAdmin, broker: Cluster, namespace: str
) -> None:
    name = f"{namespace}.secret"
    admin.create(name, 1, 1, {})
    forbid(broker.bootstrap_servers, ResourceType.TOPIC, name, AclOperation.DESCRIBE_CONFIGS)
    info = admin.describe([name])[name]
    assert info.config == {}
    assert info.writable


def test_a_topic_that_may_not_be_described_is_there_with_an_error(
    admin: KafkaAdmin, broker: Cluster, namespace: str
) -> None:
    name = f"{namespace}.hidden"
    admin.create(name, 1, 1, {})
    forbid(broker.bootstrap_servers, ResourceType.TOPIC, name, AclOperation.ALL)
    info = admin.describe([name])[name]
    assert not info.writable
    assert info.error == "Broker: Topic authorization failed"


def test_settings_that_the_cluster_will_not_have_are_a_matter_of_configuration(
    admin: KafkaAdmin, namespace: str
) -> None:
    with pytest.raises(ConfigurationError, match="replication"):
        admin.create(f"{namespace}.state", 1, 3, {})
    admin.create(f"{namespace}.state", 1, 1, {})
    with pytest.raises(ConfigurationError, match="not changed"):
        admin.alter(f"{namespace}.state", {"cleanup.policy": "shred"})
    with pytest.raises(NotFoundError):
        admin.alter(f"{namespace}.missing", {"cleanup.policy": "compact"})


def test_one_node_is_one_broker(admin: KafkaAdmin) -> None:
    assert admin.brokers() == 1
