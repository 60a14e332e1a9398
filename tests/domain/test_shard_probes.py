"""An open breaker is probed: one run of one attempt, whose outcome alone decides. A sentence per story."""

from __future__ import annotations

import pytest

from kadence.domain.duration import END_INSTANT
from kadence.domain.job import State
from kadence.domain.spec import Breaker
from tests.domain.runs_story import (
    DAY,
    WAYS,
    again,
    breaker,
    details,
    errored,
    fail_all_attempts,
    job_a,
    probe,
    probes,
    run,
    second,
)
from tests.domain.story import Story, every, when


@pytest.mark.parametrize("die", [False, True])
def test_a_probe_that_succeeds_brings_the_job_back(*, die: bool) -> None:
    story = errored(probe_after="10s")
    if die:
        story.rebuild()
    story.tick(24.999)
    assert probes(story) == []
    story.tick(25)
    assert probes(story) == [probe(25)]
    assert story.causes[-1] == "probe"
    assert story.job().state is State.ERRORED
    assert len(story.said("job.probing")) == 1
    if die:
        story.rebuild()
    story.tick(45)
    assert story.fires[-1] == probe(25)
    story.outcome(probe(25), "succeeded")
    story.tick(50)
    assert story.job().state is State.RUNNING
    assert story.fires[-1] == run(50)
    assert story.dropped == {"a": 3}
    assert [said.reason for said in story.said("job.recovered")] == ["a probe succeeded"]
    assert breaker(story) == {}


def test_each_probe_that_fails_multiplies_the_wait_up_to_the_longest() -> None:
    story = errored(probe_after="10s", factor=3.0, max_probe_after="60s")
    waits = []
    for number in range(5):
        due = second(breaker(story)["probe_at"])
        waits.append(due - story.now)
        story.tick(due)
        story.outcome(probe(due), "failed", error=f"E: {number}")
        story.rebuild()
        assert (story.job().state, story.job().reason) == (State.ERRORED, f"E: {number}")
    assert waits == [10, 30, 60, 60, 60]
    assert breaker(story)["probes"] == 5
    assert breaker(story)["failed"] == [run(10)]
    assert len(story.said("job.errored")) == 1


def test_a_probe_has_one_attempt_and_times_out_as_any_run() -> None:
    story = job_a(breaker={"failures": 1, "probe_after": "10s"}, retry={"attempts": 3, "delay": "1s"}, timeout="5s")
    fail_all_attempts(story, run(10), 3)
    due = second(breaker(story)["probe_at"])
    story.tick(due)
    story.outcome(probe(due), "started")
    story.tick(due + 5)
    assert again(story, probe(due)) == []
    assert story.job().reason == "TimedOut: no outcome within 5s of its start"
    assert second(breaker(story)["probe_at"]) == pytest.approx(due + 5 + 20)


@pytest.mark.parametrize("way", WAYS)
def test_a_probe_waits_for_a_pause_or_hold(way: str) -> None:
    story = errored(probe_after="10s")
    key, keep, lift = WAYS[way]
    story.control(key, keep)
    story.tick(40)
    assert probes(story) == []
    story.rebuild()
    story.control(key, lift)
    story.tick(41)
    assert probes(story) == [probe(25)]


def test_a_probe_waits_for_the_target() -> None:
    story = Story()
    breaker_ = {"failures": 1, "probe_after": "10s"}
    story.control("job/a", every(10, breaker=breaker_, target={"topic": "orders"}), at=0)
    story.tick(10)
    story.outcome(run(10), "failed")
    story.target("orders", "does not exist")
    story.tick(40)
    assert probes(story) == []
    story.target("orders", None)
    assert story.job().state is State.ERRORED
    story.tick(41)
    assert probes(story) == [probe(20)]


def test_a_probe_of_one_at_a_time_waits_for_the_run_before_it_until_that_ends_or_expires() -> None:
    for status in ("succeeded", None):
        story = job_a(overlap="skip", breaker={"failures": 1, "probe_after": "10s"}, expires_after="60s")
        story.outcome(run(10), "failed")
        story.control("trigger/a/one", {})
        story.tick(60)
        assert probes(story) == []
        if status is not None:
            story.outcome("a!one", status)
        story.tick(70)
        assert probes(story) == [probe(20)]


@pytest.mark.parametrize("status", ["failed", "snoozed"])
def test_a_probe_of_one_at_a_time_does_not_wait_for_a_run_that_waits_itself(status: str) -> None:
    story = job_a(overlap="skip", breaker={"failures": 1, "probe_after": "10s"}, retry={"attempts": 2, "delay": "1h"})
    story.control("trigger/a/one", {})
    story.outcome(run(10), "failed")
    story.control("job/a", every(10, overlap="skip", breaker={"failures": 1, "probe_after": "10s"}))
    story.tick(4_600)
    assert story.job().state is State.ERRORED
    story.control(
        "job/a", every(10, overlap="skip", breaker={"failures": 1, "probe_after": "10s"}, retry={"attempts": 2})
    )
    story.tick(4_700)
    assert probes(story) == []
    story.outcome("a!one", status, until=9_000)
    story.tick(4_700)
    assert len(probes(story)) == 1


def test_only_the_outcome_of_the_probe_counts_while_the_job_is_errored() -> None:
    story = job_a(breaker={"failures": 1, "probe_after": "30s"})
    story.tick(30)
    story.outcome(run(30), "failed")
    story.outcome(run(20), "failed")
    story.outcome(run(10), "succeeded")
    assert story.job().state is State.ERRORED
    assert breaker(story)["failed"] == [run(30)]
    story.tick(60)
    assert probes(story) == [probe(60)]


def test_a_resume_while_a_probe_is_under_way_makes_its_outcome_meaningless() -> None:
    story = errored(probe_after="10s")
    story.tick(25)
    story.control("pause/a", {"paused": False})
    assert story.job().state is State.RUNNING
    story.rebuild()
    story.outcome(probe(25), "failed")
    story.tick(30)
    assert story.job().state is State.RUNNING
    assert story.fires[-1] == run(30)
    story.outcome(run(30), "failed")
    assert breaker(story)["probe_at"] == when(40)


def test_the_outcome_of_a_probe_from_before_a_resume_does_not_close_the_breaker_that_opened_since() -> None:
    story = errored(probe_after="10s")
    story.tick(25)
    story.control("pause/a", {"paused": False})
    story.tick(30)
    story.outcome(run(30), "failed")
    story.outcome(probe(25), "succeeded")
    assert story.job().state is State.ERRORED
    story.tick(40)
    story.outcome(probe(40), "succeeded")
    assert story.job().state is State.RUNNING


@pytest.mark.parametrize("status", ["expired", "cancelled"])
def test_a_probe_that_was_not_carried_out_is_made_again_after_the_same_wait(status: str) -> None:
    story = errored(probe_after="10s", factor=3.0)
    story.tick(25)
    story.outcome(probe(25), status)
    assert (breaker(story)["probe_at"], breaker(story).get("probes")) == (when(35), None)
    assert story.job().reason == "E: first"
    story.tick(35)
    assert probes(story) == [probe(25), probe(35)]


def test_a_probe_that_is_lost_is_made_again() -> None:
    story = errored(probe_after="10s")
    story.tick(25)
    story.tick(25 + DAY)
    assert [detail["run"] for detail in details(story, "job.run_lost")] == [probe(25)]
    story.tick(35 + DAY)
    assert probes(story) == [probe(25), probe(35 + DAY)]


def test_a_snoozed_probe_stays_the_probe() -> None:
    story = errored(probe_after="10s")
    story.tick(25)
    story.outcome(probe(25), "snoozed", until=40)
    story.rebuild()
    story.tick(40)
    assert story.fires[-1] == f"{probe(25)}#2"
    assert story.causes[-1] == "probe"
    story.outcome(f"{probe(25)}#2", "succeeded")
    assert story.job().state is State.RUNNING


def test_an_edit_says_anew_when_an_open_breaker_is_probed_and_one_under_way_counts_as_before() -> None:
    story = errored()
    assert "probe_at" not in breaker(story)
    story.control("job/a", every(10, breaker={"failures": 1, "probe_after": "20s"}))
    assert breaker(story)["probe_at"] == when(35)
    story.control("job/a", every(10, breaker={"failures": 1}))
    assert "probe_at" not in breaker(story)
    story.control("job/a", every(10, breaker={"failures": 1, "probe_after": "5s"}))
    story.tick(20)
    story.control("job/a", every(10, breaker={"failures": 1, "probe_after": "1h"}))
    story.outcome(probe(20), "succeeded")
    assert story.job().state is State.RUNNING


def test_a_deleted_job_s_breaker_is_gone_and_so_is_its_probe() -> None:
    story = errored(probe_after="10s")
    story.tick(25)
    story.control("job/a", None)
    story.control("job/a", every(10, breaker={"failures": 1, "probe_after": "10s"}))
    assert story.job().state is State.RUNNING
    story.outcome(probe(25), "failed")
    story.tick(30)
    assert story.fires[-1] == run(30)
    assert breaker(story) == {}


def test_an_errored_job_fires_triggers_and_they_do_not_count() -> None:
    story = errored(probe_after="1h")
    story.control("trigger/a/one", {})
    story.commit()
    assert story.triggers() == ["one"]
    story.outcome("a!one", "succeeded")
    assert story.job().state is State.ERRORED


# --- a breaker that is off ---------------------------------------------------------------------------------


def test_where_the_breaker_is_off_the_newest_hundred_failures_in_a_row_are_shown() -> None:
    story = job_a()
    story.tick(1_200)
    for now in range(10, 1_130, 10):
        story.outcome(run(now), "failed", error=f"E: {now}")
    assert breaker(story)["failed"] == [run(now) for now in range(130, 1_130, 10)]
    assert breaker(story)["last_error"] == "E: 1120"
    story.rebuild()
    assert story.job().state is State.RUNNING
    story.outcome(run(1_130), "succeeded")
    assert breaker(story) == {}


def test_a_breaker_that_is_switched_on_counts_what_was_shown_from_the_next_failure_on() -> None:
    story = job_a()
    story.tick(50)
    for now in (10, 20, 30):
        story.outcome(run(now), "failed")
    story.control("job/a", every(10, breaker={"failures": 2}))
    assert story.job().state is State.RUNNING
    story.outcome(run(40), "failed")
    assert story.job().state is State.ERRORED
    assert breaker(story)["failed"] == [run(30), run(40)]


def test_waits_stay_within_their_most_however_often_they_grow_and_within_what_can_be_written() -> None:
    breaker = Breaker(failures=1, probe_after=1_000, factor=2.0, max_probe_after=60_000)
    assert [breaker.wait(failed) for failed in (0, 3, 10, 2_000, 10**9)] == [1_000, 8_000, 60_000, 60_000, 60_000]
    story = Story()
    far = "65000d"
    spec = every(
        10,
        breaker={"failures": 1, "probe_after": far, "max_probe_after": far},
        expires_after=far,
        timeout=far,
        retry={"attempts": 2, "delay": far, "max_delay": far},
        overlap="skip",
    )
    story.control("job/a", spec, at=0)
    story.tick(11)
    story.outcome(f"a@{when(10)}", "failed", at=12)
    story.commit()
    story.rebuild()
    assert story.job().runs[f"a@{when(10)}"].next_at == END_INSTANT - 1
