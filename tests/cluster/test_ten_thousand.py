"""Ten thousand jobs due at the same instants: a run of transactions, and every one exactly once."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests.cluster.oracle import Grid, judge

if TYPE_CHECKING:
    from tests.cluster.stage import Stage

pytestmark = [pytest.mark.cluster, pytest.mark.broker]

_JOBS: Final = 10_000
_INSTANTS: Final = 4
_PERIOD: Final = 5_000


def test_ten_thousand_jobs_at_each_of_a_few_instants_fire_exactly_once(stage: Stage) -> None:
    stage.topics(6)
    for name in ("one", "two"):
        # Small transactions, so that each shard's burst is cut between two names several times.
        stage.worker(name, {"KADENCE_MAX_TRANSACTION": "500"})
    stage.until("both own shards", lambda: {c.worker for c in stage.cursors().values()} == {"one", "two"})
    spec = {"schedule": {"every": "5s"}, "catch_up": {"policy": "all"}, "tags": ["crowd"]}
    written = stage.write.jobs({f"job-{number:05d}": spec for number in range(_JOBS)})
    jobs = {name: Grid(_PERIOD, place.timestamp) for name, place in written.items()}
    last = max(place.offset for place in written.values())
    stage.acknowledged(last)
    settled = max(cursor.timestamp for cursor in stage.cursors().values())
    through = settled // _PERIOD * _PERIOD + _INSTANTS * _PERIOD
    stage.decided_through(through, 90)
    stage.catch_up()

    verdict = judge(stage.executions(), jobs, through)
    assert verdict.clean, (verdict.missing[:5], verdict.doubled[:5], verdict.unasked[:5], verdict.early[:5])
    crowded = [one.timestamp - one.due for one in stage.executions() if settled < one.due <= through]
    assert len(crowded) == _INSTANTS * _JOBS
    crowded.sort()
    middle, worst = crowded[len(crowded) // 2], crowded[-1]
    sys.stdout.write(f"{_JOBS} at once: {middle} ms late at the median, {worst} ms at most\n")
    assert worst < _PERIOD
