"""What was removed while everybody was away is gone, even when the log has forgotten the removal itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]  # re-exported without saying so

from kadence.clock import SystemClock
from tests.cluster.reading import Reading

if TYPE_CHECKING:
    from tests.cluster.stage import Stage

pytestmark = [pytest.mark.cluster, pytest.mark.broker]

_FORGETFUL: Final = {
    "cleanup.policy": "compact",
    "message.timestamp.type": "LogAppendTime",
    "min.compaction.lag.ms": "0",
    "max.compaction.lag.ms": "500",
    "min.cleanable.dirty.ratio": "0.0",
    "delete.retention.ms": "500",
    "segment.ms": "500",
}
"""A control topic that forgets within seconds what takes days in production."""


def test_what_was_removed_while_nobody_was_there_does_not_come_back(stage: Stage) -> None:
    _create(stage, f"{stage.namespace}.control")
    stage.topics(2)
    first = stage.worker("one")
    stage.owned_by("one")
    specs = {name: {"schedule": {"every": "500ms"}} for name in ("removed", "paused", "held", "steady")}
    stage.write.jobs(specs)
    stage.write.pause("paused", reason="for now")
    held = stage.write.control("hold/freeze", {"match": {"names": ["held"]}, "reason": "for now, too"})
    stage.acknowledged(held.offset)
    stage.until("the rest fires", lambda: bool(stage.executions("removed")) and bool(stage.executions("steady")))
    first.terminate()
    assert first.await_end() == 0

    keys = {"job/removed", "pause/paused", "hold/freeze"}
    for key in sorted(keys):
        stage.write.control(key, None)
    _compacted_away(stage, keys)

    stage.catch_up()
    before = {name: len(stage.executions(name)) for name in specs}
    stage.worker("two")
    stage.owned_by("two")
    for name in ("paused", "held", "steady"):
        stage.until(f"{name} fires", lambda name=name: len(stage.executions(name)) > before[name] + 3)  # type: ignore[misc]
    stage.catch_up()
    assert len(stage.executions("removed")) == before["removed"], "the removed job came back"
    # A shard keeps what it knows of a job's due times until control has passed them: one record for all shards.
    stage.acknowledged(stage.write.control("hold/unrelated", {"match": {"names": ["nothing"]}}).offset)
    for key in ("job/removed", "hold/freeze"):
        stage.until(f"{key} is forgotten", lambda key=key: _forgotten(stage, key))  # type: ignore[misc]
    assert stage.state_of("paused") == "running"
    assert {one.key for one in stage.events("job.deleted")} == {"removed"}
    assert {one.key for one in stage.events("job.resumed")} == {"paused"}
    assert {one.key for one in stage.events("hold.released")} == {"freeze"}


def test_a_recreated_control_topic_is_refused_with_the_remedy(stage: Stage) -> None:
    stage.topics(2)
    first = stage.worker("one")
    stage.owned_by("one")
    stage.write.job("job", {"schedule": {"every": "500ms"}})
    stage.until("it fires", lambda: bool(stage.executions("job")))
    first.terminate()
    assert first.await_end() == 0
    control = f"{stage.namespace}.control"
    for future in stage.admin.delete_topics([control], operation_timeout=30).values():
        future.result(30)
    _create(stage, control)

    stage.catch_up()
    before = len(stage.executions())
    second = stage.worker("two")
    assert second.await_end() != 0
    said = " ".join(second.said.split())
    assert f"{control} is another topic" in said
    assert "it was recreated or restored" in said
    assert "kadence topics init" in said
    assert "Traceback" not in said
    stage.catch_up()
    assert len(stage.executions()) == before


def _forgotten(stage: Stage, key: str) -> bool:
    record = stage.state(key)
    return record is not None and record.value is None


def _create(stage: Stage, control: str) -> None:
    topic = NewTopic(control, 1, 1, config=_FORGETFUL)
    for future in stage.admin.create_topics([topic], operation_timeout=30).values():
        future.result(30)


def _compacted_away(stage: Stage, keys: set[str], timeout: float = 90.0) -> None:
    """Wait until a reader from the beginning finds no trace of these keys, tombstones included.

    Only closed segments are compacted, and only a write closes one: records that mean nothing are written meanwhile.
    """
    control, clock = f"{stage.namespace}.control", SystemClock()
    deadline = clock.monotonic() + timeout * 1000
    while True:
        filler = stage.write.control("pause/filler", None)
        reading = Reading(stage.bootstrap_servers, [control])
        try:
            while not any(one.offset >= filler.offset for one in reading.records[control]):
                reading.poll(0.2)
        finally:
            reading.close()
        found = {one.key for one in reading.records[control]} & keys
        if not found:
            return
        assert clock.monotonic() < deadline, f"the broker still holds {found}"
