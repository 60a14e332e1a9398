from __future__ import annotations

from typing import TYPE_CHECKING

from kadence.domain.job import Job
from kadence.domain.schedule import Every
from kadence.domain.spec import Timing
from kadence.domain.timetable import Timetable
from tests.domain.story import START

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest


def add(timetable: Timetable, timing: Timing, names: Iterable[str], now: int = START + 1) -> list[Job]:
    jobs = [Job(name) for name in names]
    for job in jobs:
        assert timetable.add(job, timing, now)
    return jobs


def names(timetable: Timetable, instant: int) -> list[str]:
    return [job.name for job, _ in timetable.due_at(instant)]


def test_the_next_time_is_asked_once_per_distinct_timing_not_per_job(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = Every.next_after

    def count(self: Every, instant: int) -> int | None:
        asked.append(instant)
        return real(self, instant)

    monkeypatch.setattr(Every, "next_after", count)
    timetable = Timetable()
    for index, period in enumerate((1000, 2000, 3000)):
        add(timetable, Timing(Every(period)), (f"j{number}" for number in range(index, 10_000, 3)))
    assert (len(timetable), len(asked)) == (3, 3)
    for second in range(1, 7):
        instant = START + second * 1000
        assert timetable.next_instant() == instant
        timetable.due_at(instant)
        assert timetable.advance(instant, instant) == []
    assert len(asked) == 3 + 6 + 3 + 2, "one more per timing and instant"


def test_one_instant_joins_its_timings_bytewise_by_name() -> None:
    timetable = Timetable()
    add(timetable, Timing(Every(2000)), ["b", "a-1", "Z"])
    add(timetable, Timing(Every(1000)), ["a.1", "a_1", "0", "aa"])
    add(timetable, Timing(Every(1000), delay=1000), ["delayed"])
    assert names(timetable, START + 1000) == ["0", "a.1", "a_1", "aa", "delayed"]
    timetable.advance(START + 1000, START + 1000)
    joined = names(timetable, START + 2000)
    assert joined == sorted(joined, key=str.encode)
    assert set(joined) == {"b", "a-1", "Z", "a.1", "a_1", "0", "aa", "delayed"}
    dues = {job.name: due for job, due in timetable.due_at(START + 2000)}
    assert dues["delayed"] == START + 1000


def test_a_job_removed_in_mid_burst_is_not_due_and_an_empty_timing_is_gone() -> None:
    timetable, timing = Timetable(), Timing(Every(1000))
    one, two, three = add(timetable, timing, "abc")
    version = timetable.version
    timetable.due_at(START + 1000)
    timetable.remove(two, timing)
    assert timetable.version != version
    assert names(timetable, START + 1000) == ["a", "c"]
    timetable.remove(one, timing)
    timetable.remove(three, timing)
    timetable.remove(three, timing)
    assert (len(timetable), timetable.next_instant()) == (0, None)
    add(timetable, timing, "d", START + 5000)
    assert timetable.next_instant() == START + 5000


def test_a_timing_without_due_times_left_takes_nobody_and_gives_its_jobs_back() -> None:
    timetable, timing = Timetable(), Timing(Every(1000), end=START + 2000)
    assert not timetable.add(Job("late"), timing, START + 5000)
    jobs = add(timetable, timing, "ba", START + 1)
    assert timetable.advance(START + 1000, START + 1000) == [jobs[1], jobs[0]]
    assert len(timetable) == 0


def test_a_timing_passes_over_what_all_its_jobs_have_settled_and_no_more() -> None:
    timetable, timing = Timetable(), Timing(Every(1000))
    one, two = add(timetable, timing, "ab", START + 1)
    one.floor, two.floor = START + 50_000, START + 40_000
    timetable.advance(START + 1000, START + 60_000)
    assert timetable.next_instant() == START + 41_000
    late = Job("late")
    late.floor = START + 20_000
    timetable.add(late, timing, START + 1000)
    assert timetable.next_instant() == START + 21_000
    assert len(timetable) == 1
