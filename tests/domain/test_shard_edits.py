"""A job's timing edited around a due instant: no due time is lost, none is doubled, whatever the edit and the cut."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from kadence.domain import changes, settle
from kadence.domain.spec import fixed_delay
from tests.domain.story import EVERYTHING, Story, every, when

if TYPE_CHECKING:
    from kadence.domain.book import Book
    from kadence.domain.job import Job
    from kadence.domain.spec import JobSpec

LAST = 200.0
SPECS: dict[str, dict[str, object]] = {
    "every 10": {"schedule": {"every": 10}},
    "every 10, late": {"schedule": {"every": 10}, "jitter": "20s"},
    "every 12": {"schedule": {"every": 12}},
    "every 12, late": {"schedule": {"every": 12}, "jitter": "20s"},
    "with an end": {"schedule": {"every": 10}, "end": when(90)},
    "with a start": {"schedule": {"every": 12}, "start": when(72)},
}
for spec in SPECS.values():
    spec["catch_up"] = EVERYTHING
EDITS = [pair for pair in product(SPECS, SPECS) if pair[0] != pair[1]]
MOMENTS = [56.0, 59.5, 60.0, 60.5, 61.0, 66.0, 70.0, 72.0, 79.0]


def due(spec: dict[str, object], second: float) -> bool:
    """The oracle's reading of the specs above; the story starts at a multiple of every period but 12 s (none)."""
    period = spec["schedule"]["every"]  # type: ignore[index]
    epoch = 1_795_424_400 + second
    start, end = spec.get("start"), spec.get("end")
    return (
        epoch % period == 0
        and (start is None or when(second) >= str(start))
        and (end is None or when(second) < str(end))
    )


def expected(first: str, second: str, edited: float) -> list[float]:
    """Due times up to the edit as the first spec has them, later ones as the second has them."""
    seconds = [float(second) for second in range(1, int(LAST) + 1)]
    return [at for at in seconds if due(SPECS[first if at <= edited else second], at)]


def edit(first: str, second: str, edited: float) -> Story:
    story = Story()
    story.control("job/a", SPECS[first], at=0)
    story.tick(edited)
    story.control("job/a", SPECS[second], at=edited)
    story.tick(edited)
    story.tick(LAST + 60)
    return story


def within(story: Story, name: str = "a") -> list[float]:
    return sorted(second for second in story.dues(name) if second <= LAST)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(("first", "second"), EDITS)
def test_an_edit_loses_and_doubles_no_due_time(first: str, second: str, moment: float) -> None:
    assert within(edit(first, second, moment)) == expected(first, second, moment)


@pytest.mark.parametrize("first", ["every 10", "every 10, late", "every 12, late"])
@pytest.mark.parametrize("second", ["every 10", "every 10, late", "every 12", "every 12, late"])
@pytest.mark.parametrize("limit", [1, 2])
@pytest.mark.parametrize("die", [False, True])
def test_an_edit_in_the_middle_of_a_burst_loses_and_doubles_no_due_time(
    first: str, second: str, limit: int, *, die: bool
) -> None:
    names = ["a", "b", "c", "d"]
    story = Story()
    for name in names:
        story.control(f"job/{name}", SPECS[first], at=0)
    for moment in range(1, 61):
        story.tick(moment)
    assert story.tick(61 + 20, limit=limit, rounds=1), "the tick was to be cut"
    for name in names:
        story.control(f"job/{name}", SPECS[second], at=81)
    if die:
        story.rebuild()
    story.tick(81, limit=limit)
    story.tick(LAST + 60, limit=limit)
    for name in names:
        assert within(story, name) == expected(first, second, 81)


@pytest.mark.parametrize(("first", "second"), EDITS)
def test_an_edit_that_is_read_late_goes_on_from_the_last_due_time_decided(first: str, second: str) -> None:
    story = Story()
    story.control("job/a", SPECS[first], at=0)
    story.tick(65)
    before = story.dues()
    story.control("job/a", SPECS[second], at=44)
    story.tick(65)
    story.tick(LAST + 60)
    fired = within(story)
    assert len(fired) == len(set(fired))
    last = max([44.0, *before])
    seconds = [float(second) for second in range(1, int(LAST) + 1)]
    new = [at for at in seconds if at > last and due(SPECS[second], at)]
    old = [at for at in seconds if at <= 44 and due(SPECS[first], at)]
    assert fired == sorted({*old, *before, *new})


def test_an_edit_that_leaves_the_timing_alone_moves_nothing() -> None:
    story = Story()
    story.control("job/a", {**SPECS["every 10"], "payload": 1}, at=0)
    for moment in range(1, 40):
        story.tick(moment)
        story.control("job/a", {**SPECS["every 10"], "payload": moment})
    assert story.dues() == [10, 20, 30]
    assert story.values == [b"9", b"19", b"29"]


def test_a_spec_identical_to_the_one_in_force_moves_its_offset_only() -> None:
    story = Story()
    story.control("job/a", SPECS["every 10"], at=0)
    story.tick(15)
    offset = story.control("job/a", SPECS["every 10"])
    assert story.job().spec_offset == offset
    assert story.commit().happenings == []


def test_an_at_that_has_run_does_not_run_again_when_its_job_is_edited() -> None:
    story = Story()
    story.control("job/a", {"schedule": {"at": when(10)}}, at=0)
    story.tick(20)
    story.control("job/a", {"schedule": {"at": when(10)}, "jitter": "5s"})
    story.tick(21)
    story.control("job/a", {"schedule": {"at": when(10)}, "end": when(50)})
    story.tick(60)
    assert story.dues() == [10]
    assert story.missed == {}
    assert story.job().finished


def _decides_nothing(book: Book, job: Job, known: JobSpec, spec: JobSpec, timestamp: int) -> None:
    """Broken: the old spec's open due times are forgotten."""
    job.floor = max(job.floor, timestamp)


def _counts_from_the_record(book: Book, job: Job, known: JobSpec, spec: JobSpec, timestamp: int) -> None:
    """Broken: what the old spec decided after the record's time is not looked at."""
    settle.judge(book, job, known.timing, book.settled(job, known.timing), timestamp)
    job.floor = timestamp


def test_the_edits_catch_an_old_spec_that_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "_close_old_timing", _decides_nothing)
    lost = [
        (first, second, moment)
        for (first, second), moment in product(EDITS, MOMENTS)
        if within(edit(first, second, moment)) != expected(first, second, moment)
    ]
    assert lost


def test_the_late_edits_catch_a_new_spec_that_counts_from_its_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "_close_old_timing", _counts_from_the_record)
    with pytest.raises(AssertionError):
        test_an_edit_that_is_read_late_goes_on_from_the_last_due_time_decided("every 10", "every 10, late")


@pytest.mark.parametrize(
    ("key", "on", "off"), [("pause/a", {"paused": True}, {"paused": False}), ("hold/h", {"match": {"all": True}}, None)]
)
def test_an_edit_under_a_pause_read_when_both_are_over_loses_nothing(
    key: str, on: dict[str, object], off: dict[str, object] | None
) -> None:
    delay = fixed_delay("a", 9_000) / 1000
    assert 0.5 < delay < 5
    catch_up = {"policy": "all", "window": "7d"}
    story = Story()
    story.control("job/a", every(10, jitter="9s", catch_up=catch_up), at=0)
    story.tick(10.5)  # 10 waits for its firing instant
    story.write(key, on, 10.1)
    story.write("job/a", every(30, jitter="9s", catch_up=catch_up), 10.2)
    story.write(key, off, 10.3)
    story.apply()
    story.tick(10.5)
    assert story.dues() == [10]
    assert story.job().owed == ()
    story.tick(200)
    assert sorted(story.dues()) == [10, 30, 60, 90, 120, 150, 180]


def test_an_edit_under_a_pause_keeps_what_would_have_fired_after_it() -> None:
    delay = fixed_delay("a", 9_000) / 1000
    story = Story()
    story.control("job/a", every(10, jitter="9s"), at=0)
    story.tick(5)
    story.control("pause/a", {"paused": True}, at=5)
    story.control("job/a", every(30, jitter="9s"), at=10)
    story.control("pause/a", {"paused": False}, at=10 + delay / 2)
    story.tick(35)
    assert story.dues() == [10, 30]
    assert story.dropped == {}


def test_an_edit_under_a_pause_that_is_read_after_its_end_loses_nothing() -> None:
    asks_for_all = {**EVERYTHING, "after_pause": "all"}
    story = Story()
    story.control("job/a", every(10, catch_up=asks_for_all), at=0)
    story.control("pause/a", {"paused": True, "until": when(28)}, at=15)
    story.tick(29)  # the pause ended by itself, and the edit was on its way
    story.control("job/a", every(2, catch_up=asks_for_all), at=21)
    story.tick(31)
    assert sorted(story.dues()) == [10, 20, 22, 24, 26, 28, 30]


def test_an_edit_that_is_read_after_a_hold_came_over_the_job_loses_nothing() -> None:
    asks_for_all = {**EVERYTHING, "after_pause": "all"}
    story = Story()
    story.control("job/a", every(10, end=when(45), catch_up=asks_for_all), at=0)
    story.tick(49)
    story.control("hold/h", {"match": {"names": ["b"]}, "start": when(50), "end": when(90)})
    story.tick(72)
    story.control("hold/h", {"match": {"all": True}, "start": when(50), "end": when(90)}, at=55)
    story.control("job/a", every(4, catch_up=asks_for_all), at=61)
    story.tick(95)
    assert sorted(story.dues()) == [10, 20, 30, 40, 64, 68, 72, 76, 80, 84, 88, 92]
