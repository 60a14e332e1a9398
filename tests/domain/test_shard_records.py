from __future__ import annotations

import pytest

from kadence.domain.job import State
from kadence.wire import control
from tests.domain.story import Story, every, when


def refusals(story: Story) -> list[str]:
    story.commit()
    return [error for _, error in story.refused]


def test_a_new_jobs_first_due_time_is_the_first_after_its_record() -> None:
    story = Story()
    story.tick(25)
    story.control("job/a", every(10), at=20)
    story.tick(35)
    assert story.dues() == [30]


def test_what_the_cursor_has_passed_since_the_record_is_decided_at_once() -> None:
    story = Story()
    story.tick(45)
    story.control("job/a", every(10), at=19)
    assert [fire.time for fire in story.commit().fires] != []
    assert story.dues() == [20, 30, 40]


# (policy, window, grace) and what is run after an outage from 15 s to 95 s, every 10 s
CATCH_UP = [
    ("skip", None, "5s", [90, 100], 7),
    ("latest", None, "5s", [80, 90, 100], 6),
    ("all", None, "5s", [20, 30, 40, 50, 60, 70, 80, 90, 100], 0),
    ("skip", None, "1h", [20, 30, 40, 50, 60, 70, 80, 90, 100], 0),
    ("skip", None, "0s", [100], 8),
    ("latest", None, "0s", [90, 100], 7),
    ("latest", "3s", "0s", [100], 8),
    ("latest", "12s", "0s", [90, 100], 7),
    ("all", "40s", "5s", [60, 70, 80, 90, 100], 4),
    ("all", "1ms", "5s", [90, 100], 7),
]


@pytest.mark.parametrize("die", [False, True])
@pytest.mark.parametrize(("policy", "window", "grace", "run", "missed"), CATCH_UP)
def test_catch_up_after_an_outage(
    policy: str, window: str | None, grace: str, run: list[int], missed: int, *, die: bool
) -> None:
    story = Story()
    story.control("job/a", every(10, catch_up={"policy": policy, "window": window, "grace": grace}), at=0)
    story.tick(10)
    story.tick(15)
    if die:
        story.rebuild()
    story.tick(95)
    story.tick(100)
    assert sorted(story.dues()) == [10, *run]
    assert story.missed.get("a", 0) == missed


def test_catching_up_does_not_delay_what_is_due_now() -> None:
    story = Story()
    story.control("job/a", every(1, catch_up={"policy": "all", "grace": "0s"}), at=0)
    story.control("job/b", every(1, catch_up={"policy": "skip"}), at=0)
    story.tick(1)
    story.tick(1000, limit=50, rounds=1)
    assert story.dues("b")[-1] == 1000
    story.tick(1000, limit=50)
    assert sorted(story.dues("a")) == list(range(1, 1001))


@pytest.mark.parametrize(
    ("at", "fires", "missed"), [(5, True, 0), (-20, True, 0), (-30, True, 0), (-31, False, 1), (-86_400, False, 1)]
)
def test_an_at_in_the_past_fires_within_its_grace_and_is_missed_beyond(at: int, missed: int, *, fires: bool) -> None:
    story = Story()
    story.tick(0.5)
    story.control("job/a", {"schedule": {"at": when(at)}}, at=0)
    story.tick(6)
    assert story.dues() == ([at] if fires else [])
    assert story.missed.get("a", 0) == missed
    assert story.job().state is State.FINISHED
    assert len(story.said("job.finished")) == 1


def test_a_job_without_due_times_left_is_finished_and_says_so_once() -> None:
    story = Story()
    story.control("job/a", every(10, end=when(25)), at=0)
    story.tick(30)
    story.rebuild()
    story.tick(60)
    assert story.dues() == [10, 20]
    assert story.job().state is State.FINISHED
    assert len(story.said("job.finished")) == 1
    story.control("job/a", every(10, end=when(75)))
    story.tick(80)
    assert story.dues() == [10, 20, 70]


def test_a_paused_job_is_finished_only_when_nothing_keeps_it_any_more() -> None:
    story = Story()
    story.control("job/a", {"schedule": {"at": when(10)}, "catch_up": {"after_pause": "latest"}}, at=0)
    story.control("pause/a", {"paused": True}, at=1)
    story.tick(20)
    story.rebuild()
    assert story.job().state is State.PAUSED
    story.control("pause/a", {"paused": False})
    story.tick(21)
    assert story.dues() == [10]
    assert story.job().state is State.FINISHED


# --- refusals --------------------------------------------------------------------------------------------


def test_a_bad_update_leaves_the_last_good_spec_in_force_and_over_every_rebuild() -> None:
    story = Story()
    story.control("job/a", every(10, payload="good"), at=0)
    offset = story.control("job/a", {"schedule": {"every": "10s"}, "payloud": 1}, at=1)
    story.control("job/a", b"\x00garbage", at=2)
    assert story.job().rejection is not None
    for second in (15, 25, 35):
        story.tick(second)
        story.rebuild()
    assert story.dues() == [10, 20, 30]
    assert set(story.values) == {b'"good"'}
    assert story.refused[0][0] == offset
    assert "did you mean 'payload'" in story.refused[0][1]
    assert len(story.refused) == 2, "what was rejected before is judged again silently"
    story.control("job/a", every(5, payload="better"))
    story.tick(45)
    assert story.job().rejection is None
    assert story.values[-1] == b'"better"'


def test_a_rejection_event_has_coordinates_error_and_the_first_bytes() -> None:
    story = Story()
    story.control("job/a", b"[" + b"x" * 5000, at=0)
    (said,) = story.commit().happenings
    assert (said.kind, said.name, said.offset) == ("record.rejected", "a", 0)
    assert "not JSON" in str(said.reason)
    assert len(str(said.detail["excerpt"])) == 1024
    story.control("nonsense", {}, at=0)
    (said,) = story.commit().happenings
    assert (said.name, said.offset) == ("", 1)


def test_if_offset_applies_a_record_only_on_top_of_the_one_it_was_written_for() -> None:
    story = Story()
    first = story.control("job/a", every(10, if_offset=-1), at=0)
    story.control("job/a", every(20, if_offset=-1), at=1)
    story.control("job/a", every(20, if_offset=first + 1), at=1)
    second = story.control("job/a", every(20, if_offset=first), at=1)
    assert story.job().spec_offset == second
    assert [error.partition(":")[0] for error in refusals(story)] == ["stale", "stale"]
    story.tick(25)
    assert story.dues() == [20]


@pytest.mark.parametrize("die", [False, True])
def test_if_offset_knows_every_record_under_a_pause_key(*, die: bool) -> None:
    story = Story()
    story.control("job/a", every(10), at=0)

    def wrote(value: dict[str, object] | None, good: int, bad: int) -> int:
        before = len(refusals(story))
        if value is not None:
            story.control("pause/a", {**value, "if_offset": bad}, at=1)
            assert len(refusals(story)) == before + 1
        if die:
            story.rebuild()
        offset = story.control("pause/a", None if value is None else {**value, "if_offset": good}, at=1)
        assert len(refusals(story)) == before + (value is not None)
        if die:
            story.rebuild()
        return offset

    resumed = wrote({"paused": False}, -1, 0)
    paused = wrote({"paused": True}, resumed, -1)
    resumed = wrote({"paused": False}, paused, -1)
    wrote(None, 0, 0)
    wrote({"paused": True}, -1, resumed)


def test_if_offset_knows_holds() -> None:
    story = Story()
    first = story.control("hold/h", {"match": {"all": True}, "if_offset": -1}, at=0)
    story.control("hold/h", {"match": {"all": True}, "if_offset": -1}, at=0)
    story.control("hold/h", {"match": {"tags": ["x"]}, "if_offset": first}, at=0)
    story.control("hold/h", None, at=0)
    story.control("hold/h", {"match": {"all": True}, "if_offset": -1}, at=0)
    assert len(refusals(story)) == 1


def test_garbage_and_a_stale_record_on_top_of_a_good_one_not_yet_applied() -> None:
    story = Story()
    story.control("job/a", every(10), at=0)
    story.tick(5)
    story.write("job/a", every(3, payload="good"), at=5)
    story.write("job/a", b"garbage", at=5)
    story.write("job/a", every(4, if_offset=0), at=5)
    story.rebuild()
    story.apply()
    story.tick(15)
    story.rebuild()
    story.tick(18)
    assert story.dues() == [6, 9, 12, 15, 18]


def test_an_older_revision_is_stale() -> None:
    story = Story()
    story.control("job/a", every(10, revision=7), at=0)
    story.control("job/a", every(20, revision=6), at=1)
    story.control("job/a", every(20), at=1)
    assert len(refusals(story)) == 2
    story.control("job/a", every(20, revision=7), at=1)
    story.control("job/a", None, at=1)
    story.control("job/a", every(20, revision=1), at=1)
    assert len(refusals(story)) == 2


def test_one_off_commands_act_once() -> None:
    story = Story()
    story.control("job/a", every(100, payload="own"), at=0)
    story.tick(1)
    story.control("trigger/a/one", {}, at=1)
    story.control("trigger/a/one", {}, at=1)
    story.rebuild()
    story.control("trigger/a/one", {}, at=1)
    story.control("trigger/a/two", {"payload": {"mine": None}}, at=1)
    story.commit()
    assert story.triggers() == ["one", "two"]
    assert story.values == [b'"own"', b'{"mine":null}']
    assert len(story.refused) == 2
    story.control("trigger/a/one", None, at=2)
    story.control("trigger/a/one", {}, at=2)
    story.commit()
    assert story.triggers() == ["one", "two", "one"]


def test_the_last_hundred_ids_are_remembered_and_those_whose_runs_are() -> None:
    story = Story()
    story.control("job/a", every(100), at=0)
    for index in range(150):
        story.control(f"trigger/a/{index}", {}, at=1)
    story.control("trigger/a/1", {}, at=1)
    assert len(refusals(story)) == 1
    assert len(story.job().ids) == 150
    for index in range(150):
        story.outcome(f"a!{index}", "succeeded", at=2)
    story.tick(3700)
    story.control("trigger/a/new", {}, at=3700)
    assert len(story.job().ids) == 100


@pytest.mark.parametrize("key", ["trigger/a/one", "skip/a/one", "backfill/a/one"])
def test_a_command_for_no_job_or_of_a_later_version_is_refused(key: str) -> None:
    story = Story()
    values = {"t": {}, "s": {"count": 1}, "b": {"start": when(0), "end": when(1)}}
    story.control(key, values[key[0]], at=1)
    assert len(refusals(story)) == 1
    assert story.fires == []


def test_a_key_that_is_absent_is_not_wanted() -> None:
    story = Story()
    story.control("job/a", every(10), at=0)
    story.control("job/b", every(10), at=0)
    story.control("pause/b", {"paused": True}, at=0)
    story.control("hold/h", {"match": {"names": ["c"]}}, at=0)
    story.control("job/c", every(10), at=0)
    story.tick(5)
    gone = {b"job/a", b"pause/b", b"hold/h"}
    story.log = [(at, b"job/c" if key in gone else key, value) for at, key, value in story.log]
    story.rebuild()
    story.tick(15)
    assert (story.dues("a"), story.dues("b"), story.dues("c")) == ([], [10], [10])
    assert {key for key in story.state if key != b"cursor"} == {b"job/b", b"job/c"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pause/a", {"paused": True}),
        ("pause/a", {"paused": True, "until": when(100)}),
        ("hold/h", {"match": {"all": True}}),
        ("job/a", {"schedule": {"at": when(2)}}),
    ],
)
def test_a_record_of_a_later_version_comes_into_force_with_a_worker_that_knows_it(
    key: str, value: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story()
    story.control("job/a", every(1), at=0)
    story.control("job/b", every(1), at=0)
    story.tick(2)
    story.control(key, {**value, "v": 2}, at=2)
    story.control("pause/c", {"paused": True, "v": 2}, at=2)
    story.tick(4)
    assert len(story.refused) == 2
    monkeypatch.setattr(control, "VERSION", 2)
    story.rebuild()
    story.control("job/c", every(1), at=4)
    story.tick(8)
    assert (story.dues("a"), story.dues("c")) == ([1, 2, 3, 4], [])
    assert story.dues("b") == ([1, 2, 3, 4] if key == "hold/h" else [1, 2, 3, 4, 5, 6, 7, 8])


def test_a_pause_that_is_over_does_not_come_back_with_the_next_owner() -> None:
    story = Story()
    story.control("pause/a", {"paused": True, "until": when(3)}, at=0)
    story.tick(5)
    story.control("job/a", every(1), at=5)
    story.tick(6)
    story.rebuild()
    story.tick(8)
    assert story.dues() == [6, 7, 8]
    assert len(story.said("job.paused")) == 1


def test_a_command_written_for_a_record_in_force_is_stale() -> None:
    story = Story()
    story.control("job/a", every(100), at=0)
    story.control("trigger/a/one", {"if_offset": 0}, at=1)
    story.control("trigger/a/one", {"if_offset": -1}, at=1)
    story.commit()
    assert (len(story.refused), story.triggers()) == (1, ["one"])
