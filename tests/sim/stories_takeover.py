"""Stories about who runs a shard next, and what they find."""

# ruff: noqa: ANN401 - broken variants take the place of private methods
from __future__ import annotations

import json
from typing import Any, Final

import pytest

from kadence.domain import fields, restore
from kadence.errors import ConfigurationError
from kadence.wire import state, strict
from kadence.worker import tail
from kadence.worker.takeover import PATIENCE, Takeover
from tests.sim.bench import CONTROL, STATE, Bench
from tests.sim.broken import do_not_await_control
from tests.sim.variants import Broken, Story


def a_barrier_outlives_no_cursor_even_after_a_crash_and_compaction() -> None:
    bench = Bench()
    bench.job("a")
    first = bench.machine("w0")
    bench.live(first, 10_000)
    first.die()
    second = bench.machine("w1")
    second.give(0)
    second.step(0)  # fences, and writes its barrier
    second.die()
    bench.compact(STATE)
    third = bench.machine("w2")
    bench.live(third, 5_000)
    last = (bench.cursor().through - bench.time.now + 15_000 + 60_000) // 1000
    assert sorted(bench.dues("a")) == list(range(1, last + 1))


def a_pause_from_before_the_first_worker_is_kept() -> None:
    bench = Bench()
    bench.job("a")
    bench.job("b")
    bench.pass_time(5_000)
    bench.write("pause/a", {"paused": True})
    bench.write("hold/h", {"match": {"names": ["b"]}})
    bench.pass_time(20_000)
    machine = bench.machine()
    bench.live(machine, 5_000)
    assert bench.dues("a") == bench.dues("b") == []
    bench.write("pause/a", {"paused": False})
    bench.write("hold/h", None)
    bench.settle(machine)
    assert sorted(bench.dues("a")) == sorted(bench.dues("b")) == [1, 2, 3, 4, 5]


def a_shard_whose_cursor_cannot_be_read_waits_until_it_can() -> None:
    bench = Bench()
    bench.job("a")
    first = bench.machine("w0")
    bench.live(first, 3_000)
    first.die()
    good = next(r.value for r in reversed(bench.log.records(STATE, 0)) if r.key == state.CURSOR)
    bench.client.append(STATE, 0, state.CURSOR, b'{"through":7}')
    second = bench.machine("w1")
    bench.live(second, 70_000, step=10_000)
    assert not second.ready(0)
    assert "cursor record" in (second.runners[0].problem or "")
    assert sorted(bench.dues("a")) == [1, 2, 3]
    bench.client.append(STATE, 0, state.CURSOR, good)
    bench.live(second, 70_000, step=10_000)
    last = max(bench.dues("a"))
    assert last > 100
    assert sorted(bench.dues("a")) == list(range(1, last + 1))


def what_a_shard_cannot_remember_of_a_job_is_reported() -> None:
    bench = Bench()
    bench.job("a")
    bench.job("b")
    bench.write("pause/a", {"paused": True})
    first = bench.machine("w0")
    bench.live(first, 3_000)
    first.die()
    record = bench.state("job/a")
    assert record is not None
    bad = json.dumps({**record, "pause": {**record["pause"], "offset": "2"}}).encode()
    offset = bench.client.append(STATE, 0, b"job/a", bad).offset
    second = bench.machine("w1")
    bench.live(second, 3_000)
    assert bench.dues("a") == []
    assert max(bench.dues("b")) >= 5
    events = bench.events("record.rejected")
    assert len(events) == 1
    told = json.loads(events[0].value or b"")
    assert (told["offset"], told["topic"], told["key"]) == (offset, STATE, "job/a")


def a_takeover_waits_for_a_tail_that_is_held_back() -> None:
    bench = Bench()
    names = [f"job-{number:02}" for number in range(30)]
    for name in names:
        bench.job(name)
    bench.write("pause/job-07", {"paused": True})
    first = bench.machine("w0")
    bench.live(first, 3_000)
    first.die()
    bench.write("pause/job-03", {"paused": True})
    before = len(bench.executed("job-03"))
    second = bench.machine("w1")
    second.give(0)
    with Broken(((tail, "BATCH", 4),)).in_place():
        for _ in range(6):  # longer than a takeover's patience; the tail gets on by four records each time
            second.poll()
            bench.pass_time(PATIENCE + 1)
            for _ in range(3):
                second.step(0)
            assert not second.ready(0)
        while second.poll():
            second.step(0)
    bench.live(second, 2_000)
    assert set(bench.book(second).jobs) == set(names)
    assert bench.executed("job-07") == []
    assert len(set(bench.executed("job-01"))) == len(bench.executed("job-01")) > 100
    in_time = [due for due in bench.dues("job-03") if due > 3]
    assert in_time == []
    assert len(bench.executed("job-03")) == before


def a_spec_as_large_and_deep_as_may_be_outlives_a_bad_update() -> None:
    bench = Bench()
    payload: object = "x" * 261_000
    for _ in range(15):
        payload = [payload]
    bench.job("a", payload=payload)
    first = bench.machine("w0")
    bench.live(first, 1_000)
    bench.client.append(CONTROL, 0, b"job/a", b"{")
    bench.live(first, 1_000)
    before = len(bench.executed("a"))
    first.die()
    bench.compact(CONTROL, times=2)
    second = bench.machine("w1")
    bench.live(second, 1_000)
    assert len(bench.executed("a")) > before


def the_errors_of_a_whole_transaction_fit_into_a_cursor() -> None:
    bench = Bench()
    bench.job("a")
    first = bench.machine("w0")
    bench.live(first, 1_000)
    spec = {"schedule": {"every": "1s"}, "target": {"headers": {"ce_" + "x" * 200_000: "1"}}}
    last = max(bench.write(f"job/bad-{number}", spec) for number in range(20))
    bench.settle(first)
    assert bench.cursor().control > last
    first.die()
    second = bench.machine("w1")
    bench.live(second, 1_000)
    assert bench.cursor().worker == "w1"
    assert len(set(bench.executed("a"))) == len(bench.executed("a"))


def what_was_removed_while_all_were_away_is_not_wanted() -> None:
    bench = Bench()
    for name in ("gone", "paused", "held"):
        bench.job(name)
    bench.write("pause/paused", {"paused": True})
    bench.write("hold/freeze", {"match": {"names": ["held"]}})
    first = bench.machine("w0")
    bench.live(first, 3_000)
    first.die()
    for key in ("job/gone", "pause/paused", "hold/freeze"):
        bench.write(key, None)
    bench.compact(CONTROL, times=3)
    assert not [r for r in bench.log.records(CONTROL, 0) if r.key in {b"job/gone", b"pause/paused", b"hold/freeze"}]
    fired = len(bench.executed("gone"))
    second = bench.machine("w1")
    bench.live(second, 3_000)
    assert len(bench.executed("gone")) == fired
    assert bench.state("job/gone") is None
    assert bench.state("hold/freeze") is None
    now = bench.dues("held")[-1]
    assert {now} == {bench.dues("paused")[-1]}
    assert now > 180


def a_recreated_control_topic_is_refused_with_the_remedy() -> None:
    bench = Bench()
    bench.job("a")
    first = bench.machine("w0")
    bench.live(first, 2_000)
    first.die()
    bench.log.recreate(CONTROL)
    for number in range(10):
        bench.job(f"new-{number}")
    with pytest.raises(ConfigurationError, match=r"was recreated .* 'kadence topics init'"):
        bench.live(bench.machine("w1"), 1_000)


def a_mark_that_another_takeover_replaced_ends_the_takeover() -> None:
    """Two believe that a shard is theirs, and compaction takes the mark that one of them waits for."""
    bench = Bench()
    bench.job("a")
    first, second = bench.machine("w0"), bench.machine("w1")
    first.give(0)
    first.step(0)
    second.give(0)
    second.step(0)
    second.take(0)
    bench.compact(STATE)
    bench.live(first, 5_000)
    assert first.ready(0)
    assert bench.dues("a")[-1] > 60


def _do_nothing(*_: Any) -> None:
    return None


def _remember_everything(self: Any) -> bool:
    records = self._reader.read(10_000, 0)
    for record in records:
        if record.key == state.BARRIER and state.barrier_nonce(record.value) == self.nonce:
            return _done(self)
        self._remember(record)
    return bool(records)


def _done(takeover: Any) -> bool:
    from kadence.worker.takeover import Phase  # noqa: PLC0415

    takeover.close()
    takeover.phase = Phase.AWAITING_CONTROL
    return True


def _begin_now(takeover: Any, now: int) -> int:
    return now


STORIES: Final = (
    Story(a_pause_from_before_the_first_worker_is_kept, Broken(((Takeover, "_beginning", _begin_now),))),
    Story(a_shard_whose_cursor_cannot_be_read_waits_until_it_can, Broken(((Takeover, "_check_cursor", _do_nothing),))),
    Story(what_a_shard_cannot_remember_of_a_job_is_reported, Broken(((Takeover, "_report_unreadable", _do_nothing),))),
    Story(a_barrier_outlives_no_cursor_even_after_a_crash_and_compaction, Broken(((state, "BARRIER", state.CURSOR),))),
    Story(a_takeover_waits_for_a_tail_that_is_held_back, Broken(((Takeover, "_await_control", do_not_await_control),))),
    Story(a_spec_as_large_and_deep_as_may_be_outlives_a_bad_update, Broken(((strict, "_WRAPPED", 0),))),
    Story(the_errors_of_a_whole_transaction_fit_into_a_cursor, Broken(((fields, "MAX_ERROR", 10**6),))),
    Story(what_was_removed_while_all_were_away_is_not_wanted, Broken(((restore, "_withdraw_absent", _do_nothing),))),
    Story(a_recreated_control_topic_is_refused_with_the_remedy, Broken(((Takeover, "_check_control", _do_nothing),))),
    Story(
        a_mark_that_another_takeover_replaced_ends_the_takeover, Broken(((Takeover, "_read", _remember_everything),))
    ),
)
