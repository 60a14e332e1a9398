from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from kadence.domain import settle
from kadence.domain.job import State
from kadence.domain.spec import parse_spec
from kadence.domain.stimulus import Change, PutJob
from tests.domain.story import EVERYTHING, START, Story, every, when

if TYPE_CHECKING:
    from kadence.domain.book import Book
    from kadence.domain.job import Job


def ten(story: Story, name: str = "a", **fields: object) -> Story:
    story.control(f"job/{name}", every(10, **fields), at=0)
    return story


def test_a_paused_job_fires_nothing_but_triggers() -> None:
    story = ten(Story())
    story.tick(15)
    story.control("pause/a", {"paused": True, "reason": "broken", "by": "ann"}, at=15)
    story.tick(35)
    story.control("trigger/a/now", {}, at=36)
    story.tick(45)
    assert story.dues() == [10]
    assert story.triggers() == ["now"]
    job = story.job()
    assert (job.state, job.reason, job.by, job.pause and job.pause.active) == (State.PAUSED, "broken", "ann", True)
    assert story.said("job.paused")[0].reason == "broken"


@pytest.mark.parametrize("ahead", [0.5, 2, 25])
def test_a_pause_holds_at_once_even_where_the_brokers_clock_is_ahead(ahead: float) -> None:
    story = Story()
    story.control("job/a", every(1), at=0)
    story.tick(3)
    story.control("pause/a", {"paused": True}, at=3 + ahead)
    story.commit()
    story.tick(3.9)
    story.tick(4.5)
    story.tick(5)
    story.tick(40)
    assert story.dues() == [1, 2, 3]


def test_the_clocks_catch_a_pause_that_begins_at_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kadence.domain.job.Job.kept_now", lambda self, now: self.kept_at(now))
    with pytest.raises(AssertionError):
        test_a_pause_holds_at_once_even_where_the_brokers_clock_is_ahead(2)


@pytest.mark.parametrize(
    ("after_pause", "on_resume", "run"),
    [
        (None, None, []),
        ("skip", None, []),
        ("latest", None, [40]),
        ("all", None, [20, 30, 40]),
        ("all", "skip", []),
        ("skip", "latest", [40]),
        ("latest", "all", [20, 30, 40]),
    ],
)
def test_what_came_due_under_a_pause_is_dropped_unless_somebody_asks(
    after_pause: str | None, on_resume: str | None, run: list[int]
) -> None:
    story = ten(Story(), catch_up={} if after_pause is None else {"after_pause": after_pause})
    story.tick(15)
    story.control("pause/a", {"paused": True}, at=15)
    story.tick(45)
    story.control("pause/a", {"paused": False, **({"catch_up": on_resume} if on_resume else {})}, at=45)
    story.tick(55)
    assert sorted(story.dues()) == [10, *run, 50]
    assert story.dropped == ({"a": 3 - len(run)} if len(run) < 3 else {})
    assert story.missed == {}
    assert [cause for cause in story.causes if cause != "schedule"] == ["catch_up"] * len(run)


def test_a_pause_ends_by_itself_at_its_until() -> None:
    story = ten(Story())
    story.tick(15)
    story.control("pause/a", {"paused": True, "until": when(40)}, at=15)
    story.tick(39)
    assert story.job().state is State.PAUSED
    story.rebuild()
    story.tick(55)
    assert story.dues() == [10, 40, 50]
    assert story.dropped == {"a": 2}
    assert story.job().state is State.RUNNING
    assert [said.kind for said in story.happenings if said.kind.startswith("job.")][1:3] == [
        "job.paused",
        "job.resumed",
    ]


@pytest.mark.parametrize("until", [5, 12, 15])
def test_a_pause_whose_until_has_passed_when_it_was_written_keeps_nothing(until: float) -> None:
    story = ten(Story())
    story.tick(15)
    story.control("pause/a", {"paused": True, "until": when(until)}, at=15)
    story.tick(25)
    assert story.dues() == [10, 20]


def test_until_speaks_of_firing_instants() -> None:
    story = Story()
    story.control("job/a", every(10, jitter="20s"), at=0)
    delay = story.job().spec.timing.delay / 1000  # type: ignore[union-attr]
    assert delay > 0
    story.control("pause/a", {"paused": True, "until": when(40 + delay)}, at=1)
    story.tick(80)
    assert story.dues()[0] == 40


def test_a_pause_may_precede_its_job_and_outlives_it() -> None:
    story = Story()
    story.control("pause/a", {"paused": True}, at=1)
    ten(story)
    story.tick(25)
    story.control("job/a", None)
    story.tick(26)
    assert story.job().state is State.PAUSED
    story.rebuild()
    story.control("job/a", every(10), at=27)
    story.tick(45)
    assert story.dues() == []
    assert story.job().state is State.PAUSED
    story.control("pause/a", None)
    story.tick(55)
    assert story.dues() == [50]


def test_an_edit_neither_pauses_nor_resumes() -> None:
    story = ten(Story())
    story.control("pause/a", {"paused": True}, at=1)
    story.control("job/a", every(5, paused=False), at=2)
    story.tick(11)
    assert story.job().state is State.PAUSED
    story.control("pause/a", {"paused": False})
    story.control("job/a", every(5, paused=True), at=12)
    story.tick(21)
    assert story.dues() == [15, 20]


@pytest.mark.parametrize("owners", [0, 1, 5])
def test_a_job_created_paused_stays_paused_when_its_owner_dies(owners: int) -> None:
    story = Story()
    story.control("job/a", every(10, paused=True), at=0)
    for owner in range(owners):
        story.rebuild()
        story.tick(11 + owner * 10)
    story.tick(105)
    assert story.dues() == []
    assert story.job().state is State.PAUSED
    story.control("pause/a", {"paused": False})
    story.tick(115)
    assert story.dues() == [110]


def test_the_created_pause_catches_an_owner_that_takes_the_absent_record_for_a_wish(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from kadence.domain.job import Pause  # noqa: PLC0415  only this control needs it

    whole = Pause.__init__

    def forgets(self: Pause, *args: object, **kwargs: object) -> None:
        whole(self, *args, **{**kwargs, "created": False})  # type: ignore[arg-type]

    monkeypatch.setattr(Pause, "__init__", forgets)
    with pytest.raises(AssertionError):
        test_a_job_created_paused_stays_paused_when_its_owner_dies(1)


def test_a_pause_and_a_resume_both_written_while_nobody_owned_the_shard() -> None:
    story = ten(Story(), catch_up={**EVERYTHING, "after_pause": "skip"})
    story.tick(15)
    story.rebuild()
    story.now = 95
    story.write("pause/a", {"paused": True}, at=35)
    story.write("pause/a", {"paused": False}, at=65)
    story.apply()
    story.tick(95)
    assert sorted(story.dues()) == [10, 20, 30, 70, 80, 90]
    assert story.dropped == {"a": 3}


def test_a_resume_that_is_read_late_gives_back_what_was_due_after_it() -> None:
    story = Story()
    story.control("job/a", every(1), at=0)
    story.tick(3)
    story.control("pause/a", {"paused": True}, at=2)
    story.tick(6)
    story.control("pause/a", {"paused": False}, at=2.5)
    story.tick(8)
    assert story.dues() == [1, 2, 3, 4, 5, 6, 7, 8]


# --- holds -----------------------------------------------------------------------------------------------


def test_a_hold_is_over_the_jobs_it_selects_and_those_that_come_later() -> None:
    story = Story()
    story.control("job/a", every(10, tags=["x"]), at=0)
    story.control("job/b", every(10), at=0)
    story.tick(5)
    story.control("hold/h", {"match": {"tags": ["x"]}, "reason": "deploy", "by": "bob"}, at=5)
    story.control("job/c", every(10, tags=["x"]), at=6)
    story.tick(15)
    story.control("job/b", every(10, tags=["x"]), at=15)
    story.control("job/a", every(10), at=15)
    story.tick(35)
    assert story.dues("a") == [20, 30]
    assert story.dues("b") == [10]
    assert story.dues("c") == []
    story.control("hold/h", None, at=35)
    story.tick(45)
    assert (story.dues("a"), story.dues("b"), story.dues("c")) == ([20, 30, 40], [10, 40], [40])
    assert story.said("hold.applied")[0].detail == {"matched": 1}
    assert story.said("hold.released")[0].detail == {"matched": 2}


def test_a_selector_excludes_by_not() -> None:
    story = Story()
    for name, tags in (("a", ["x"]), ("b", []), ("c", ["keep"])):
        story.control(f"job/{name}", every(10, tags=tags), at=0)
    story.control("hold/h", {"match": {"all": True, "not": {"tags": ["keep"], "names": ["b"]}}}, at=1)
    story.tick(15)
    assert (story.dues("a"), story.dues("b"), story.dues("c")) == ([], [10], [10])


def test_a_holds_window_opens_and_closes_by_itself() -> None:
    story = ten(Story())
    story.control("hold/h", {"match": {"all": True}, "start": when(20), "end": when(40)}, at=1)
    assert story.said("hold.applied") == []
    story.tick(15)
    story.rebuild()
    story.tick(25)
    story.rebuild()
    story.tick(55)
    assert story.dues() == [10, 40, 50]
    assert story.dropped == {"a": 2}
    assert [said.kind for said in story.happenings if said.name == "h"] == ["hold.applied", "hold.released"]


def test_to_release_a_hold_with_a_choice_write_it_again_with_an_end() -> None:
    story = ten(Story())
    story.control("hold/h", {"match": {"all": True}}, at=5)
    story.tick(35)
    story.control("hold/h", {"match": {"all": True}, "end": when(35), "catch_up": "all"}, at=35)
    story.tick(45)
    assert sorted(story.dues()) == [10, 20, 30, 40]
    assert story.shard.book.holds["h"].ended
    story.control("hold/h", None)
    assert story.shard.book.holds == {}
    assert story.commit().holds == {"h": None}
    assert b"hold/h" not in story.state


def test_releasing_a_hold_gives_a_paused_job_back_exactly_as_it_was() -> None:
    story = ten(Story())
    story.control("pause/a", {"paused": True}, at=5)
    story.tick(15)
    before = story.states()
    story.control("hold/h", {"match": {"all": True}}, at=15)
    story.tick(35)
    story.control("hold/h", None, at=35)
    story.tick(45)
    assert story.states() == before
    story.control("pause/a", {"paused": False, "catch_up": "all"}, at=45)
    story.tick(55)
    assert sorted(story.dues()) == [10, 20, 30, 40, 50]


def test_a_hold_that_comes_over_a_job_later_claims_nothing_from_before() -> None:
    story = ten(Story(), tags=["b"])
    story.control("hold/h", {"match": {"tags": ["a"]}}, at=0)
    story.tick(35)
    story.control("hold/h", {"match": {"tags": ["a", "b"]}}, at=35)
    story.tick(65)
    story.rebuild()
    story.control("hold/h", {"match": {"tags": ["a", "b"]}, "end": when(65), "catch_up": "all"}, at=65)
    story.tick(75)
    assert sorted(story.dues()) == [10, 20, 30, 40, 50, 60, 70]
    assert story.dropped == {}


def test_the_late_hold_catches_a_shard_that_draws_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(book: Book, job: Job, *line: int) -> None:
        pass

    monkeypatch.setattr(settle, "draw_line", nothing)
    with pytest.raises(AssertionError):
        test_a_hold_that_comes_over_a_job_later_claims_nothing_from_before()


def test_a_hold_over_a_hundred_thousand_jobs_writes_none_of_them() -> None:
    story = Story()
    spec = parse_spec("j", every(10), "kadence")
    for index in range(100_000):
        story.shard.step(Change(index, START, "job", f"j{index}", PutJob(spec)), START)
    story.shard.take()
    story.log = [(START, b"", b"")] * 100_000
    story.control("hold/h", {"match": {"all": True}}, at=1)
    applied = story.commit()
    assert (list(applied.jobs), len(applied.happenings), list(applied.holds)) == ([], 1, ["h"])
    story.tick(9)
    story.control("hold/h", None, at=9)
    released = story.commit()
    assert (list(released.jobs), len(released.happenings), list(released.holds)) == ([], 1, ["h"])
    story.tick(10)
    assert len(story.fires) == 100_000


def test_holds_are_limited_in_number() -> None:
    story = Story()
    for index in range(1_001):
        story.control(f"hold/h{index}", {"match": {"names": [f"{index}"]}}, at=1)
    story.commit()
    assert len(story.shard.book.holds) == 1_000
    assert [offset for offset, _ in story.refused] == [1_000]


@pytest.mark.parametrize("takeover", [33, 36])
def test_a_window_extended_while_nobody_owned_the_shard_keeps_all_that_it_kept(takeover: float) -> None:
    story = Story()
    story.control("job/a", every(5), at=0)
    story.control("hold/m", {"match": {"all": True}, "start": when(8), "end": when(34)}, at=0)
    story.tick(25)
    story.write("hold/m", {"match": {"all": True}, "start": when(8), "end": when(60)}, 30)
    story.tick(25)
    story.commit()
    story.now = takeover
    story.rebuild(forget=True)
    story.apply()
    story.tick(takeover)
    story.tick(70)
    assert story.dues() == [5, 60, 65, 70]
    assert story.dropped == {"a": 10}


def transitions(story: Story) -> Counter[tuple[str, str]]:
    return sum((decision.transitions for decision in story.decisions), Counter())


def test_only_what_people_see_change_is_a_transition() -> None:
    story = ten(ten(Story()), "b")
    story.control("hold/h", {"match": {"all": True}}, at=1)
    story.control("hold/i", {"match": {"names": ["a"]}}, at=1)
    story.control("pause/b", {"paused": True}, at=2)
    story.control("hold/h", None, at=3)
    story.control("pause/b", {"paused": False}, at=4)
    story.control("hold/i", None, at=5)
    story.commit()
    assert transitions(story) == {
        ("running", "created"): 2,
        ("paused", "hold"): 2,
        ("running", "resume"): 1,
        ("running", "release"): 1,
    }
    seen = [(it.kind, it.before, it.after) for it in story.happenings if it.name == "b" and it.kind != "job.created"]
    assert seen == [
        ("job.paused", State.PAUSED, State.PAUSED),
        ("job.resumed", State.PAUSED, State.RUNNING),
    ]


def test_nothing_is_resumed_where_a_job_is_deleted_with_its_pause() -> None:
    story = ten(Story())
    story.control("pause/a", {"paused": True}, at=1)
    story.control("job/a", None, at=2)
    story.control("pause/a", None, at=2)
    story.commit()
    assert [it.kind for it in story.happenings] == ["job.created", "job.paused", "job.deleted"]
    assert transitions(story)["running", "resume"] == 0


def test_a_pause_that_precedes_its_job_keeps_its_reason() -> None:
    story = Story()
    story.control("pause/a", {"paused": True, "reason": "not yet", "by": "ann"}, at=1)
    ten(story, reason="first version", by="bob")
    assert (story.job().state, story.job().reason, story.job().by) == (State.PAUSED, "not yet", "ann")


ALL = {"match": {"all": True}}


@pytest.mark.parametrize("owner", ["lives", "dies"])
@pytest.mark.parametrize(
    ("first", "second", "third", "run"),
    [
        (("hold/h", ALL), ("hold/i", {**ALL, "end": when(40), "catch_up": "skip"}), ("hold/h", None), True),
        (
            ("hold/h", ALL),
            ("pause/a", {"paused": True, "until": when(40)}),
            ("hold/h", {**ALL, "end": when(50)}),
            False,
        ),
    ],
)
def test_what_ended_by_itself_before_a_record_did_so_before_it_for_every_owner(
    first: tuple[str, object], second: tuple[str, object], third: tuple[str, object], owner: str, *, run: bool
) -> None:
    """What two of them keep is decided by the last to end, also where nobody looked meanwhile."""
    story = ten(Story(), catch_up={**EVERYTHING, "after_pause": "all" if run else "skip"})
    story.control(*first, at=1)
    story.control(*second, at=2)
    story.tick(5)
    for moment in range(6, 51) if owner == "lives" else ():
        story.tick(moment)
    story.now = 60
    story.write(*third, at=50)
    if owner == "dies":
        story.rebuild()
    story.apply()
    story.tick(60)
    assert sorted(story.dues()) == ([10, 20, 30, 40, 50, 60] if run else [50, 60])


@pytest.mark.parametrize("late", [0, 7])
def test_a_hold_rewritten_with_a_later_start_keeps_its_jobs_all_the_while(late: float) -> None:
    story = Story()
    story.control("job/a", every(5), at=1)
    story.tick(5)
    story.control("hold/h", ALL, at=6)
    story.tick(30 + late)
    story.control("hold/h", {**ALL, "start": when(20)}, at=30)
    story.tick(50)
    assert story.dues() == [5]
    assert story.dropped == {"a": 2}, "what the new window leaves out is given back"


@pytest.mark.parametrize("owner", ["lives", "dies"])
def test_a_job_that_comes_under_a_hold_by_its_tags_keeps_what_was_due_before(owner: str) -> None:
    story = Story()
    story.control("job/a", every(5, catch_up=EVERYTHING), at=1)
    story.tick(17)
    story.write("hold/i", {"match": {"tags": ["x"]}}, at=18)
    story.write("job/a", every(5, catch_up=EVERYTHING, tags=["x"]), at=23)
    if owner == "lives":
        story.tick(23)
    else:
        story.now = 24
        story.rebuild()
    story.apply()
    story.tick(26)
    story.control("hold/i", None, at=26)
    story.tick(30)
    assert sorted(story.dues()) == [5, 10, 15, 20, 30]
    assert story.dropped == {"a": 1}


def test_a_hold_that_comes_back_over_a_job_claims_nothing_again_after_its_owner_died() -> None:
    story = Story()
    story.tick(19)
    story.control("job/a", every(5, catch_up={**EVERYTHING, "after_pause": "all"}))
    story.tick(23)
    story.control("hold/h", ALL)
    story.tick(25)
    story.control("hold/h", {"match": {"names": ["z"]}})
    story.control("hold/h", ALL)
    story.tick(25)
    story.rebuild()
    story.tick(26)
    story.control("hold/h", None)
    story.tick(31)
    assert story.dues() == [20, 25, 30]


def test_a_hold_written_again_counts_only_the_jobs_that_it_newly_stops_or_frees() -> None:
    story = ten(ten(ten(Story()), "b"), "c", tags=["x"])
    story.control("hold/h", ALL, at=1)
    story.control("hold/h", {"match": {"names": ["a"]}}, at=2)
    story.control("hold/h", {"match": {"names": ["a", "b"]}, "end": when(60)}, at=3)
    story.control("hold/t", {"match": {"tags": ["x"]}}, at=4)
    story.control("job/c", every(10), at=5)
    story.control("job/c", every(10, tags=["x"]), at=6)
    story.control("hold/h", {"match": {"names": ["a", "b"]}, "end": when(7), "catch_up": "all"}, at=7)
    story.commit()
    moved = transitions(story)
    assert moved == {
        ("running", "created"): 3,
        ("paused", "hold"): 3 + 1 + 1 + 1,
        ("running", "release"): 2 + 1 + 2,
    }
    tagged = [(it.before, it.after) for it in story.said("job.updated", "c")]
    assert tagged == [(State.PAUSED, State.RUNNING), (State.RUNNING, State.PAUSED)]
    assert story.said("hold.released", "h")[-1].offset == 9
