"""A hold over twenty thousand jobs: a dozen small transactions, silence, and each job back exactly as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from tests.cluster.reading import Seen
    from tests.cluster.stage import Stage

pytestmark = [pytest.mark.cluster, pytest.mark.broker]

_JOBS: Final = 20_000
_SHARDS: Final = 12
_PERIOD: Final = 10_000
_PAUSED: Final = ("job-00007", "job-00042", "job-19999")
_EXEMPT: Final = "exempt"


def test_a_hold_over_many_jobs_is_cheap_silent_and_leaves_no_trace(stage: Stage) -> None:
    stage.topics(_SHARDS)
    for name in ("one", "two"):
        stage.worker(name)
    stage.until("both own shards", lambda: {c.worker for c in stage.cursors().values()} == {"one", "two"})
    spec = {"schedule": {"every": "10s"}, "tags": ["batch"]}
    stage.write.jobs({f"job-{number:05d}": spec for number in range(_JOBS)})
    stage.write.job(_EXEMPT, {"schedule": {"every": "1s"}, "tags": ["batch", "critical"]})
    for name in _PAUSED:
        stage.write.pause(name, reason="on its own")
    everybody = stage.write.control("hold/nobody", {"match": {"names": ["no-such-job"]}})
    stage.acknowledged(everybody.offset, timeout=120)
    stage.decided_through(max(c.timestamp for c in stage.cursors().values()) + _PERIOD)
    stage.catch_up()
    fired = {one.key for one in stage.executions()}
    assert len(fired) >= _JOBS + 1 - len(_PAUSED)

    hold = stage.write.control("hold/freeze", {"match": {"tags": ["batch"], "not": {"tags": ["critical"]}}})
    acknowledged = stage.acknowledged(hold.offset)
    stage.catch_up()
    _cost_a_dozen_small_transactions(stage, hold.timestamp, acknowledged.timestamp)
    applied = [one for one in stage.events("hold.applied") if one.key == "freeze"]
    assert len(applied) == _SHARDS
    assert sum(one.json["matched"] for one in applied) == _JOBS

    stage.decided_through(acknowledged.timestamp + _PERIOD + 1_000)
    stage.catch_up()
    loud = [one for one in stage.executions() if one.timestamp > acknowledged.timestamp and one.key != _EXEMPT]
    assert not loud, f"{len(loud)} fired under the hold, first {loud[0].id}"
    assert len([one for one in stage.executions(_EXEMPT) if one.timestamp > acknowledged.timestamp]) >= 10
    assert not _job_records(stage, hold.timestamp), "a hold is never written into its jobs' records"

    release = stage.write.control("hold/freeze", None)
    released = stage.acknowledged(release.offset)
    stage.decided_through(released.timestamp + _PERIOD + 1_000)
    stage.catch_up()
    back = {one.key for one in stage.executions() if one.timestamp > release.timestamp} - {_EXEMPT}
    assert len(back) == _JOBS - len(_PAUSED), "every job that was running runs again"
    assert not back & set(_PAUSED), "and a pause of its own outlives the hold"
    for name in _PAUSED:
        assert stage.state_of(name) == "paused"


def _cost_a_dozen_small_transactions(stage: Stage, since: int, until: int) -> None:
    """Every shard needed one: the hold's own record, its event, the cursor; the jobs' records were left alone."""
    written = [one for one in stage.seen("state") if since <= one.timestamp <= until]
    assert sum(one.key == "hold/freeze" for one in written) == _SHARDS
    assert not _job_records(stage, since)
    size = sum(len(one.value or b"") for one in written if one.key == "hold/freeze")
    assert size < _SHARDS * 1_000


def _job_records(stage: Stage, since: int) -> list[Seen]:
    return [one for one in stage.seen("state") if one.timestamp >= since and one.key.startswith("job/")]
