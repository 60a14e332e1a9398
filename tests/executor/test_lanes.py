"""Whose turn it is: no job starves another, and none has more places than it may."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kadence.domain.firing import Firing
from kadence.executor.execution import Execution
from kadence.executor.lanes import Lane, Pool
from kadence.executor.partition import Partition
from kadence.executor.work import Work
from kadence.handlers.handler import Handler


def _nothing() -> None:
    pass


def _lane(pool: Pool, name: str, **limits: Any) -> Lane:
    return Lane(Handler(name, _nothing, **limits), pool)


def _work(lane: Lane, number: int) -> Work:
    firing = Firing(f"{lane.handler.name}@{number}", lane.handler.name, number, None, 1)
    execution = Execution(firing, 0, 1, "schedule", None, "billing", "", {}, None, 0, number, 0)
    return Work(execution, lane, Partition(0, deque()))


def test_a_job_at_its_limit_lets_the_others_pass() -> None:
    pool = Pool(10)
    slow, quick = _lane(pool, "slow", concurrency=2), _lane(pool, "quick")
    for number in range(50):
        pool.enter(_work(slow, number), slow)
    pool.enter(_work(quick, 0), quick)
    begun = Counter(work.lane.handler.name for work in iter(pool.begin, None) if work.lane is not None)
    assert begun == {"slow": 2, "quick": 1}


def test_jobs_take_turns() -> None:
    pool = Pool(4)
    lanes = [_lane(pool, name) for name in ("a", "b")]
    for lane in lanes:
        for number in range(5):
            pool.enter(_work(lane, number), lane)
    assert [work.id for work in iter(pool.begin, None)] == ["a@0", "b@0", "a@1", "b@1"]


@given(
    steps=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=80),
    places=st.integers(1, 5),
    limits=st.lists(st.one_of(st.none(), st.integers(1, 3)), min_size=4, max_size=4),
)
def test_limits_are_kept_and_what_may_begin_begins_in_order(
    steps: list[tuple[int, int]], places: int, limits: list[int | None]
) -> None:
    pool = Pool(places)
    lanes = [_lane(pool, f"job-{number}", concurrency=limit) for number, limit in enumerate(limits)]
    entered, begun = [0] * 4, [0] * 4
    running: list[Lane] = []
    for number, action in steps:
        lane = lanes[number]
        if action and running:
            pool.end(running.pop(action % len(running)))
        else:
            pool.enter(_work(lane, entered[number]), lane)
            entered[number] += 1
        while (work := pool.begin()) is not None:
            index = lanes.index(work.lane)  # type: ignore[arg-type]
            assert work.execution.offset == begun[index]
            begun[index] += 1
            running.append(lanes[index])
        assert len(running) == pool.running <= places
        counts = Counter(running)
        for index, lane_ in enumerate(lanes):
            assert counts[lane_] == lane_.running <= lane_.limit
            waits = entered[index] > begun[index]
            assert not waits or pool.running == places or lane_.running == lane_.limit
