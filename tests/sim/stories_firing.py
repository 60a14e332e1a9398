"""Stories about what fires when: clocks, bursts and targets."""

# ruff: noqa: ANN401 - broken variants take the place of private methods
from __future__ import annotations

from typing import Any, Final

from kadence.domain.job import State
from kadence.domain.shard import Shard
from kadence.worker.skew import Skew
from kadence.worker.targets import Targets
from tests.sim.bench import STATE, Bench
from tests.sim.times import EPOCH
from tests.sim.variants import Broken, Story
from tests.sim.workload import TARGETS


def a_clock_set_an_hour_ahead_between_two_decisions_fires_nothing() -> None:
    bench = Bench()
    bench.job("a")
    machine = bench.machine()
    bench.live(machine, 5_000)
    for readings in range(4):  # whichever reading of the clock is the first that is wrong
        machine.clock.jump(3_600_000, readings)
        bench.live(machine, 2_000)
        assert not machine.alive  # it left, so that a healthy one takes over
        machine.clock.jump(0)
        machine.clock.wall()
        machine.start()
        bench.live(machine, 2_000)
    assert max(bench.dues("a")) <= (bench.time.now - EPOCH) // 1000
    assert sorted(bench.dues("a")) == list(range(1, (bench.time.now - EPOCH) // 1000 + 1))


def a_burst_cut_between_two_names_goes_on_there_after_a_crash() -> None:
    bench = Bench(max_transaction=4)
    names = [f"job-{letter}" for letter in "hcagfbide"]
    for number, name in enumerate(names):
        schedule = ({"every": "1m"}, {"every": "20s"}, {"cron": "* * * * *"})[number % 3]
        bench.write(f"job/{name}", {"schedule": schedule, "catch_up": {"policy": "all"}})
    first = bench.machine("w0")
    bench.live(first, 55_000, step=1_000)
    bench.time.now = EPOCH + 60_000
    first.step(0)
    assert bench.cursor().after == "job-d"
    first.die()
    second = bench.machine("w1")
    bench.live(second, 2_000)
    burst = [id_ for id_ in bench.executed() if id_.endswith("@2026-01-01T00:01:00Z")]
    assert burst == [f"{name}@2026-01-01T00:01:00Z" for name in sorted(names)]


def a_target_that_refuses_in_the_midst_costs_one_takeover() -> None:
    bench = Bench()
    topic = TARGETS[0]
    bench.job("lost", target={"topic": topic})
    bench.job("fine")
    machine = bench.machine()
    bench.live(machine, 3_000)
    assert bench.dues("lost", topic) == [1, 2, 3]
    bench.log.delete(topic)
    bench.live(machine, 4_000, step=500)
    barriers = [record for record in bench.log.records(STATE, 0) if record.key == b"barrier"]
    assert len(barriers) == 2
    assert bench.book(machine).jobs["lost"].state is State.ERRORED
    record = bench.state("job/lost")
    assert record is not None
    assert record["reason"].startswith(f"target {topic}")
    assert bench.dues("fine") == list(range(1, (bench.time.now - EPOCH) // 1000 + 1))
    bench.log.admin().create(topic, 2, 1, {})
    bench.pass_time(61_000)
    machine.refresh_targets()
    bench.live(machine, 2_000)
    assert bench.book(machine).jobs["lost"].state is State.RUNNING


def _believe_the_clock(self: Any) -> int:
    wall: int = self._clock.wall()
    return wall


def _from_the_first_name(self: Any, instant: int) -> None:
    self._burst, self._position = self.book.timetable.due_at(instant), 0
    self._burst_version, self._burst_instant, self._burst_now = self.book.timetable.version, instant, self.book.now


def _forget_the_refusal(self: Any, topic: str, reason: str) -> None:
    return None


STORIES: Final = (
    Story(a_clock_set_an_hour_ahead_between_two_decisions_fires_nothing, Broken(((Skew, "now", _believe_the_clock),))),
    Story(
        a_burst_cut_between_two_names_goes_on_there_after_a_crash,
        Broken(((Shard, "_open_burst", _from_the_first_name),)),
    ),
    Story(a_target_that_refuses_in_the_midst_costs_one_takeover, Broken(((Targets, "refused", _forget_the_refusal),))),
)
