"""A handler that takes longer than the session: the executor keeps its place in the group, and goes on with others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cluster.stage import Stage

pytestmark = [pytest.mark.broker, pytest.mark.cluster]

_IMPATIENT = {"KADENCE_KAFKA_SESSION_TIMEOUT_MS": "10000", "KADENCE_KAFKA_MAX_POLL_INTERVAL_MS": "10000"}


def test_a_run_that_takes_longer_than_the_session_costs_no_membership(stage: Stage) -> None:
    stage.topics(1, read=["state", "executions", "outcomes"])
    stage.worker("worker")
    stage.owned_by("worker")
    executor = stage.executor("one", "tests.cluster.handlers:app", _IMPATIENT)
    stage.until("the jobs are there", lambda: stage.state("job/long") is not None)
    stage.write.control("trigger/long/run", {})
    stage.until("it has begun", lambda: bool(stage.outcomes("long", "started")))
    stage.write.control("trigger/quick/beside", {})
    stage.until("another runs beside it", lambda: bool(stage.outcomes("quick", "succeeded")))
    assert not stage.outcomes("long", "succeeded")
    stage.until("it has ended", lambda: bool(stage.outcomes("long", "succeeded")))
    stage.write.control("trigger/quick/after", {})
    stage.until("another runs after it", lambda: len(stage.outcomes("quick", "succeeded")) == 2)
    assert len(stage.outcomes("long")) == 2, "it was run once"
    assert executor.metrics()['kadence_executor_skipped_total{reason="duplicate"}'] == 0, "nothing was given twice"
