"""One process that is a worker and an executor: it deploys, fires and runs, and one port tells of all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cluster.stage import Stage

pytestmark = [pytest.mark.broker, pytest.mark.cluster]


def test_one_process_does_both(stage: Stage) -> None:
    stage.topics(2, read=["state", "executions", "outcomes"])
    process = stage.both("both", "tests.cluster.handlers:app")
    stage.until("its jobs run", lambda: len(stage.outcomes("often", "succeeded")) >= 3)
    stage.until("it is ready", process.ready)
    metrics = process.metrics()
    assert metrics["kadence_shards_owned"] == 2
    assert metrics['kadence_executor_runs_total{status="succeeded"}'] >= 3
    process.terminate()
    assert process.await_end() == 0
    said = process.said
    assert said.count("on port") == 1
    assert "executor both stopped" in said
    assert "worker both stopped" in said
