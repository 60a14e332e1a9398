"""Five hundred seeds of everything that can go wrong, and the proof that the simulation would notice."""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

import pytest

from kadence.log.memory.faults import POSSIBLE
from tests.sim.broken import VARIANTS
from tests.sim.faults import POINTS
from tests.sim.simulation import first_caught, simulate

if TYPE_CHECKING:
    from tests.sim.simulation import Verdict

SEEDS = 500
CONTROL_SEEDS = 50
HAPPENINGS = (
    "a clock jumps a little",
    "a clock jumps too far",
    "a duplicate EndTxn arrives: it counts",
    "a late EndTxn arrives: it counts",
    "a late EndTxn arrives: too late",
    "a late Markers arrives: it counts",
    "a machine is killed",
    "a machine stops or dies in a step",
    "a target is deleted",
    "a target is forbidden",
    "a zombie learns",
    "client_garbage",
    "client_open_foreign",
    "client_stale",
    "compaction of kadence.control",
    "compaction of kadence.state",
)


def _run(seed: int) -> Verdict:
    logging.disable(logging.CRITICAL)
    return simulate(seed)


def test_500_seeds_keep_every_promise_and_meet_every_fault(capsys: pytest.CaptureFixture[str]) -> None:
    counts: Counter[str] = Counter(dict.fromkeys(HAPPENINGS, 0))
    possible = [f"{point} {fault}" for point in POINTS for fault in POSSIBLE[point]]
    failed: list[str] = []
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count() or 1, mp_context=spawn) as pool:
        for verdict in pool.map(_run, range(SEEDS), chunksize=10):
            counts += verdict.counts
            failed += [f"seed {verdict.seed}: {problem}" for problem in verdict.problems[:3]]
    with capsys.disabled():
        print(f"\n{SEEDS} seeds. How often each of these happened:")  # noqa: T201  what was met is half the result
        for what in sorted({*possible, *HAPPENINGS}):
            print(f"{counts[what]:8} {what}")  # noqa: T201
    assert not failed, "\n".join(failed[:20])
    assert [what for what in (*possible, *HAPPENINGS) if not counts[what]] == []


@pytest.mark.parametrize("seed", [3, 77])
def test_the_same_seed_gives_the_same_trace(seed: int) -> None:
    assert simulate(seed).trace == simulate(seed).trace
    assert simulate(seed).trace != simulate(seed + 1).trace


@pytest.mark.parametrize("name", VARIANTS)
def test_a_broken_worker_is_caught(name: str) -> None:
    variant, sign = VARIANTS[name]
    with variant.in_place():
        verdict = first_caught(range(CONTROL_SEEDS), sign)
    assert verdict is not None, f"{CONTROL_SEEDS} seeds did not notice that {name}"
