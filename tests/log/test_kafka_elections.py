"""A node that goes away delays a transaction, and it must not fail one; nor must it silence the rest of the cluster."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from kadence.clock import SystemClock
from kadence.errors import UnreachableError
from kadence.log.kafka import KafkaLog

if TYPE_CHECKING:
    from kadence.log.kafka.admin import KafkaAdmin
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


def test_facts_are_told_whichever_node_has_died_and_partitions_without_a_leader_are_among_them(
    three_brokers: Cluster, namespace: str
) -> None:
    topic = f"{namespace}.single"
    admin = KafkaLog(three_brokers.bootstrap_servers).admin()
    admin.create(topic, 3, 1, {})  # one partition on each node
    for index, node in enumerate(three_brokers.nodes):
        _await_leaderless(admin, topic, 0)
        node.kill()
        try:
            _await_leaderless(admin, topic, 1)
        finally:
            three_brokers.restart(index)
    _await_leaderless(admin, topic, 0)
    assert admin.brokers() == 3
    admin.close()


def _await_leaderless(admin: KafkaAdmin, topic: str, count: int) -> None:
    """Ask one and the same admin, as a worker does for as long as it runs, until it says so."""
    clock, pause = SystemClock(), threading.Event()
    deadline = clock.monotonic() + 60_000
    found: object = None
    while clock.monotonic() < deadline:
        try:
            found = admin.describe([topic], timeout=3).get(topic)
        except UnreachableError as error:
            found = error
        else:
            if found is not None and found.leaderless == count:
                return
        pause.wait(0.1)
    pytest.fail(f"{topic} never had {count} partitions without a leader; the last answer: {found}")
