"""What a job owes: run oldest first, never in the way of one another, and never more than a record can hold."""

from __future__ import annotations

import random

from kadence.domain.job import Owed, Stage
from kadence.domain.owed import MOST_REMEMBERED
from kadence.domain.schedule import Every
from kadence.domain.spec import Timing
from kadence.wire import state
from tests.domain.story import EVERYTHING, Story, at, every


def test_what_waited_runs_before_what_was_kept_after_it() -> None:
    story = Story()
    story.control("job/a", every(10, catch_up={**EVERYTHING, "grace": "0s"}), at=0)
    story.tick(5)
    story.now = 38  # a standstill: 10, 20 and 30 are not decided when the pause is read
    story.control("pause/a", {"paused": True}, at=35)
    story.tick(65)
    story.control("pause/a", {"paused": False, "catch_up": "all"})
    story.tick(65)
    assert story.dues() == [10, 20, 30, 40, 50, 60]


def test_owed_ranges_of_every_stage_stand_in_order_of_time() -> None:
    story = Story()
    story.control("job/a", every(10, catch_up={**EVERYTHING, "grace": "0s"}), at=0)
    job, timing = story.job(), Timing(Every(10_000))
    blocked = Owed(timing, at(-100), at(-60), Stage.BLOCKED)
    running = Owed(timing, at(-60), at(-40), Stage.RUNNING)
    job.owed = (blocked, running)
    story.shard.book.owing["a"] = job
    story.tick(1)
    assert story.dues() == [-50, -40]
    assert list(job.owed) == [blocked]


def crons(seed: int) -> list[dict[str, str]]:
    """A schedule that takes about 10 KB."""
    chosen = random.Random(seed)
    half = [",".join(map(str, sorted(chosen.sample(range(60), 30)))) for _ in range(80)]
    return [{"cron": f"{seconds} {minutes} * * * *"} for seconds, minutes in zip(half[::2], half[1::2], strict=True)]


def test_edits_under_a_pause_are_refused_before_the_job_takes_more_than_a_record_holds() -> None:
    story = Story()
    story.control("job/a", {"schedule": crons(0)}, at=0)
    story.control("pause/a", {"paused": True}, at=0)
    offsets: list[int] = []
    while not story.refused:
        story.tick(story.now + 100)
        offsets.append(story.control("job/a", {"schedule": crons(len(offsets) + 1)}))
        story.commit()
    assert len(offsets) > 10
    [(refused, error)] = story.refused
    assert [story.job().spec_offset, refused] == offsets[-2:]
    assert "would take more than 128 KiB to remember" in error
    size = len(story.states()[b"job/a"])
    assert MOST_REMEMBERED // 2 < size < MOST_REMEMBERED + 50_000
    story.rebuild()
    story.control("pause/a", {"paused": False})
    last = story.control("job/a", {"schedule": crons(len(offsets))})
    assert story.job().spec_offset == last


def test_ranges_of_one_schedule_write_it_once_and_are_read_back() -> None:
    one, other = Timing(Every(10_000), 250), Timing(Every(7_000))
    story = Story()
    story.control("job/a", every(10), at=0)
    job = story.job()
    job.owed = (
        Owed(one, at(0), at(10), Stage.BLOCKED),
        Owed(one, at(20), at(30), Stage.RUNNING),
        Owed(other, at(30), at(40), Stage.BLOCKED),
        Owed(one, at(40), at(50), Stage.BLOCKED),
    )
    value = state.encode_job(job)
    assert value.count(b'"schedule"') == 3
    read = state.decode_job("a", value, "kadence")
    assert isinstance(read, state.JobRecord)
    assert read.job.owed == job.owed


def test_half_a_transaction_that_kept_only_the_jobs_record_has_nothing_owed_twice() -> None:
    story = Story()
    story.control("job/a", every(1, catch_up={**EVERYTHING, "grace": "0s"}), at=0)
    story.tick(2)
    story.control("pause/a", {"paused": True}, at=4.5)  # broker time: our clock is behind
    story.commit()
    cursor = story.state[b"cursor"]
    story.tick(3.9)  # 3 came due before the pause, and waits for its end
    assert [owed.stage for owed in story.job().owed] == [Stage.WAITING]
    story.state[b"cursor"] = cursor
    story.rebuild(forget=True)
    story.tick(6)
    story.control("pause/a", {"paused": False})
    story.tick(7)
    assert sorted(story.dues()) == [1, 2, 3, 4, 6, 7]


def torn(story: Story) -> None:
    """The owner dies in its commit; its job records stay, its cursor does not, and all is applied again."""
    cursor = story.state[b"cursor"]
    story.commit()
    story.state[b"cursor"] = cursor
    story.rebuild(forget=True)
    story.apply()
    story.commit()


def test_half_a_transaction_over_a_rejected_definition_loses_and_repeats_nothing() -> None:
    asks_for_all = {**EVERYTHING, "grace": "1d", "after_pause": "all"}
    story = Story()
    story.control("job/a", every(10, catch_up=asks_for_all), at=0)
    story.control("job/a", b"{garbage", at=1)
    story.control("trigger/a/now", {}, at=2)
    story.control("hold/h", {"match": {"all": True}}, at=4)
    story.tick(12)
    story.control("job/a", every(5, catch_up=asks_for_all), at=12)
    torn(story)
    story.control("trigger/a/now", {}, at=12.5)
    story.control("hold/h", None, at=13)
    story.tick(21)
    assert sorted(story.dues()) == [10, 15, 20]
    assert story.triggers() == ["now"]


def test_half_a_transaction_that_created_a_job_paused_owes_nothing_twice() -> None:
    story = Story()
    story.commit()
    story.tick(5)
    story.control("job/a", every(3, paused=True, catch_up={**EVERYTHING, "grace": "1d"}), at=0)
    torn(story)
    story.tick(6)
    story.control("pause/a", {"paused": False})
    story.tick(7)
    assert story.dues() == [3, 6]
