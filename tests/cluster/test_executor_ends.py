"""An executor that ends in mid-run, in either way: no run is lost, and none fails of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from kadence.clock import SystemClock

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.stage import Stage

pytestmark = [pytest.mark.broker, pytest.mark.cluster]

_APP: Final = "tests.cluster.handlers:app"


def _begin(stage: Stage, go: Path, **settings: str) -> None:
    """A worker, an executor "one", and two runs: the first is under way, the second waits behind it."""
    stage.topics(2, read=["state", "executions", "outcomes"])
    stage.worker("worker")
    stage.owned_by("worker")
    stage.executor("one", _APP, {"GO": str(go), **settings})
    stage.until("the job is there", lambda: stage.state("job/waiting") is not None)
    for run in ("first", "second"):
        stage.write.control(f"trigger/waiting/{run}", {})
    stage.until("the first run is under way", lambda: bool(stage.outcomes("waiting", "started")))
    stage.until("both are fired", lambda: len(stage.executions("waiting")) == 2)


def _ended(stage: Stage) -> list[tuple[str, str, str]]:
    found = [one.json for one in stage.outcomes("waiting") if one.json["status"] != "started"]
    return [(one["id"], one["status"], one["executor"]) for one in found]


def test_a_run_whose_executor_is_killed_is_attempted_again(stage: Stage, tmp_path: Path) -> None:
    go = tmp_path / "go"
    _begin(stage, go)
    one = stage.workers[-1]
    stage.executor("two", _APP, {"GO": str(go)})
    stage.until("the second executor is there", stage.workers[-1].ready)
    one.kill()
    stage.until("it is under way again", lambda: len(stage.outcomes("waiting", "started")) >= 2)
    go.touch()
    stage.until("both have ended", lambda: len(_ended(stage)) == 2)
    assert _ended(stage) == [("waiting!first", "succeeded", "two"), ("waiting!second", "succeeded", "two")]


def test_an_executor_that_is_to_stop_finishes_what_runs_and_hands_back_what_waits(stage: Stage, tmp_path: Path) -> None:
    go = tmp_path / "go"
    _begin(stage, go, KADENCE_EXECUTOR_HANDOVER="20")
    one = stage.workers[-1]
    one.terminate()
    stage.executor("two", _APP, {"GO": str(go)})
    stage.until("the second executor is there", stage.workers[-1].ready)
    assert one.exit_code is None
    go.touch()
    assert one.await_end() == 0
    stage.until("both have ended", lambda: len(_ended(stage)) == 2)
    assert _ended(stage) == [("waiting!first", "succeeded", "one"), ("waiting!second", "succeeded", "two")]


def test_a_run_that_is_not_finished_in_time_is_handed_back(stage: Stage, tmp_path: Path) -> None:
    go = tmp_path / "go"
    _begin(stage, go, KADENCE_EXECUTOR_DRAIN="0.2")
    one, clock = stage.workers[-1], SystemClock()
    begin = clock.monotonic()
    one.terminate()
    assert one.await_end() == 0
    assert clock.monotonic() - begin < 4_500  # the drain, 3 s for the rest, and Python's own end
    assert _ended(stage) == []
    go.touch()
    stage.executor("two", _APP, {"GO": str(go)})
    stage.until("both have ended", lambda: len(_ended(stage)) == 2)
    assert _ended(stage) == [("waiting!first", "succeeded", "two"), ("waiting!second", "succeeded", "two")]


def test_a_second_signal_ends_the_waiting(stage: Stage, tmp_path: Path) -> None:
    _begin(stage, tmp_path / "go", KADENCE_EXECUTOR_DRAIN="600")
    one = stage.workers[-1]
    one.terminate()
    stage.until("it waits", lambda: "stopping: waiting up to 600 s for 1 run: waiting!first" in one.said)
    one.terminate()
    assert one.await_end() == 0
    assert one.said.count("is given to another executor, which begins it anew") == 1
    assert _ended(stage) == []
