"""Crashes, standstills and takeovers: with ``catch_up: all`` every due time fires exactly once, and none early."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.cluster.oracle import Grid, judge
from tests.cluster.stage import SESSION_MS

if TYPE_CHECKING:
    from tests.cluster.processes import WorkerProcess
    from tests.cluster.stage import Stage

pytestmark = [pytest.mark.cluster, pytest.mark.broker]

_SHARDS: Final = 6
_LIVED: Final = 90_000
"""Milliseconds of due times that the long story goes through, however quick its machine."""
_STOPS: Final = 6


def _specs(count: int) -> dict[str, tuple[dict[str, Any], int, int]]:
    """Name to (spec, period, offset): 1 to 5 s in three spellings, every other one quick to call it missed."""
    found: dict[str, tuple[dict[str, Any], int, int]] = {}
    for number in range(count):
        seconds, offset = number % 5 + 1, 0
        schedule: dict[str, Any] = {"every": f"{seconds}s"}
        if number % 3 == 1:
            schedule["offset"], offset = "250ms", 250
        elif number % 3 == 2:
            schedule = {"cron": f"*/{seconds} * * * * *"}  # 1 to 5 all divide the minute: the same grid
        grace = "1s" if number % 2 else "30s"
        spec = {"schedule": schedule, "catch_up": {"policy": "all", "grace": grace}, "payload": {"number": number}}
        found[f"job-{number:03d}"] = (spec, seconds * 1000, offset)
    return found


def _write(stage: Stage, count: int) -> dict[str, Grid]:
    specs = _specs(count)
    written = stage.write.jobs({name: spec for name, (spec, _, _) in specs.items()})
    return {name: Grid(period, written[name].timestamp, offset) for name, (_, period, offset) in specs.items()}


def _all_fire(stage: Stage, jobs: dict[str, Grid]) -> None:
    stage.until("every job has fired", lambda: {one.key for one in stage.executions()} >= jobs.keys())


def _moment(stage: Stage) -> int:
    """Broker time now, as the newest record tells it."""
    stage.catch_up()
    return max(one.timestamp for topic in ("state", "executions") for one in stage.seen(topic))


def _suspend_for_two_sessions(stage: Stage, victim: WorkerProcess, survivors: list[str]) -> None:
    """SIGSTOP until the log is two session timeouts further and others own everything; then SIGCONT."""
    victim.suspend()
    stopped = _moment(stage)
    stage.owned_by(*survivors)
    stage.until(
        "records two session timeouts later are seen",
        lambda: max(cursor.timestamp for cursor in stage.cursors().values()) > stopped + 2 * SESSION_MS,
    )
    victim.resume()


def _replace(stage: Stage, victim: WorkerProcess, survivors: list[str], successor: str) -> WorkerProcess:
    """SIGKILL; others own everything and catch up; then a new worker takes its share."""
    victim.kill()
    stage.owned_by(*survivors)
    stage.decided_through(_moment(stage))
    worker = stage.worker(successor)
    _owns_some(stage, successor)
    return worker


def _owns_some(stage: Stage, name: str) -> None:
    stage.until(f"{name} owns shards", lambda: name in {cursor.worker for cursor in stage.cursors().values()})


def test_every_due_time_fires_exactly_once_through_kills_and_a_standstill(stage: Stage) -> None:
    stage.topics(_SHARDS)
    one, two, three = (stage.worker(name) for name in ("one", "two", "three"))
    everyone = {"one", "two", "three"}
    stage.until("three workers share the shards", lambda: {c.worker for c in stage.cursors().values()} == everyone)
    jobs = _write(stage, 200)
    begun = _moment(stage)
    _all_fire(stage, jobs)

    four = _replace(stage, one, ["two", "three"], "four")
    _suspend_for_two_sessions(stage, two, ["three", "four"])
    _owns_some(stage, "two")
    five = _replace(stage, three, ["two", "four"], "five")

    # And once more where the one that is stopped is in the middle of it all, and another dies meanwhile.
    _suspend_for_two_sessions(stage, four, ["two", "five"])
    two.kill()
    stage.owned_by("four", "five")

    workers = [four, five]
    while (through := _moment(stage)) < begun + _LIVED:
        victim, survivor = workers
        workers = [survivor, _replace(stage, victim, [survivor.name], f"next-{through}")]

    stage.decided_through(through)
    stage.catch_up()
    verdict = judge(stage.executions(), jobs, through)
    assert verdict.clean, verdict
    periods = [grid.period for grid in jobs.values()]
    assert verdict.expected > sum((_LIVED - period) // period for period in periods)


def test_the_oracle_catches_workers_that_do_not_fence_each_other(stage: Stage) -> None:
    """Negative control: a transactional id per process. Whoever was stopped goes on firing what others have fired."""
    stage.topics(_SHARDS)
    # With nobody to fence it, what a stopped process left open hides its shard's records for this long.
    impatient = {"KADENCE_KAFKA_TRANSACTION_TIMEOUT_MS": "5000", "KADENCE_KAFKA_SOCKET_TIMEOUT_MS": "5000"}
    one = stage.worker("one", impatient, broken=True)
    stage.owned_by("one")
    jobs = _write(stage, 20)
    _all_fire(stage, jobs)
    stage.worker("two", impatient, broken=True)
    # A stop in the middle of every shard's transaction does no harm: what is in flight is only given up. So again.
    for _ in range(_STOPS):
        stage.until("both own shards", lambda: {c.worker for c in stage.cursors().values()} >= {"one", "two"})
        _suspend_for_two_sessions(stage, one, ["two"])
        _owns_some(stage, "one")
        through = _moment(stage)
        stage.decided_through(through)
        stage.catch_up()
        if judge(stage.executions(), jobs, through).doubled:
            return
    pytest.fail(f"nothing was doubled in {_STOPS} stops")
