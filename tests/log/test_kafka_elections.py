"""A leader that goes away delays a transaction; it must not fail one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from kadence.log.kafka import KafkaLog

if TYPE_CHECKING:
    from kadence.testing.broker import Cluster

pytestmark = pytest.mark.broker

REPLICATED = {"min.insync.replicas": "2"}


def test_killing_each_node_in_turn_fails_no_transaction(three_brokers: Cluster, namespace: str) -> None:
    log = KafkaLog(three_brokers.bootstrap_servers)
    topic = f"{namespace}.executions"
    log.admin().create(topic, 3, 3, REPLICATED)
    writer = log.writer(f"{namespace}.shard.0")  # its errors, of which there must be none, end the test
    killed, enough = threading.Event(), threading.Event()

    def kill_each() -> None:
        for index, node in enumerate(three_brokers.nodes):
            node.kill()
            killed.set()
            three_brokers.restart(index)
        enough.set()

    killer = threading.Thread(target=kill_each)
    killer.start()
    committed = 0
    while not enough.is_set():
        writer.begin()
        for partition in range(3):
            writer.send(topic, partition, b"k", b"v")
        writer.flush()
        writer.commit()
        committed += killed.is_set()
    killer.join()
    writer.close()
    assert committed > 0
