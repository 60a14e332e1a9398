"""One seed from beginning to verdict: let everything go wrong, heal, and ask the oracle."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kadence.errors import KadenceError
from kadence.wire import state
from tests.sim.machine import Machine
from tests.sim.oracle import Oracle
from tests.sim.times import MachineClock
from tests.sim.world import SHARDS, World

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kadence.domain.book import Book

DEEDS: Final = 900
REST: Final = 50_000
"""Milliseconds of peace at the end: more than any skew that is let pass, and than an idle shard is silent."""


@dataclass(frozen=True)
class Verdict:
    """What came of one seed."""

    seed: int
    problems: tuple[str, ...]
    trace: str
    counts: Counter[str] = field(default_factory=Counter)


def simulate(seed: int) -> Verdict:
    """Run one seed; a failure inside the workers is a problem like any other."""
    world = World(seed)
    problems: list[str] = []
    try:
        world.run(DEEDS)
        world.heal(REST)
        oracle = Oracle(world)
        problems += oracle.violations()
        problems += oracle.omissions(world.time.now)
        problems += _unready(world)
        problems += _differences(world) if not problems else ()
    except (KadenceError, RuntimeError, AssertionError) as error:
        problems.append(f"{type(error).__name__}: {error}")
    verdict = Verdict(seed, tuple(problems), world.trace(), world.counts)
    world.stop()
    return verdict


def first_caught(seeds: Iterable[int], sign: str) -> Verdict | None:
    """The first verdict with a problem that shows this sign, or None: for negative controls."""
    return next((verdict for verdict in map(simulate, seeds) if any(sign in p for p in verdict.problems)), None)


def _unready(world: World) -> Iterator[str]:
    for shard, owner in world.owners.items():
        if owner is None or not owner.ready(shard):
            yield f"shard {shard} is not taken over: {owner and owner.runners[shard].problem}"


def _differences(world: World) -> Iterator[str]:
    """A rebuild from the compacted logs equals the live state (ARCHITECTURE, law 1)."""
    fresh = Machine(world.log, "fresh", MachineClock(world.time), SHARDS, 1_000)
    fresh.start()
    fresh.poll()
    for shard, owner in world.owners.items():
        live = owner.runners[shard].book if owner is not None else None
        fresh.give(shard)
        while not fresh.ready(shard):
            fresh.step(shard)
            fresh.poll()
        rebuilt = fresh.runners[shard].book
        if live is not None and rebuilt is not None:
            yield from _compare(shard, live, rebuilt)
    fresh.leave()


def _compare(shard: int, live: Book, rebuilt: Book) -> Iterator[str]:
    one, two = _shown(live), _shown(rebuilt)
    for what in sorted(one.keys() | two.keys()):
        if one.get(what) != two.get(what):
            yield f"shard {shard}: {what} is {one.get(what)}, rebuilt {two.get(what)}"


def _shown(book: Book) -> dict[str, object]:
    """Everything that a book holds, in a form that can be compared."""
    found: dict[str, object] = {"timings": len(book.timetable)}
    for name, job in book.jobs.items():
        found[f"record of {name}"] = state.encode_job(job)
        found[f"spec of {name}"] = job.spec
        for run in (*job.runs.values(), *job.past.values()):
            found[f"run {run.id}"] = state.encode_run(run)
        found[f"flags of {name}"] = (job.blocked, job.finished, sorted(hold.name for hold in job.holds))
    for name, hold in book.holds.items():
        found[f"hold {name}"] = state.encode_hold(hold)
    return found
