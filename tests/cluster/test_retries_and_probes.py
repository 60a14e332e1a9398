"""What a worker makes of reports that any consumer may write: attempts, timeouts, probes; also when it is killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cluster.reading import Seen
    from tests.cluster.stage import Stage

pytestmark = [pytest.mark.cluster, pytest.mark.broker]

_READ = ("state", "executions", "events", "dead_letters")
_HOURLY = {"schedule": {"every": "1h"}}


def _fired(stage: Stage, job: str, id_: str) -> Seen:
    """The execution with this id, once it is committed."""
    stage.until(f"{id_} is fired", lambda: any(one.id == id_ for one in stage.executions(job)))
    return next(one for one in stage.executions(job) if one.id == id_)


def test_attempts_outlive_the_worker_and_what_is_spent_is_a_dead_letter(stage: Stage) -> None:
    stage.topics(1, _READ)
    first = stage.worker("first")
    stage.owned_by("first")
    retry = {"attempts": 3, "delay": "3s", "factor": 1}
    stage.write.job("payer", {**_HOURLY, "retry": retry, "timeout": "1s", "payload": {"own": True}})
    trigger = stage.write.control("trigger/payer/now", {"payload": {"brought": 1}})
    stage.acknowledged(trigger.offset, "payer")
    _fired(stage, "payer", "payer!now")

    stage.write.outcome("payer", "payer!now", "failed", "no route to bank")
    stage.until("it waits for its next attempt", lambda: _status(stage) == "failed")
    first.kill()
    stage.worker("second")
    again = _fired(stage, "payer", "payer!now#2")
    assert (again.headers["ce_cause"], again.headers["ce_attempt"]) == ("retry", "2")
    assert again.json == {"brought": 1}

    # Nobody hears of the second attempt again after its start: it times out, and the third one comes.
    stage.write.outcome("payer", "payer!now#2", "started")
    third = _fired(stage, "payer", "payer!now#3")
    assert third.headers["ce_attempt"] == "3"
    stage.write.outcome("payer", "payer!now#2", "succeeded")  # too late: it counts for nothing
    stage.write.outcome("payer", "payer!now#3", "failed", "bank closed")
    stage.until("the run has failed", lambda: bool(stage.events("job.run_failed", "payer")))
    (failed,) = stage.events("job.run_failed", "payer")
    assert (failed.json["run"], failed.json["attempts"], failed.json["status"]) == ("payer!now", 3, "failed")
    stage.until("there is a letter", lambda: bool(stage.seen("dead_letters")))
    (letter,) = stage.seen("dead_letters")
    assert (letter.key, letter.json, letter.id) == ("payer", {"brought": 1}, "payer!now#3")
    assert letter.headers["__connect.errors.topic"] == f"{stage.namespace}.executions"
    assert letter.headers["__connect.errors.exception.class.name"] == "RuntimeError"
    assert letter.headers["__connect.errors.exception.message"] == "bank closed"
    assert (letter.headers["kadence.errors.run"], letter.headers["kadence.errors.attempts"]) == ("payer!now", "3")
    assert len(stage.executions("payer")) == 3


def _status(stage: Stage) -> str | None:
    record = stage.state("run/payer!now")
    return None if record is None or record.value is None else str(record.json["status"])


def test_a_breaker_trips_after_its_worker_was_killed_and_a_probe_closes_it(stage: Stage) -> None:
    stage.topics(1, _READ)
    first = stage.worker("first")
    stage.owned_by("first")
    breaker = {"failures": 2, "probe_after": "1s", "factor": 2, "max_probe_after": "10s"}
    stage.write.job("fragile", {"schedule": {"every": "300ms"}, "breaker": breaker})
    stage.until("it has run", lambda: len(stage.executions("fragile")) >= 2)
    runs = [one.id for one in stage.executions("fragile")]
    stage.write.outcome("fragile", runs[0], "failed", "disk full")
    stage.until("one failure is known", lambda: bool(_failed(stage)))

    first.kill()
    stage.write.outcome("fragile", runs[1], "failed", "disk still full")  # while nobody owns the shard
    stage.worker("second")
    stage.until("it is errored", lambda: stage.state_of("fragile") == "errored")
    errored = stage.state("job/fragile")
    assert errored is not None
    assert errored.json["reason"] == "RuntimeError: disk still full"

    probe = _probe(stage, 1)
    stage.write.outcome("fragile", probe.id, "failed", "disk full as ever")
    second = _probe(stage, 2)
    assert second.timestamp - probe.timestamp >= 2_000, "the wait has grown"
    assert stage.state_of("fragile") == "errored"
    stage.write.outcome("fragile", second.id, "succeeded")
    stage.until("it runs", lambda: stage.state_of("fragile") == "running")
    recovered = stage.events("job.recovered", "fragile")
    stage.until("it fires again", lambda: _scheduled(stage)[-1].timestamp > second.timestamp)
    stage.catch_up()
    assert len(stage.events("job.errored", "fragile")) == len(stage.events("job.recovered", "fragile")) == 1
    assert len(stage.events("job.probing", "fragile")) == 2
    kept = [one for one in _scheduled(stage) if errored.timestamp < one.timestamp < second.timestamp]
    assert not kept, f"fired while errored: {kept}"
    assert not recovered or recovered[0].json["state"] == {"before": "errored", "after": "running"}
    assert not stage.seen("dead_letters") or all("!" not in one.id for one in stage.seen("dead_letters"))


def _failed(stage: Stage) -> list[str]:
    record = stage.state("job/fragile")
    breaker = None if record is None else record.json.get("breaker")
    return [] if breaker is None else list(breaker.get("failed", []))


def _scheduled(stage: Stage) -> list[Seen]:
    return [one for one in stage.executions("fragile") if "!" not in one.id]


def _probe(stage: Stage, number: int) -> Seen:
    """The n-th probe, once it is committed."""

    def probes() -> list[Seen]:
        return [one for one in stage.executions("fragile") if one.headers.get("ce_cause") == "probe"]

    stage.until(f"probe {number} is made", lambda: len(probes()) >= number)
    return probes()[number - 1]
