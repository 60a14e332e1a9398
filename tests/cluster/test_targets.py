"""Targets that cannot be written: their jobs are out of service, with the reason, and nobody else waits for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without saying so
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

    from tests.cluster.reading import Seen
    from tests.cluster.stage import Stage

pytestmark = [pytest.mark.cluster, pytest.mark.broker]

_LATEST: Final = 1_000
"""Milliseconds after its due time by which every execution of an unconcerned job is appended."""
_OTHERS: Final = 20


@pytest.fixture
def running(stage: Stage) -> Stage:
    """One shard, one worker, and jobs of that shard that have nothing to do with any target."""
    stage.topics(1)
    stage.worker("one")
    stage.until("the shard is owned", lambda: 0 in stage.cursors())
    stage.write.jobs({f"other-{number:02d}": {"schedule": {"every": "1s"}} for number in range(_OTHERS)})
    stage.until("they fire", lambda: len({one.key for one in stage.executions()}) == _OTHERS)
    return stage


def test_a_missing_target_takes_its_job_out_until_it_appears(running: Stage) -> None:
    target = f"{running.namespace}-missing"
    running.write.job("job", _to(target))
    _errored(running, "job", f"target {target}: does not exist")
    _create(running, target)
    _comes_back(running, "job", target)
    _others_were_never_late(running)


def test_a_target_that_may_be_seen_but_not_written_takes_its_job_out_until_it_may(running: Stage) -> None:
    target = f"{running.namespace}-readonly"
    _create(running, target)
    allowed = [_acl(target, operation) for operation in (AclOperation.DESCRIBE, AclOperation.DESCRIBE_CONFIGS)]
    _wait(running.admin.create_acls(allowed))
    running.write.job("job", _to(target))
    _errored(running, "job", f"target {target}: may not be written")
    _forget_acls(running, target)
    _comes_back(running, "job", target)
    _others_were_never_late(running)


def test_a_target_that_may_not_even_be_seen_takes_its_job_out_until_it_may(running: Stage) -> None:
    target = f"{running.namespace}-secret"
    _create(running, target)
    _wait(running.admin.create_acls([_acl(target, AclOperation.ALL, AclPermissionType.DENY)]))
    running.write.job("job", _to(target))
    _errored(running, "job", f"target {target}: ", "uthoriz")
    _forget_acls(running, target)
    _comes_back(running, "job", target)
    _others_were_never_late(running)


def test_a_target_that_takes_only_small_batches_takes_its_job_out_until_it_takes_more(running: Stage) -> None:
    target = f"{running.namespace}-small"
    _create(running, target, {"max.message.bytes": "2000"})
    running.write.job("job", _to(target))
    _errored(running, "job", f"target {target}: is too small: max.message.bytes is 2000")
    more = ConfigEntry("max.message.bytes", "1048588", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, target, incremental_configs=[more])
    _wait(running.admin.incremental_alter_configs([resource]))
    _comes_back(running, "job", target)
    _others_were_never_late(running)


def test_a_target_deleted_under_load_costs_the_others_of_its_shard_at_most_a_second(running: Stage) -> None:
    target = f"{running.namespace}-deleted"
    _create(running, target)
    names = [f"job-{number}" for number in range(10)]
    running.write.jobs({name: _to(target) for name in names})
    running.reading.add(target)
    running.until("they fire", lambda: {one.key for one in _at(running, target)} >= set(names))
    _wait(running.admin.delete_topics([target], operation_timeout=30))
    for name in names:
        _errored(running, name, f"target {target}: ")
    _create(running, target)
    for name in names:
        running.until("it runs again", lambda name=name: running.state_of(name) == "running", 90)  # type: ignore[misc]
    _others_were_never_late(running)


def _to(target: str) -> dict[str, object]:
    return {"schedule": {"every": "200ms"}, "target": {"topic": target}, "payload": "x" * 500}


def _at(stage: Stage, target: str) -> list[Seen]:
    return stage.reading.records[target]


def _create(stage: Stage, topic: str, config: dict[str, str] | None = None) -> None:
    settings = {"message.timestamp.type": "LogAppendTime", **(config or {})}
    _wait(stage.admin.create_topics([NewTopic(topic, 2, 1, config=settings)], operation_timeout=30))


def _acl(topic: str, operation: AclOperation, permission: AclPermissionType = AclPermissionType.ALLOW) -> AclBinding:
    return AclBinding(
        ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", operation, permission
    )


def _forget_acls(stage: Stage, topic: str) -> None:
    anyone: Any = None  # which the stubs do not know of
    everything = AclBindingFilter(
        ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, anyone, anyone, AclOperation.ANY, AclPermissionType.ANY
    )
    _wait(stage.admin.delete_acls([everything]))


def _wait(futures: Mapping[Any, Future[Any]]) -> None:
    for future in futures.values():
        future.result(30)


def _errored(stage: Stage, job: str, *parts: str) -> None:
    """The job's state record says so, with the reason, and there is an event for it."""
    stage.until(f"{job} is errored", lambda: stage.state_of(job) == "errored")
    record = stage.state(f"job/{job}")
    assert record is not None
    for part in parts:
        assert part in record.json["reason"], record.json
    stage.until("the event is there", lambda: bool(stage.events("job.errored", job)))
    assert stage.events("job.errored", job)[-1].json["reason"] == record.json["reason"]


def _comes_back(stage: Stage, job: str, target: str) -> None:
    """By itself, once its target can be written: state, event, executions."""
    stage.until(f"{job} runs again", lambda: stage.state_of(job) == "running")
    stage.until("the event is there", lambda: bool(stage.events("job.recovered", job)))
    stage.reading.add(target)
    stage.until("it fires at its target", lambda: len(_at(stage, target)) >= 3)


def _others_were_never_late(stage: Stage) -> None:
    stage.catch_up()
    late = {one.id: one.timestamp - one.due for one in stage.executions() if one.key.startswith("other-")}
    worst = max(late.values())
    assert worst <= _LATEST, f"{max(late, key=late.__getitem__)} was {worst} ms late"
