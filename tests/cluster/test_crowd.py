"""A thousand jobs, failing attempts, and processes killed all the while: each run ends once, and none is forgotten."""

from __future__ import annotations

import random
import sys
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

import pytest

from tests.cluster import crowd

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cluster.processes import WorkerProcess
    from tests.cluster.stage import Stage

pytestmark = [pytest.mark.cluster, pytest.mark.broker]

_APP: Final = "tests.cluster.crowd:app"
_MINUTES: Final = 3
_KILLS: Final = 8
_FIRES: Final = 60
_READ: Final = ("state", "executions", "outcomes", "events")


class _Fleet:
    """Workers and executors, each replaced when it is killed."""

    def __init__(self, stage: Stage, workers: int, executors: int) -> None:
        self._stage = stage
        self._started = 0
        self.kills: Counter[str] = Counter()
        self.running: list[tuple[str, WorkerProcess]] = []
        for kind, number in (("worker", workers), ("executor", executors)):
            for _ in range(number):
                self._start(kind)

    def _start(self, kind: str) -> None:
        self._started += 1
        name = f"{kind}-{self._started}"
        process = self._stage.worker(name) if kind == "worker" else self._stage.executor(name, _APP)
        self.running.append((kind, process))

    def kill(self, kind: str, choice: random.Random) -> None:
        """SIGKILL one of a kind, and start another."""
        victim = choice.choice([one for one in self.running if one[0] == kind])
        self.running.remove(victim)
        victim[1].kill()
        self.kills[kind] += 1
        self._start(kind)


class _Memory:
    """What shards wrote of jobs and runs, kept up to date as it is read."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._read = 0
        self.jobs: set[str] = set()
        self.open: set[str] = set()
        self.ends: dict[str, list[str]] = defaultdict(list)
        """Of each run how it ended, as often as that was written."""

    def look(self) -> _Memory:
        """Take in what has come."""
        records = self._stage.seen("state")
        for one in records[self._read :]:
            kind, _, name = one.key.partition("/")
            if kind == "job":
                self.jobs.add(name)
            elif kind == "run":
                self._take_in(name, one.json)
        self._read = len(records)
        return self

    def _take_in(self, run: str, record: dict[str, object] | None) -> None:
        if record is not None and "settled_at" not in record:
            self.open.add(run)
            return
        self.open.discard(run)
        if record is not None:
            self.ends[run].append(str(record["status"]))


def test_every_run_ends_once_whatever_dies(stage: Stage) -> None:
    stage.topics(6, read=_READ)
    fleet = _Fleet(stage, workers=2, executors=4)
    memory = _Memory(stage)
    stage.until("all jobs are there", lambda: len(memory.look().jobs) == crowd.JOBS, timeout=120)
    stage.until("runs end", lambda: len(stage.seen("outcomes")) > 200, timeout=120)
    began, fired_before = stage.clock.wall(), len(_first_firings(stage))

    choice = random.Random(1)
    for number in range(_KILLS):
        moment = began + (number + 1) * _MINUTES * 60_000 // (_KILLS + 1)
        stage.until(f"kill {number}", _past(stage, moment), timeout=120)
        fleet.kill("executor" if number % 2 else "worker", choice)
    stage.until("three minutes have passed", _past(stage, began + _MINUTES * 60_000), timeout=120)
    fired = len(_first_firings(stage)) - fired_before
    stage.write.jobs({crowd.name_of(number): _last_words(number) for number in range(crowd.JOBS)})
    stage.until("every run has ended", lambda: not memory.look().open, timeout=180)
    stage.catch_up()

    assert sum(fleet.kills.values()) >= 6, fleet.kills
    assert fired >= _FIRES * 60 * _MINUTES, f"{fired} runs in {_MINUTES} minutes"
    ends = memory.look().ends
    runs = {one.id.partition("#")[0] for one in stage.executions()}
    assert runs == ends.keys(), "each run that was fired has an end, and no other"
    assert {run: told for run, told in ends.items() if len(told) != 1} == {}
    statuses = Counter(told[0] for told in ends.values())
    assert statuses.keys() <= {"succeeded", "failed", "timed_out"}, statuses
    assert statuses["succeeded"] > statuses["failed"] > 0

    attempts = [int(one.headers.get("ce_attempt", "1")) for one in stage.executions()]
    assert max(attempts) == crowd.ATTEMPTS
    assert not [id_ for id_, count in Counter(one.id for one in stage.executions()).items() if count > 1]
    finals = [one.json for one in stage.seen("outcomes") if one.json["status"] != "started"]
    failing = {one["id"] for one in finals if one["status"] == "failed"}
    assert len(failing) >= len(stage.executions()) / 10, f"{len(failing)} of {len(stage.executions())} attempts failed"
    told = stage.events("job.run_failed")
    assert len(told) == statuses["failed"] + statuses["timed_out"]
    sys.stdout.write(
        f"{fired / _MINUTES / 60:.0f} runs/s, {len(runs)} runs, {len(stage.executions())} attempts, {len(failing)} of "
        f"them failed, {dict(fleet.kills)} killed: {dict(statuses)}\n"
    )


def _past(stage: Stage, moment: int) -> Callable[[], bool]:
    return lambda: stage.clock.wall() >= moment


def _last_words(number: int) -> dict[str, object]:
    """The job as it was, but that it has no due time any more."""
    return {
        "schedule": {"every": f"{crowd.period_of(number)}s"},
        "end": "2026-01-01T00:00:00Z",
        "retry": {"attempts": crowd.ATTEMPTS, "delay": "1s", "factor": 1},
        "timeout": "20s",
        "overlap": "skip",
        "managed_by": "crowd",
        "target": {"headers": {"kadence-app": "crowd"}},
    }


def _first_firings(stage: Stage) -> list[str]:
    return [one.id for one in stage.executions() if "#" not in one.id]


def test_the_crowd_is_as_it_says() -> None:
    rate = sum(1 / crowd.period_of(number) for number in range(crowd.JOBS))
    assert rate > _FIRES, f"{rate:.0f} due times a second"
    named = [f"job-{number:04d}@2026-11-23T09:00:{second:02d}Z" for number in range(100) for second in range(60)]
    share = sum(crowd.fails(one) for one in named) / len(named)
    assert 0.1 < share < 0.3
