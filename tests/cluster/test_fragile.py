"""A handler that raises takes its job out of service: everyone sees why, nothing more fires, and it comes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.cluster.processes import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.reading import Seen
    from tests.cluster.stage import Stage

pytestmark = [pytest.mark.cluster, pytest.mark.broker]

_APP: Final = "tests.cluster.fragile:app"
_READ: Final = ("state", "executions", "outcomes", "events", "dead_letters")
_ERROR: Final = "RuntimeError: ledger closed, password=***"


class _Place:
    """Where the handlers look whether they are to fail, or to wait."""

    def __init__(self, directory: Path) -> None:
        self.broken, self.hold = directory / "broken", directory / "hold"
        self.settings = {"BROKEN": str(self.broken), "HOLD": str(self.hold)}


@pytest.fixture
def place(tmp_path: Path) -> _Place:
    return _Place(tmp_path)


def _kadence(stage: Stage, *words: str) -> str:
    """What a command says, as a user would see it."""
    code = "import sys; from kadence.cli.main import main; sys.exit(main())"
    place = {"KADENCE_BOOTSTRAP_SERVERS": stage.bootstrap_servers, "KADENCE_NAMESPACE": stage.namespace}
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **place}
    done = subprocess.run([sys.executable, "-c", code, *words], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def _shown(stage: Stage, name: str) -> Any:  # noqa: ANN401  JSON
    return json.loads(_kadence(stage, "get", name, "-o", "json"))


def _scheduled(stage: Stage, job: str) -> list[Seen]:
    return [one for one in stage.executions(job) if "!" not in one.id]


def _errored(stage: Stage, job: str) -> Seen:
    """The job's state record, once it says so."""
    stage.until(f"{job} is errored", lambda: stage.state_of(job) == "errored")
    state = stage.state(f"job/{job}")
    assert state is not None
    return state


def test_a_handler_that_raises_trips_its_job_and_it_comes_back(stage: Stage, place: _Place) -> None:
    stage.topics(2, _READ)
    worker = stage.worker("worker")
    stage.owned_by("worker")
    stage.executor("executor", _APP, place.settings)
    for job in ("resumed", "probed", "careful"):
        stage.until(f"{job} succeeds", lambda job=job: bool(stage.outcomes(job, "succeeded")))  # type: ignore[misc]
    place.broken.touch()
    states = {job: _errored(stage, job) for job in ("resumed", "probed", "careful")}

    failed = {job: state.json["breaker"]["failed"] for job, state in states.items()}
    assert {job: len(runs) for job, runs in failed.items()} == {"resumed": 3, "probed": 2, "careful": 1}
    assert f"errored  -     every 500ms  {_ERROR}" in _kadence(stage, "list", "resumed")
    shown = _shown(stage, "resumed")
    assert (shown["state"], shown["reason"], shown["breaker"]["last_error"]) == ("errored", _ERROR, _ERROR)
    assert _ERROR in _kadence(stage, "runs", "resumed", "--failed")
    (event,) = stage.events("job.errored", "resumed")
    assert (event.json["reason"], event.json["state"]["after"]) == (_ERROR, "errored")
    told = worker.metrics()
    assert told["kadence_breaker_trips_total"] >= 3
    assert told['kadence_job_state{job_name="resumed",state="errored"}'] == 1
    assert told['kadence_job_consecutive_failures{job_name="resumed"}'] == 3
    stage.until("its runs are dead letters", lambda: len(_letters(stage, "resumed")) >= 3)
    letter = _letters(stage, "resumed")[0]
    assert "in _work" in letter.headers["__connect.errors.exception.stacktrace"]
    assert not any("hunter2" in str(one) for topic in _READ for one in stage.seen(topic))

    stage.until("the probe fails", lambda: _probes(stage, "probed", "failed") > 0)
    place.broken.unlink()
    stage.until("a probe brings it back", lambda: stage.state_of("probed") == "running")
    assert _probes(stage, "probed", "succeeded") == 1
    assert [one.json["reason"] for one in _events(stage, "job.recovered", "probed")] == ["a probe succeeded"]
    stage.catch_up()
    assert stage.state_of("resumed") == "errored", "without probe_after only a resume closes the breaker"
    assert not [one for one in _scheduled(stage, "resumed") if one.timestamp > states["resumed"].timestamp]
    assert stage.clock.wall() - states["resumed"].timestamp > 2_000
    assert "resumed resumed: in force" in _kadence(stage, "resume", "resumed")
    for job in ("resumed", "probed"):
        stage.until(
            f"{job} fires again",
            lambda job=job: _scheduled(stage, job)[-1].timestamp > states[job].timestamp,  # type: ignore[misc]
        )
    assert _shown(stage, "resumed")["state"] == "running"


def test_a_worker_that_is_killed_between_the_failure_and_the_trip_changes_nothing(stage: Stage, place: _Place) -> None:
    stage.topics(1, _READ)
    first = stage.worker("first")
    stage.owned_by("first")
    place.broken.touch()
    place.hold.touch()
    stage.executor("executor", _APP, place.settings)
    stage.until("runs are under way", lambda: len(stage.outcomes("resumed", "started")) >= 3, timeout=90)
    first.kill()
    place.hold.unlink()  # what is in hand fails while nobody owns the shard
    stage.until("they have failed", lambda: len(stage.outcomes("resumed", "failed")) >= 3)
    assert stage.state_of("resumed") == "running"
    stage.worker("second")
    state = _errored(stage, "resumed")
    assert state.json["reason"] == _ERROR
    assert len(state.json["breaker"]["failed"]) == 3
    stage.until("the others have tripped, too", lambda: stage.state_of("careful") == "errored")
    mark = stage.clock.wall()
    stage.until("four due times have passed", lambda: stage.clock.wall() > mark + 2_000)
    stage.catch_up()
    assert not [one for one in _scheduled(stage, "resumed") if one.timestamp > state.timestamp]
    assert len(stage.events("job.errored", "resumed")) == 1


def _letters(stage: Stage, job: str) -> list[Seen]:
    return [one for one in stage.seen("dead_letters") if one.key == job]


def _probes(stage: Stage, job: str, status: str) -> int:
    return sum("!probe-" in one.json["id"] for one in stage.outcomes(job, status))


def _events(stage: Stage, kind: str, job: str) -> list[Seen]:
    stage.until(f"{kind} of {job}", lambda: bool(stage.events(kind, job)))
    return stage.events(kind, job)
