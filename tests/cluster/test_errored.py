"""Failed runs take a job out of service, with the error to be read; a resume brings it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cluster.stage import Stage

pytestmark = [pytest.mark.cluster, pytest.mark.broker]

_SPEC = {"schedule": {"every": "500ms"}, "breaker": {"failures": 3}}


def test_failures_stop_a_job_until_it_is_resumed(stage: Stage) -> None:
    stage.topics(2)
    worker = stage.worker("one")
    stage.owned_by("one")
    for name in ("fragile", "sturdy"):
        stage.write.job(name, _SPEC)
    stage.until("it has run", lambda: len(stage.executions("fragile")) >= 4)
    runs = [one.id for one in stage.executions("fragile")]

    # Two failures, one of them told twice, and a success after them: no streak of three.
    for run, status in [(runs[0], "failed"), (runs[0], "failed"), (runs[1], "failed"), (runs[2], "succeeded")]:
        stage.write.outcome("fragile", run, status, "so far so good")
    for number in range(3):
        stage.until("it runs", lambda n=number: len(stage.executions("fragile")) > 4 + n)  # type: ignore[misc]
        run = stage.executions("fragile")[-1].id
        assert stage.state_of("fragile") == "running", f"after {number} of three failures"
        stage.write.outcome("fragile", run, "failed", f"disk {number} is full")
    stage.until("it is errored", lambda: stage.state_of("fragile") == "errored")
    state = stage.state("job/fragile")
    assert state is not None
    assert state.json["reason"] == "RuntimeError: disk 2 is full"
    assert state.json["breaker"]["last_error"] == "RuntimeError: disk 2 is full"
    assert len(state.json["breaker"]["failed"]) == 3

    mark = len(stage.executions("sturdy"))
    stage.until("its like goes on", lambda: len(stage.executions("sturdy")) >= mark + 6)
    stage.catch_up()
    assert not [one.id for one in stage.executions("fragile") if one.timestamp > state.timestamp]
    (event,) = stage.events("job.errored")
    assert event.key == "fragile"
    assert event.json["state"] == {"before": "running", "after": "errored"}
    assert event.json["reason"] == "RuntimeError: disk 2 is full"
    told = worker.metrics()
    assert told['kadence_job_state{job_name="fragile",state="errored"}'] == 1
    assert told['kadence_job_transitions_total{reason="failures",to="errored"}'] == 1
    assert told['kadence_jobs{state="errored"}'] == 1

    resumed = stage.write.resume("fragile", by="ops")
    stage.acknowledged(resumed.offset, "fragile")
    assert stage.state_of("fragile") == "running"
    stage.until("it fires again", lambda: stage.executions("fragile")[-1].timestamp > resumed.timestamp)
    stage.until("the resume is an event", lambda: bool(stage.events("job.resumed", "fragile")))
    dropped = stage.events("job.dropped", "fragile")
    assert sum(one.json["count"] for one in dropped) >= 5, "what was due meanwhile is reported, not run"
    assert {one.json["reason"] for one in dropped} == {"errored"}
    assert not [one.id for one in stage.executions("fragile") if state.timestamp < one.due <= resumed.timestamp]
    # A late word on a run from before the resume does not count.
    stage.write.outcome("fragile", runs[3], "failed", "long ago")
    fired = len(stage.executions("fragile"))
    stage.until("it goes on", lambda: len(stage.executions("fragile")) > fired + 1)
    assert worker.metrics()['kadence_job_state{job_name="fragile",state="running"}'] == 1
