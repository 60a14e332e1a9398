from __future__ import annotations

import pytest

from kadence.domain.job import State
from tests.domain.story import Story, every, when


def breaking(failures: int = 3, **fields: object) -> Story:
    story = Story()
    story.control("job/a", every(10, breaker={"failures": failures}, **fields), at=0)
    for second in (15, 25, 35, 45, 55, 65):
        story.tick(second)
    assert story.dues() == [10, 20, 30, 40, 50, 60]
    return story


def run(second: float) -> str:
    return f"a@{when(second)}"


def test_so_many_failed_runs_take_a_job_out_of_service() -> None:
    story = breaking()
    for second in (10, 20):
        story.outcome(run(second), "failed", error="E: no")
    assert story.job().state is State.RUNNING
    story.outcome(run(30), "failed", error="E: really no")
    assert story.job().state is State.ERRORED
    assert story.job().reason == "E: really no"
    story.tick(85)
    assert story.dues()[-1] == 60
    assert [said.reason for said in story.said("job.errored")] == ["E: really no"]


def test_a_run_joins_the_streak_once() -> None:
    story = breaking()
    for _ in range(5):
        story.outcome(run(10), "failed")
    story.outcome(run(20), "failed")
    story.outcome(f"a@{when(20).replace('Z', '+00:00')}", "failed")
    assert story.job().state is State.RUNNING


def test_a_success_takes_out_what_is_not_due_after_it_in_whatever_order_they_arrive() -> None:
    story = breaking()
    story.outcome(run(30), "failed")
    story.outcome(run(10), "failed")
    story.outcome(run(20), "succeeded")
    assert [due for due, _ in story.job().streak.failed] == [run(30)]  # type: ignore[union-attr]
    story.outcome(run(40), "succeeded")
    assert story.job().streak is None


def test_triggered_runs_and_other_statuses_do_not_count() -> None:
    story = breaking(failures=1)
    for second, status in ((20, "cancelled"), (30, "expired"), (40, "snoozed"), (50, "started")):
        story.outcome(run(second), status)
    story.outcome("a!manual", "failed")
    story.outcome(f"a@{when(10)}!again", "failed")
    story.outcome("a@nonsense", "failed")
    story.outcome(f"b@{when(10)}", "failed")
    assert story.job().state is State.RUNNING
    story.outcome(run(10), "failed")
    assert story.job().state is State.ERRORED


def test_without_a_breaker_failures_are_shown_and_change_nothing() -> None:
    story = breaking(failures=0)
    for second in range(10, 60, 10):
        story.outcome(run(second), "failed")
    assert story.job().state is State.RUNNING
    assert [due for due, _ in story.job().streak.failed] == [run(second) for second in range(10, 60, 10)]  # type: ignore[union-attr]
    story.tick(75)
    assert story.dues()[-1] == 70


def test_a_resume_closes_the_breaker_and_runs_due_before_it_count_no_more() -> None:
    story = breaking(failures=2)
    story.outcome(run(10), "failed")
    story.outcome(run(20), "failed")
    story.tick(85)
    story.rebuild()
    assert story.job().state is State.ERRORED
    story.control("pause/a", {"paused": False}, at=85)
    assert story.job().state is State.RUNNING
    for second in (30, 40, 50):
        story.outcome(run(second), "failed")
    story.tick(105)
    assert story.job().state is State.RUNNING
    assert story.dues()[-2:] == [90, 100]
    assert story.dropped == {"a": 2}
    story.outcome(run(90), "failed")
    story.outcome(run(100), "failed")
    assert story.job().state is State.ERRORED


def test_a_tombstone_under_the_pause_key_does_not_close_the_breaker() -> None:
    story = breaking(failures=1)
    story.control("pause/a", {"paused": True})
    story.outcome(run(10), "failed")
    story.control("pause/a", None)
    assert story.job().state is State.ERRORED


def test_errored_shows_over_paused_and_both_stay_readable() -> None:
    story = breaking(failures=1)
    story.control("pause/a", {"paused": True, "reason": "by hand"})
    story.outcome(run(10), "failed", error="E: broke")
    job = story.job()
    assert (job.state, job.reason) == (State.ERRORED, "E: broke")
    assert job.pause is not None
    assert (job.pause.active, job.pause.reason) == (True, "by hand")
    story.rebuild()
    assert story.job().state is State.ERRORED
    story.control("pause/a", {"paused": False})
    assert story.job().state is State.RUNNING


def test_a_deleted_job_leaves_no_failures_behind() -> None:
    story = breaking(failures=2)
    story.outcome(run(10), "failed")
    story.control("job/a", None)
    story.control("job/a", every(10, breaker={"failures": 2}))
    story.outcome(run(20), "failed")
    story.outcome(run(30), "failed")
    assert story.job().state is State.RUNNING


@pytest.mark.parametrize("die", [False, True])
def test_a_target_that_cannot_be_written_takes_its_jobs_out_of_service_and_they_come_back(*, die: bool) -> None:
    story = Story()
    story.control("job/a", every(10, target={"topic": "orders"}, catch_up={"after_pause": "all"}), at=0)
    story.control("job/b", every(10), at=0)
    story.tick(15)
    story.target("orders", "does not exist")
    if die:
        story.rebuild()
    assert (story.job().state, story.job().reason) == (State.ERRORED, "target orders: does not exist")
    story.tick(35)
    story.control("trigger/a/one", {})
    assert "does not exist" in story.commit().refusals[0].error
    if die:
        story.rebuild()
    story.target("orders", None)
    story.tick(45)
    assert story.job().state is State.RUNNING
    assert sorted(story.dues()) == [10, 20, 30, 40]
    assert story.dues("b") == [10, 20, 30, 40]
    assert len(story.said("job.recovered")) == 1


def test_a_job_whose_target_is_lost_already_is_errored_from_the_start_and_healed_by_an_edit() -> None:
    story = Story()
    story.target("orders", "may not be written")
    story.control("job/a", every(10, target={"topic": "orders"}), at=0)
    assert story.job().state is State.ERRORED
    story.tick(15)
    story.control("job/a", every(10), at=15)
    story.tick(25)
    assert story.job().state is State.RUNNING
    assert story.dues() == [20]


def test_a_deletion_of_an_errored_job_recovers_and_fires_nothing() -> None:
    story = Story()
    story.control("job/a", every(10, target={"topic": "orders"}, catch_up={"after_pause": "all"}), at=0)
    story.target("orders", "does not exist")
    story.tick(35)
    story.control("job/a", None)
    decision = story.commit()
    assert decision.fires == []
    assert [said.kind for said in decision.happenings] == ["job.dropped", "job.deleted"]
    assert story.dropped == {"a": 3}


@pytest.mark.parametrize("problem", [None, "also gone"])
def test_another_target_and_schedule_read_late_lose_nothing(problem: str | None) -> None:
    catch_up = {"policy": "all", "after_pause": "all"}
    story = Story()
    story.target("orders", "gone")
    story.target("bills", problem)
    story.control("job/a", every(60, catch_up=catch_up, target={"topic": "orders"}), at=0)
    story.tick(19)
    story.write("job/a", every(5, catch_up=catch_up, target={"topic": "bills"}), 7.5)
    story.apply()
    story.tick(19)
    if problem is not None:
        assert (story.dues(), story.job().reason) == ([], "target bills: also gone")
        story.target("bills", None)
    story.tick(31)
    assert sorted(story.dues()) == [10, 15, 20, 25, 30]
