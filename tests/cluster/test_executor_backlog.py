"""A job that is paused while nobody runs it: what was fired before does not run afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kadence.executor.dispatcher import WAITED
from tests.cluster.handlers import app

if TYPE_CHECKING:
    from tests.cluster.stage import Stage

pytestmark = [pytest.mark.broker, pytest.mark.cluster]


def test_a_paused_jobs_backlog_does_not_run(stage: Stage) -> None:
    stage.topics(2, read=["state", "executions", "outcomes"])
    stage.worker("worker")
    stage.owned_by("worker")
    stage.write.jobs({name: spec for name, spec in app.specs().items() if name in {"often", "as_often"}})
    stage.until("there is a backlog", lambda: len(stage.executions("often")) >= 10)
    paused = stage.write.pause("often", reason="stocktaking")
    stage.acknowledged(paused.offset, "often")
    stage.catch_up()
    backlog = {one.id for one in stage.executions("often")}
    other = {one.id for one in stage.executions("as_often")}
    waited = stage.clock.wall() + WAITED
    stage.until("it has waited", lambda: stage.clock.wall() > waited)

    stage.executor("one", "tests.cluster.handlers:app")
    stage.until("all are answered", lambda: len(stage.outcomes("often")) >= len(backlog))
    assert {one.json["id"] for one in stage.outcomes("often", "cancelled")} == backlog
    assert {one.json["error"]["message"] for one in stage.outcomes("often")} == {"the job is paused: stocktaking"}
    stage.until("the other job's backlog runs", lambda: other <= _succeeded(stage))


def _succeeded(stage: Stage) -> set[str]:
    return {one.json["id"] for one in stage.outcomes("as_often", "succeeded")}
