"""The real broker that tests stand on: it keeps its data, comes back, and says why when it does not."""

from __future__ import annotations

import socket

import pytest

from kadence.errors import UnreachableError
from kadence.log.kafka import KafkaLog
from kadence.log.port import EARLIEST
from kadence.testing.broker import Cluster, kafka_version, known_brokers
from tests.conftest import BROKER_CACHE


def test_the_pom_names_the_version_of_kafka() -> None:
    assert kafka_version() == "4.3.1"


def test_a_port_where_nobody_speaks_kafka_knows_no_brokers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert known_brokers(port, timeout=0.1) is None
    assert known_brokers(port, timeout=0.1) is None


@pytest.mark.broker
@pytest.mark.usefixtures("java")
def test_a_killed_node_comes_back_on_its_port_with_its_data() -> None:
    with Cluster(1, cache=BROKER_CACHE) as cluster:
        log = KafkaLog(cluster.bootstrap_servers)
        log.admin().create("kept", 1, 1, {})
        log.appender().append("kept", 0, b"k", b"v")
        node = cluster.nodes[0]
        before = node.pid
        node.kill()
        assert known_brokers(node.port) is None
        cluster.restart(0)
        assert node.pid not in {None, before}
        reader = log.reader()
        reader.assign("kept", 0, EARLIEST)
        assert [record.value for record in reader.read(10, 30)] == [b"v"]
        reader.close()


@pytest.mark.broker
@pytest.mark.usefixtures("java")
def test_a_node_that_cannot_start_says_why_and_leaves_no_process() -> None:
    cluster = Cluster(1, cache=BROKER_CACHE, properties={"num.io.threads": "several"})
    with pytest.raises(UnreachableError, match="several"):
        cluster.start()
    assert [node.pid for node in cluster.nodes] == [None]
