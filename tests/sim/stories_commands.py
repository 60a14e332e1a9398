"""Stories about records on control and outcomes: what is applied, in which order, and what outlives whom."""

# ruff: noqa: ANN401 - broken variants take the place of private methods
from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from kadence.domain.job import State
from kadence.domain.partition import partition_for
from kadence.domain.stimulus import Outcome
from kadence.wire import outcome
from kadence.wire.state import jobs
from kadence.worker import outbox
from kadence.worker.outcomes import Outcomes
from kadence.worker.runner import ShardRunner
from kadence.worker.tail import Tail
from tests.sim.bench import CONTROL, OUTCOMES, Bench
from tests.sim.broken import newest_per_key
from tests.sim.machine import NAMESPACE, PromptReader
from tests.sim.times import EPOCH
from tests.sim.variants import Broken, Story

if TYPE_CHECKING:
    from collections.abc import Callable

    from kadence.log.port import Record


def bad_records_hide_no_good_one_that_was_not_applied_yet() -> None:
    bench = Bench()
    bench.job("a")
    bench.job("b", "10s")
    first = bench.machine("w0")
    bench.live(first, 2_000)
    first.die()
    bench.write("pause/a", {"paused": True})
    bench.write("pause/a", {"paused": "very"})
    good = bench.job("b", "2s")
    stale = bench.write("job/b", {"schedule": {"every": "1s"}, "if_offset": good + 100})
    second = bench.machine("w1")
    before = len(bench.executed("a"))
    bench.live(second, 6_000)
    record = bench.state("job/b")
    assert len([due for due in bench.dues("a") if due > 2]) == len(bench.executed("a")) - before == 0
    assert record is not None
    assert (record["spec_offset"], record["rejected"]["offset"]) == (good, stale)
    assert bench.dues("b") == [4, 6, 8]


def a_job_created_paused_stays_so_when_its_owner_dies() -> None:
    bench = Bench()
    bench.job("a", paused=True)
    first = bench.machine("w0")
    bench.live(first, 2_000)
    first.die()
    bench.compact(CONTROL, times=2)
    second = bench.machine("w1")
    bench.live(second, 3_000)
    assert bench.executed() == []
    assert bench.book(second).jobs["a"].state is State.PAUSED
    bench.write("pause/a", {"paused": False})
    bench.live(second, 2_000)
    assert bench.executed() != []


def a_pause_and_a_resume_that_nobody_saw_divide_the_time_in_three() -> None:
    bench = Bench()
    bench.job("a")
    first = bench.machine("w0")
    bench.live(first, 2_500)
    first.die()
    bench.pass_time(60_000)
    paused = (bench.write("pause/a", {"paused": True}), bench.time.now)[1]
    bench.pass_time(60_000)
    resumed = (bench.write("pause/a", {"paused": False}), bench.time.now)[1]
    bench.pass_time(60_000)
    second = bench.machine("w1")
    bench.live(second, 2_000)
    last = (bench.time.now - EPOCH) // 1000
    expected = [due for due in range(1, last + 1) if not paused <= EPOCH + due * 1000 < resumed]
    assert sorted(bench.dues("a")) == expected
    assert len(bench.events("job.dropped")) == 1


def an_outcome_in_a_foreign_partition_is_passed_on_once() -> None:
    bench = Bench(shards=3)
    bench.job("a", breaker={"failures": 1})
    home = partition_for(b"a", 3)
    foreign = (home + 1) % 3
    first = bench.machine("w0")
    bench.live(first, 3_000, 0, 1, 2)
    run = bench.executed("a")[0]
    bench.client.append(OUTCOMES, foreign, b"a", outcome.encode(run, "failed", error=outcome.failure("Boom")))
    bench.live(first, 1_000, 0, 1, 2)
    first.die()
    second = bench.machine("w1")
    bench.live(second, 2_000, 0, 1, 2)
    passed_on = bench.log.records(OUTCOMES, home)
    assert len(passed_on) == 1
    assert bench.book(second, home).jobs["a"].state is State.ERRORED
    last = bench.dues("a")[-1]
    bench.live(second, 3_000, 0, 1, 2)
    assert bench.dues("a")[-1] == last


def headers_too_large_for_a_topic_stay_behind_where_an_outcome_is_passed_on() -> None:
    bench = Bench(shards=2)
    bench.job("a", breaker={"failures": 1})
    home = partition_for(b"a", 2)
    machine = bench.machine()
    bench.live(machine, 3_000, 0, 1)
    run = bench.executed("a")[0]
    small, large = [("x", b"1")], [("x", b"1" * 200_000)]
    for headers in (small, large):
        bench.client.append(OUTCOMES, 1 - home, b"a", outcome.encode(run, "succeeded"), headers)
    bench.live(machine, 1_000, 0, 1)
    assert [list(record.headers) for record in bench.log.records(OUTCOMES, home)] == [small, []]


def _outcomes_missed(bench: Bench, lose: Callable[[], object]) -> None:
    """Three outcomes are applied, ``lose`` happens while nobody is there, then one comes that trips the breaker."""
    bench.job("a", breaker={"failures": 1})
    first = bench.machine("w0")
    bench.live(first, 3_000)
    runs = bench.executed("a")
    for _ in range(3):
        bench.client.append(OUTCOMES, 0, b"a", outcome.encode(runs[0], "succeeded"))
    bench.live(first, 1_000)
    assert bench.cursor().outcomes == 3
    first.die()
    lose()
    second = bench.machine("w1")
    bench.live(second, 1_000)
    bench.client.append(OUTCOMES, 0, b"a", outcome.encode(runs[1], "failed"))
    bench.live(second, 1_000)
    assert bench.book(second).jobs["a"].state is State.ERRORED


def _told(bench: Bench) -> list[Any]:
    return [json.loads(event.value or b"") for event in bench.events("shard.outcomes_lost")]


def outcomes_that_retention_took_are_reported_and_the_shard_goes_on() -> None:
    bench = Bench()

    def lose() -> None:
        for run in ("a@2026-01-01T00:00:01Z", "a@2026-01-01T00:00:02Z"):
            bench.client.append(OUTCOMES, 0, b"a", outcome.encode(run, "succeeded"))
        bench.log.retain(OUTCOMES, 0, 5)

    _outcomes_missed(bench, lose)
    assert _told(bench) == [{"from": 3, "to": 5}]
    third = bench.machine("w2")
    bench.live(third, 1_000)
    assert len(_told(bench)) == 1, "it is said once, whoever takes over"


def outcomes_of_a_recreated_topic_are_heard() -> None:
    bench = Bench()
    _outcomes_missed(bench, lambda: bench.log.recreate(OUTCOMES))
    assert _told(bench) == [{"from": 3, "to": 0}]


class _Interrupted(PromptReader):
    """While it reads, something else happens."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.log.reader())
        self.meanwhile: Callable[[], object] = bool

    @override
    def read(self, limit: int, timeout: float) -> list[Record]:
        found = super().read(limit, timeout)
        self.meanwhile()
        return found


def a_shard_taken_over_while_outcomes_are_read_misses_none() -> None:
    bench = Bench()
    reader = _Interrupted(bench)
    follower = Tail(reader, NAMESPACE, 1)
    follower.outcomes.follow(0, 0)
    follower.poll(0)
    runs = [f"a@2026-01-01T00:00:0{second}Z" for second in range(4)]
    for run in runs[:2]:
        bench.client.append(OUTCOMES, 0, b"a", outcome.encode(run, "failed"))
    follower.poll(0)
    for run in runs[2:]:
        bench.client.append(OUTCOMES, 0, b"a", outcome.encode(run, "failed"))

    def take_over() -> None:
        follower.outcomes.leave(0)
        follower.outcomes.follow(0, 0)
        reader.meanwhile = bool

    reader.meanwhile = take_over
    follower.poll(0)
    follower.poll(0)
    assert [record.offset for record in follower.outcomes.take(0, 10)] == [0, 1, 2, 3]


def _begins_nowhere(_: Any, __: int) -> None:
    return None


def _nothing_moves(_: Any, place: Any) -> bool:
    return False


def _without_created(pause: Any) -> dict[str, object]:
    found = _pause_document(pause)
    found.pop("created", None)
    return found


def _forward_and_forget(self: Any, shard: Any, record: Any, now: int) -> None:
    heard = outcome.decode(record.key, record.value, record.offset, record.timestamp)
    if isinstance(heard, Outcome) and not shard.book.owns(heard.job):
        self._outbox.pass_on(record)
        shard.book.decision.prompt = True
    else:
        shard.step(heard, now)


_pause_document: Final = jobs._pause_document
STORIES: Final = (
    Story(
        outcomes_that_retention_took_are_reported_and_the_shard_goes_on,
        Broken(((Outcomes, "lost_below", _begins_nowhere),)),
    ),
    Story(outcomes_of_a_recreated_topic_are_heard, Broken(((Outcomes, "lost_below", _begins_nowhere),))),
    Story(a_shard_taken_over_while_outcomes_are_read_misses_none, Broken(((Outcomes, "_moves", _nothing_moves),))),
    Story(bad_records_hide_no_good_one_that_was_not_applied_yet, Broken(((Tail, "since", newest_per_key),))),
    Story(a_job_created_paused_stays_so_when_its_owner_dies, Broken(((jobs, "_pause_document", _without_created),))),
    Story(a_pause_and_a_resume_that_nobody_saw_divide_the_time_in_three, Broken(((Tail, "since", newest_per_key),))),
    Story(
        headers_too_large_for_a_topic_stay_behind_where_an_outcome_is_passed_on, Broken(((outbox, "_HEADERS", 10**9),))
    ),
    Story(an_outcome_in_a_foreign_partition_is_passed_on_once, Broken(((ShardRunner, "_hear", _forward_and_forget),))),
)
