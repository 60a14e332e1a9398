"""A shard whose partitions have no leader waits; the shards of the same worker next to it do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]  # re-exported without saying so

from kadence.testing.broker import Cluster
from tests.cluster.oracle import Grid, judge
from tests.conftest import BROKER_CACHE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cluster.stage import Stage

pytestmark = [pytest.mark.cluster, pytest.mark.broker]

_COORDINATORS: Final = 4
"""Partitions of Kafka's own topics, as the test cluster has them."""
_SHARDS: Final = 3
_AWAY_MS: Final = 8_000
_LATEST: Final = 1_000


@pytest.fixture(scope="module")
def single_copies(java: None) -> Iterator[Cluster]:
    """Three nodes that keep one copy of everything, so that each partition stands or falls with one of them."""
    single = {
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "group.min.session.timeout.ms": "1000",
        "share.coordinator.state.topic.replication.factor": "1",
    }
    with Cluster(3, properties=single, cache=BROKER_CACHE) as cluster:
        yield cluster


def test_a_shard_without_a_leader_delays_no_other(single_copies: Cluster, make_stage: Callable[[str], Stage]) -> None:
    stage = make_stage(single_copies.bootstrap_servers)
    away, slow = _place(stage)
    stage.look(_SHARDS)
    stage.worker("one")
    stage.owned_by("one")
    specs = {f"job-{number:02d}": {"schedule": {"every": "1s"}, "catch_up": {"policy": "all"}} for number in range(30)}
    written = stage.write.jobs(specs)
    jobs = {name: Grid(1000, place.timestamp) for name, place in written.items()}
    stage.until("all fire", lambda: {one.key for one in stage.executions()} == jobs.keys())
    shard = {one.key: one.partition for one in stage.executions()}
    assert set(shard.values()) == set(range(_SHARDS))
    others = {name: grid for name, grid in jobs.items() if shard[name] != slow}

    single_copies.nodes[away - 1].suspend()
    try:
        stopped = max(one.timestamp for one in stage.executions())
        stage.until(
            "the others have gone on for seconds",
            lambda: max(one.timestamp for one in stage.executions() if one.key in others) > stopped + _AWAY_MS,
        )
        went_on = {one.id for one in stage.executions() if one.key not in others and one.timestamp > stopped + 2_000}
    finally:
        single_copies.nodes[away - 1].resume()
    assert not went_on, "the suspended node went on serving: this test shows nothing"

    back = max(one.timestamp for one in stage.executions())
    stage.decided_through(back, 120)
    stage.catch_up()
    verdict = judge(stage.executions(), jobs, back)
    assert verdict.clean, verdict
    late = {one.id: one.timestamp - one.due for one in stage.executions() if one.key in others and one.due <= back}
    worst = max(late, key=late.__getitem__)
    assert late[worst] <= _LATEST, f"{worst} was {late[worst]} ms late while another shard's leader was away"


def _place(stage: Stage) -> tuple[int, int]:
    """Create the topics so that one node leads all of one shard's partitions and nothing that the others need.

    Returns that node's id and the shard.
    """
    transactions = _leaders(stage, "__transaction_state")
    groups = _leaders(stage, "__consumer_offsets")
    coordinators = [transactions[_slot(f"{stage.namespace}.shard.{shard}")] for shard in range(_SHARDS)]
    group = groups[_slot(f"{stage.namespace}.workers")]
    away, slow = next(
        (node, shard)
        for node in (1, 2, 3)
        for shard in range(_SHARDS)
        if node != group and node not in [*coordinators[:shard], *coordinators[shard + 1 :]]
    )
    near = [node for node in (1, 2, 3) if node != away]
    topics = [NewTopic(f"{stage.namespace}.control", 1, replica_assignment=[[near[0]]], config=_config("compact"))]
    for name in ("state", "executions", "outcomes", "events"):
        placed = [[away] if shard == slow else [near[shard % 2]] for shard in range(_SHARDS)]
        policy = _config("compact" if name == "state" else "delete")
        topics.append(NewTopic(f"{stage.namespace}.{name}", _SHARDS, replica_assignment=placed, config=policy))
    for future in stage.admin.create_topics(topics, operation_timeout=30).values():
        future.result(30)
    return away, slow


def _config(policy: str) -> dict[str, str]:
    return {"cleanup.policy": policy, "message.timestamp.type": "LogAppendTime"}


def _leaders(stage: Stage, topic: str) -> list[int]:
    """The node that leads each partition of one of Kafka's own topics, which is made now if it was not yet."""
    settings = {"cleanup.policy": "compact"}
    for future in stage.admin.create_topics([NewTopic(topic, _COORDINATORS, 1, config=settings)]).values():
        future.exception(30)  # where it exists, it exists
    deadline = stage.clock.monotonic() + 30_000
    while stage.clock.monotonic() < deadline:
        found = stage.admin.list_topics(topic, timeout=30).topics[topic].partitions
        leaders = [found[number].leader for number in range(_COORDINATORS) if number in found]
        if len(leaders) == _COORDINATORS and min(leaders) > 0:
            return leaders
    message = f"{topic} was not served in time"
    raise AssertionError(message)


def _slot(name: str) -> int:
    """Which partition of Kafka's own topics coordinates a group or transactional id: |String.hashCode| of its name."""
    value = 0
    for character in name:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    signed = value - (1 << 32) if value & 0x80000000 else value
    return abs(signed) % _COORDINATORS
