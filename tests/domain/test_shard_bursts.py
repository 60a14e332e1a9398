"""Bursts, and what becomes of them when they are cut, when their owner dies, and when jobs come and go meanwhile."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from kadence.domain.book import Book
from kadence.domain.shard import Shard
from tests.domain.story import EVERYTHING, Story, every

if TYPE_CHECKING:
    from kadence.domain.job import Job
    from kadence.domain.spec import Timing

NAMES = ["a", "ab", "b", "c-1", "c.1", "c_1", "d", "e", "f", "Z"]


def three_schedules(story: Story) -> None:
    for index, name in enumerate(NAMES):
        story.control(f"job/{name}", every([2, 3, 6][index % 3]), at=0)


def test_one_instant_fires_bytewise_by_name_over_all_schedules() -> None:
    story = Story()
    three_schedules(story)
    story.tick(6)
    at_six = [id_.partition("@")[0] for id_ in story.fires if id_.endswith("09:00:06Z")]
    assert at_six == sorted(NAMES)


@pytest.mark.parametrize("limit", range(1, 12))
@pytest.mark.parametrize("forget", [False, True])
def test_a_burst_over_three_schedules_cut_between_two_names_goes_on_after_a_crash(limit: int, *, forget: bool) -> None:
    story, whole = Story(), Story()
    for each in (story, whole):
        three_schedules(each)
        each.tick(5.5)
        each.commit()
    whole.tick(6)
    while story.tick(6, limit=limit, rounds=1):
        story.rebuild(forget=forget)
    assert story.fires == whole.fires


class ForgetsTheName(Shard):
    """Broken: goes on from the instant, not from the name."""

    def __init__(self, book: Book) -> None:
        book.cursor.after = None
        super().__init__(book)


class StartsTheInstantAnew(Shard):
    """Broken: a cut instant is walked from its first name again."""

    def __init__(self, book: Book) -> None:
        if book.cursor.after is not None:
            book.cursor.through, book.cursor.after = book.cursor.through - 1, None
            for job in list(book.jobs.values()):
                if job.spec is not None:
                    book.timetable.remove(job, job.spec.timing)
                    book.timetable.add(job, job.spec.timing, book.first_open())
        super().__init__(book)


@pytest.mark.parametrize(("broken", "wrong"), [(ForgetsTheName, -1), (StartsTheInstantAnew, 1)])
def test_the_cut_burst_catches_a_shard_that_forgets_where_it_was(broken: type[Shard], wrong: int) -> None:
    story = Story()
    three_schedules(story)
    story.tick(5.5)
    story.make = broken
    more = story.tick(6, limit=4, rounds=1)
    assert more
    if broken is ForgetsTheName:  # it takes up the rebuilt timetable, which awaits what comes after the instant
        story.state[b"cursor"] = story.state[b"cursor"].replace(b'"after":"b"', b'"after":null')
    story.rebuild(forget=True)
    story.tick(6)
    counts = Counter(id_ for id_ in story.fires if id_.endswith("09:00:06Z"))
    assert (min(len(counts) - len(NAMES), 0) or sum(counts.values()) - len(NAMES)) * wrong > 0


def test_a_cut_between_two_names_lets_jobs_come_and_go() -> None:
    story = Story()
    three_schedules(story)
    story.tick(5.5)
    assert story.tick(6, limit=4, rounds=1)
    assert story.shard.book.cursor.after == "b"
    story.control("job/a", None, at=6)
    story.control("job/d", None, at=6)
    story.control("job/aa", every(2), at=5.75)
    story.control("job/cc", every(2), at=5.75)
    story.control("job/dd", every(2), at=6)
    story.tick(8)
    assert story.dues("a") == [2, 4, 6]
    assert 6.0 not in story.dues("d")
    assert story.dues("aa") == [6, 8]
    assert story.dues("cc") == [6, 8]
    assert story.dues("dd") == [8]


def recreate(lag: float, *, die: bool = False) -> Story:
    story = Story()
    story.control("job/a", every(1), at=0)
    story.tick(3 + lag)
    story.write("job/a", None, at=3.2)
    story.write("job/a", every(1), at=3.4)
    story.apply(1)
    if die:
        story.rebuild()
    story.apply()
    story.tick(3 + lag)
    story.tick(8)
    return story


@pytest.mark.parametrize("lag", [0.2, 0.4, 1, 2.5])
@pytest.mark.parametrize("die", [False, True])
def test_a_job_deleted_and_recreated_in_one_batch_goes_on_without_a_double(lag: float, *, die: bool) -> None:
    story = recreate(lag, die=die)
    assert story.dues() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert story.commit().happenings == []
    assert len(story.said("job.deleted")) == 1
    assert len(story.said("job.created")) == 2


def test_the_recreated_job_catches_a_shard_that_forgets_what_it_fired(monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(self: Book, job: Job) -> None:
        if job.spec is None:
            self.jobs.pop(job.name, None)

    monkeypatch.setattr(Book, "forget", forget)
    assert recreate(2.5).dues() != [1, 2, 3, 4, 5, 6, 7, 8]


def test_what_was_kept_of_a_deleted_job_is_forgotten_once_control_has_passed_it() -> None:
    story = Story()
    story.control("job/a", every(1), at=0)
    story.tick(5)
    story.control("job/a", None, at=2.5)
    story.commit()
    assert b"job/a" in story.state
    story.rebuild()
    story.control("pause/b", {"paused": True}, at=6)
    story.commit()
    assert b"job/a" not in story.state
    assert "a" not in story.shard.book.jobs


def test_a_job_that_joins_a_timing_which_passed_over_an_outage_gets_all_its_due_times() -> None:
    story = Story()
    story.control("job/a", every(10, catch_up={"grace": "0s"}), at=0)
    story.commit()
    story.tick(105, limit=1, rounds=1)
    story.control("job/b", every(10, catch_up=EVERYTHING), at=50)
    story.tick(105)
    assert sorted(story.dues("b")) == [60, 70, 80, 90, 100]
    assert story.dues("a") == [100]
    assert story.missed == {"a": 9}


@pytest.mark.parametrize("kept", [None, ("pause/b", {"paused": True}), ("hold/h", {"match": {"names": ["b"]}})])
def test_a_long_outage_costs_one_question_per_timing_and_not_one_per_instant(
    kept: tuple[str, object] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story()
    for name in ("a", "b"):
        story.control(f"job/{name}", every(1), at=0)
    story.tick(1)
    if kept is not None:
        story.control(*kept, at=1.5)
    asked = 0
    real = type(story.job().spec.timing).next_after  # type: ignore[union-attr]

    def count(self: Timing, instant: int) -> int | None:
        nonlocal asked
        asked += 1
        return real(self, instant)

    monkeypatch.setattr(type(story.job().spec.timing), "next_after", count)  # type: ignore[union-attr]
    story.tick(100_000)
    assert asked < 200
    assert story.dues("a") == [1, 99_969, *range(99_970, 100_001)]


def test_a_job_that_is_lifted_in_the_middle_of_an_outage_gets_what_its_group_had_passed_over() -> None:
    story = Story()
    story.control("job/a", every(1, catch_up={**EVERYTHING, "grace": "0s"}), at=0)
    story.control("job/b", every(10, offset="500ms", catch_up={"grace": "1d"}), at=0)
    story.control("pause/a", {"paused": True}, at=0)
    story.tick(0.1)
    story.tick(100, limit=1, rounds=1)  # the group of a is past it all, the cursor is not
    story.control("pause/a", {"paused": False}, at=50)
    story.tick(100)
    assert sorted(story.dues("a")) == list(range(50, 101))
    assert story.dropped == {"a": 49}
