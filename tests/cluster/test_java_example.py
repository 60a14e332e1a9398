"""The example in Java: a consumer that knows nothing but the contract, and whose failures take its job out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest
from confluent_kafka import Producer

from kadence.domain.partition import partition_for
from kadence.domain.stimulus import Outcome
from kadence.log.kafka import KafkaLog
from kadence.wire import outcome
from tests.cluster.javaconsumer import TERMINATED, JavaConsumer
from tests.cluster.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cluster.reading import Seen
    from tests.cluster.stage import Stage

pytestmark = [pytest.mark.cluster, pytest.mark.broker]

_SHARDS: Final = 3
_JOB: Final = "billing.close"
_CLI: Final = "import sys; from kadence.cli.main import main; sys.exit(main())"
_MINUTE: Final = 60_000


@pytest.fixture
def topic(stage: Stage) -> str:
    """The target topic, whose partitions are not the shards."""
    stage.topics(_SHARDS, read=("state", "executions", "outcomes", "events"))
    name = f"{stage.namespace}-billing"
    admin = KafkaLog(stage.bootstrap_servers).admin()
    admin.create(name, 2, 1, {})
    admin.close()
    stage.reading.add(name)
    return name


@pytest.fixture
def consumer(stage: Stage, topic: str, tmp_path: Path) -> Iterator[JavaConsumer]:
    consumer = JavaConsumer(stage, topic, tmp_path)
    consumer.start()
    yield consumer
    consumer.end()
    sys.stdout.write(consumer.report())


def test_a_handler_that_throws_takes_its_job_out_until_it_is_resumed(
    stage: Stage, topic: str, consumer: JavaConsumer
) -> None:
    stage.worker("one")
    stage.owned_by("one")
    spec = {"schedule": {"every": "500ms"}, "timeout": "1m", "breaker": {"failures": 2}}
    stage.write.job(_JOB, {**spec, "target": {"topic": topic, "key": "ledger"}, "payload": {"month": "now"}})
    consumer.until("runs succeed", lambda: len(_ended(stage, "succeeded")) >= 3)
    assert {one.key for one in stage.seen("outcomes")} == {_JOB}
    assert {one.partition for one in stage.seen("outcomes")} == {partition_for(_JOB.encode(), _SHARDS)}
    started = [one.json["id"] for one in stage.seen("outcomes") if one.json["status"] == "started"]
    assert {one.json["id"] for one in _ended(stage, "succeeded")} <= set(started)

    consumer.fail.write_text("the ledger is closed")
    consumer.until("the job is errored", lambda: stage.state_of(_JOB) == "errored")
    errored = stage.state(f"job/{_JOB}")
    assert errored is not None
    job = json.loads(_kadence(stage, "get", _JOB, "-o", "json"))
    assert job["state"] == "errored"
    assert job["reason"] == "java.lang.IllegalStateException: the ledger is closed"
    assert "java.lang.IllegalStateException: the ledger is closed" in _kadence(stage, "get", _JOB)
    stage.catch_up()
    error = _ended(stage, "failed")[0].json["error"]
    assert "at com.example.billing.DemoHandler.handle(DemoHandler.java:" in error["traceback"]

    # Errored, it fires nothing: what fired later, the resume has brought back.
    consumer.fail.unlink()
    _kadence(stage, "resume", _JOB)

    def succeeded_since() -> set[str]:
        later = {one.id for one in stage.reading.records[topic] if one.timestamp > errored.timestamp}
        return later & {one.json["id"] for one in _ended(stage, "succeeded")}

    consumer.until("runs succeed again", lambda: len(succeeded_since()) >= 3)
    assert stage.state_of(_JOB) == "running"

    # It stops when it has told what it did, and what it told its successor does not do again.
    assert consumer.terminate() == TERMINATED
    mark = len(succeeded_since())
    consumer.start()
    consumer.until("its successor goes on", lambda: len(succeeded_since()) >= mark + 3)
    assert consumer.terminate() == TERMINATED
    stage.catch_up()
    told = Counter(one.json["id"] for one in stage.seen("outcomes") if one.json["status"] in outcome.FINAL)
    assert set(told.values()) == {1}
    fired = [one.id for one in stage.reading.records[topic]]  # under one key, so in order
    assert list(told) == fired[: len(told)], "none was left out"
    assert len(list(consumer.effects.iterdir())) == len(_ended(stage, "succeeded"))


def test_what_it_makes_of_single_executions(stage: Stage, topic: str, consumer: JavaConsumer) -> None:
    now = stage.clock.wall()
    fire = _Fire(stage.bootstrap_servers, topic)

    def last(run: str) -> Outcome:
        consumer.until(f"{run} has ended", lambda: bool(_of(stage, run)))
        found = outcome.decode(_JOB.encode(), _of(stage, run)[-1].value, 0, 0)
        assert isinstance(found, Outcome)
        return found

    def effects() -> set[str]:
        return {path.name for path in consumer.effects.iterdir()}

    fire.raw([])  # no execution
    fire.raw([("ce_type", b"kadence.execution.v1"), ("ce_id", b"x"), ("ce_subject", b"x"), ("ce_time", b"soon")])
    fire(f"{_JOB}!late", ce_expirytime="2026-01-01T00:00:00Z")
    fire(f"{_JOB}!early", ce_expirytime="2199-01-01T00:00:00.500Z")
    assert last(f"{_JOB}!late").status == "expired"
    assert last(f"{_JOB}!early").status == "succeeded"
    assert effects() == {"billing.close%21early"}

    # The same firing and the same run once more: told, but not done, again.
    fire(f"{_JOB}!early")
    consumer.until("it is told again", lambda: len(_of(stage, f"{_JOB}!early")) == 2)
    fire(f"{_JOB}!early#2", ce_attempt="2")
    again = last(f"{_JOB}!early#2")
    assert again.status == "succeeded"
    assert (again.started_at or 0) <= (again.finished_at or 0)
    assert (again.started_at or 0) >= now
    assert effects() == {"billing.close%21early"}

    consumer.snooze.touch()
    fire(f"{_JOB}!busy")
    put_off = last(f"{_JOB}!busy")
    assert put_off.status == "snoozed"
    assert now + _MINUTE <= (put_off.until or 0) <= stage.clock.wall() + _MINUTE

    consumer.fail.write_text("x" + "\N{COLLISION SYMBOL}" * 10_000, "utf-8")  # cut amid a surrogate pair
    fire(f"{_JOB}!bad")
    failed = last(f"{_JOB}!bad")
    assert failed.status == "failed"
    error = _of(stage, f"{_JOB}!bad")[0].json["error"]
    assert error["type"] == "java.lang.IllegalStateException"
    assert error["message"].startswith("x\N{COLLISION SYMBOL}")
    assert 1_900 <= _utf16_units(error["message"]) <= 2_000
    assert 15_900 <= _utf16_units(error["traceback"]) <= 16_000
    assert "\n... left out ...\n" in error["traceback"]
    assert "at com.example.billing.Main.main" in error["traceback"]

    # Killed: the next one goes on, and what may come again changes nothing.
    consumer.end()
    consumer.fail.unlink()
    consumer.snooze.unlink()
    consumer.start()
    fire(f"{_JOB}!after")
    assert last(f"{_JOB}!after").status == "succeeded"
    assert {"billing.close%21early", "billing.close%21after"} <= effects()


class _Fire:
    """Appends executions as a worker would write them, one at a time."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap_servers, "log_level": 2})
        self._topic = topic

    def __call__(self, id_: str, **more: str) -> None:
        headers = {"ce_type": "kadence.execution.v1", "ce_id": id_, "ce_subject": _JOB}
        headers |= {"ce_time": "2026-01-01T00:00:00Z"} | more
        self.raw([(name, value.encode()) for name, value in headers.items()])

    def raw(self, headers: list[tuple[str, str | bytes | None]]) -> None:
        self._producer.produce(self._topic, b"{}", b"ledger", headers=headers)
        assert self._producer.flush(30) == 0


def _ended(stage: Stage, status: str) -> list[Seen]:
    """The outcomes with this status."""
    return [one for one in stage.seen("outcomes") if one.json["status"] == status]


def _of(stage: Stage, id_: str) -> list[Seen]:
    """The outcomes that end this firing."""
    found = stage.seen("outcomes")
    return [one for one in found if one.json["id"] == id_ and one.json["status"] in outcome.FINAL]


def _utf16_units(text: str) -> int:
    """Java's length of a text."""
    return len(text.encode("utf-16-le")) // 2


def _kadence(stage: Stage, *arguments: str) -> str:
    """What `kadence ARGUMENTS` prints."""
    place = {"KADENCE_BOOTSTRAP_SERVERS": stage.bootstrap_servers, "KADENCE_NAMESPACE": stage.namespace}
    done = subprocess.run(
        [sys.executable, "-c", _CLI, *arguments],
        env={**os.environ, **place, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
