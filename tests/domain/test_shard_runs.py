"""Runs: attempts and their delays, snoozes, timeouts, silence, one at a time, dead letters. A sentence per story."""

from __future__ import annotations

import json

import pytest

from kadence.domain.job import State
from tests.domain.runs_story import (
    DAY,
    HOUR,
    MIDNIGHT,
    WAYS,
    again,
    breaker,
    details,
    errored,
    fail_all_attempts,
    job_a,
    next_at,
    record,
    run,
)
from tests.domain.story import START, Story, every, when

# --- attempts ----------------------------------------------------------------------------------------------

RETRY = {"attempts": 4, "delay": "10s", "factor": 3.0, "max_delay": "60s"}


def test_a_failed_attempt_is_fired_again_until_the_attempts_are_spent() -> None:
    story = job_a(HOUR / 2, retry=RETRY)
    story.tick(HOUR / 2)
    fail_all_attempts(story, run(HOUR / 2), 4)
    story.tick(HOUR - 1)
    assert story.fires == [run(HOUR / 2), *(f"{run(HOUR / 2)}#{n}" for n in (2, 3, 4))]
    assert story.causes == ["schedule", "retry", "retry", "retry"]
    assert [fire.attempt for decision in story.decisions for fire in decision.fires] == [1, 2, 3, 4]
    assert [detail["attempts"] for detail in details(story, "job.run_failed")] == [4]


def test_the_waits_grow_by_the_factor_up_to_the_longest_and_differ_by_a_tenth() -> None:
    waits: dict[int, set[float]] = {1: set(), 2: set(), 3: set()}
    for number in range(40):
        name = f"job-{number}"
        story = Story()
        story.control(f"job/{name}", every(HOUR, retry=RETRY), at=0)
        story.tick(HOUR)
        for attempt, found in waits.items():
            story.outcome(run(HOUR, name) if attempt == 1 else f"{run(HOUR, name)}#{attempt}", "failed")
            due = next_at(story, run(HOUR, name))
            found.add(due - story.now)
            story.tick(due)
    for attempt, wait in ((1, 10), (2, 30), (3, 60)):
        assert all(0.9 * wait <= one <= 1.1 * wait for one in waits[attempt])
        assert len(waits[attempt]) > 30
        assert max(waits[attempt]) - min(waits[attempt]) > 0.12 * wait


@pytest.mark.parametrize("forget", [False, True])
def test_a_successor_waits_for_exactly_as_long(*, forget: bool) -> None:
    one, two = job_a(retry=RETRY), job_a(retry=RETRY)
    for story in (one, two):
        story.outcome(run(10), "failed")
    two.rebuild(forget=forget)
    two.hear()
    assert next_at(one, run(10)) == next_at(two, run(10))


def test_an_attempt_survives_its_worker_and_is_made_when_it_is_due_not_before() -> None:
    story = job_a(HOUR, retry=RETRY)
    story.tick(HOUR)
    story.outcome(run(HOUR), "failed", error="E: no")
    due = next_at(story, run(HOUR))
    story.rebuild()
    story.tick(due - 0.001)
    assert again(story, run(HOUR)) == []
    story.rebuild()
    story.tick(due)
    assert again(story, run(HOUR)) == [f"{run(HOUR)}#2"]
    story.rebuild()
    story.outcome(f"{run(HOUR)}#2", "succeeded")
    found = record(story, run(HOUR))
    assert found is not None
    assert (found["status"], found["attempt"], found["n"]) == ("succeeded", 2, 2)


def test_what_is_reported_twice_or_of_an_earlier_firing_changes_nothing() -> None:
    story = job_a(HOUR, retry=RETRY)
    story.tick(HOUR)
    story.outcome(run(HOUR), "failed")
    due = next_at(story, run(HOUR))
    for status in ("failed", "succeeded", "started", "snoozed", "expired"):
        story.outcome(run(HOUR), status)
    assert next_at(story, run(HOUR)) == due
    story.tick(due)
    before = record(story, run(HOUR))
    story.outcome(run(HOUR), "failed")
    story.outcome(f"{run(HOUR)}#3", "succeeded")
    assert record(story, run(HOUR)) == before


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("die", [False, True])
def test_a_retry_waits_for_a_pause_or_hold_and_comes_right_after(way: str, *, die: bool) -> None:
    story = job_a(HOUR, retry=RETRY)
    story.tick(HOUR)
    story.outcome(run(HOUR), "failed")
    key, keep, lift = WAYS[way]
    story.control(key, keep)
    story.tick(HOUR + 30)
    if die:
        story.rebuild()
    story.tick(HOUR + 60)
    assert again(story, run(HOUR)) == []
    story.control(key, lift)
    story.tick(HOUR + 60)
    assert again(story, run(HOUR)) == [f"{run(HOUR)}#2"]


def test_a_retry_waits_until_the_end_of_a_pause_that_ends_by_itself() -> None:
    story = job_a(HOUR, retry=RETRY)
    story.tick(HOUR)
    story.outcome(run(HOUR), "failed")
    story.control("pause/a", {"paused": True, "until": when(HOUR + 100)})
    story.tick(HOUR + 99)
    assert again(story, run(HOUR)) == []
    story.tick(HOUR + 100)
    assert again(story, run(HOUR)) == [f"{run(HOUR)}#2"]


def test_a_retry_waits_while_the_job_is_errored_and_comes_with_the_resume_but_does_not_count_then() -> None:
    story = job_a(retry={"attempts": 2, "delay": "30s"}, breaker={"failures": 1})
    story.tick(20)
    story.outcome(run(10), "failed")
    due = next_at(story, run(10))
    story.control("job/a", every(10, breaker={"failures": 1}))
    story.outcome(run(20), "failed")
    story.control("job/a", every(10, breaker={"failures": 1}, retry={"attempts": 2}))
    assert story.job().state is State.ERRORED
    story.tick(due + 20)
    assert again(story, run(10)) == []
    story.control("pause/a", {"paused": False})
    story.tick(due + 20)
    assert again(story, run(10)) == [f"{run(10)}#2"]
    story.outcome(f"{run(10)}#2", "failed")
    assert story.job().state is State.RUNNING


def test_a_retry_waits_for_the_target() -> None:
    story = Story()
    story.control("job/a", every(HOUR, retry=RETRY, target={"topic": "orders"}), at=0)
    story.tick(HOUR)
    story.outcome(run(HOUR), "failed")
    story.target("orders", "does not exist")
    story.tick(HOUR + 60)
    assert again(story, run(HOUR)) == []
    story.target("orders", None)
    story.tick(HOUR + 60)
    assert again(story, run(HOUR)) == [f"{run(HOUR)}#2"]


def test_an_edit_says_how_many_attempts_there_are_from_the_next_failure_on() -> None:
    story = job_a(HOUR, retry={"attempts": 2})
    story.tick(HOUR)
    story.outcome(run(HOUR), "failed")
    story.control("job/a", every(HOUR, retry={"attempts": 3, "delay": "1s"}))
    story.tick(HOUR + 15)
    story.outcome(f"{run(HOUR)}#2", "failed")
    assert next_at(story, run(HOUR)) - story.now < 3
    story.control("job/a", every(HOUR))
    story.rebuild()
    story.tick(HOUR + 20)
    assert again(story, run(HOUR)) == [f"{run(HOUR)}#2"]
    assert [detail["attempts"] for detail in details(story, "job.run_failed")] == [2]


def test_a_retry_is_fired_by_the_definition_of_then() -> None:
    story = job_a(HOUR, retry=RETRY, payload="old")
    story.tick(HOUR)
    story.outcome(run(HOUR), "failed")
    story.control("job/a", every(HOUR, retry=RETRY, payload="new"))
    story.tick(HOUR + 20)
    assert story.values == [b'"old"', b'"new"']


def test_a_deleted_job_fires_no_retry_and_an_outcome_of_its_runs_is_none_of_the_next_job_s() -> None:
    story = job_a(retry=RETRY, breaker={"failures": 1})
    story.outcome(run(10), "failed")
    story.control("job/a", None)
    assert record(story, run(10)) is None
    story.tick(25)
    story.control("job/a", every(10, retry=RETRY, breaker={"failures": 1}))
    story.tick(29)
    assert again(story, run(10)) == []
    story.outcome(run(10), "failed")
    story.outcome(f"{run(10)}#2", "failed")
    story.tick(200)
    assert again(story, run(10)) == []
    assert story.job().state is State.RUNNING
    story.outcome(run(30), "failed")
    assert next_at(story, run(30)) > 200


# --- snoozing, timeouts, silence ---------------------------------------------------------------------------


def snoozed(until: float | None) -> Story:
    story = job_a(DAY, retry={"attempts": 2, "delay": "5s"})
    story.tick(MIDNIGHT)
    story.outcome(run(MIDNIGHT), "snoozed", until=until)
    return story


@pytest.mark.parametrize(("until", "fires"), [(MIDNIGHT + 300, MIDNIGHT + 300), (None, MIDNIGHT + 5), (100, MIDNIGHT)])
def test_a_snoozed_run_is_fired_again_then_and_no_attempt_is_used_up(until: float | None, fires: float) -> None:
    story = snoozed(until)
    story.rebuild()
    if fires > MIDNIGHT:
        story.tick(fires - 0.001)
        assert again(story, run(MIDNIGHT)) == []
    story.tick(fires)
    assert again(story, run(MIDNIGHT)) == [f"{run(MIDNIGHT)}#2"]
    assert story.decisions[-1].fires[-1].attempt == 1
    story.outcome(f"{run(MIDNIGHT)}#2", "failed")
    assert details(story, "job.run_failed") == []
    story.tick(fires + 6)
    story.outcome(f"{run(MIDNIGHT)}#3", "failed")
    assert [detail["attempts"] for detail in details(story, "job.run_failed")] == [2]


def test_a_run_that_is_snoozed_for_weeks_is_not_lost() -> None:
    story = snoozed(until=15.5 * DAY)
    for day in range(2, 16):
        story.tick(day * DAY)
        story.rebuild()
    assert run(MIDNIGHT) not in [detail["run"] for detail in details(story, "job.run_lost")]
    story.tick(15.5 * DAY)
    assert again(story, run(MIDNIGHT)) == [f"{run(MIDNIGHT)}#2"]


def test_a_timeout_counts_from_the_start_and_not_from_the_firing() -> None:
    story = job_a(HOUR, timeout="60s", breaker={"failures": 1})
    story.tick(HOUR)
    story.tick(HOUR + 1_000)
    story.outcome(run(HOUR), "started")
    story.rebuild()
    story.tick(HOUR + 1_059.999)
    assert story.job().state is State.RUNNING
    story.tick(HOUR + 1_060)
    assert story.job().reason == "TimedOut: no outcome within 1m of its start"
    assert [detail["status"] for detail in details(story, "job.run_failed")] == ["timed_out"]
    story.outcome(run(HOUR), "succeeded")
    assert story.job().state is State.ERRORED


def test_a_second_start_does_not_prolong_a_timeout_and_the_next_attempt_has_its_own() -> None:
    story = job_a(HOUR, timeout="60s", retry={"attempts": 2, "delay": "10s"})
    story.tick(HOUR)
    story.outcome(run(HOUR), "started")
    story.tick(HOUR + 50)
    story.outcome(run(HOUR), "started")
    story.tick(HOUR + 60)
    story.tick(next_at(story, run(HOUR)))
    assert again(story, run(HOUR)) == [f"{run(HOUR)}#2"]
    story.tick(HOUR + 500)
    assert details(story, "job.run_failed") == []
    story.outcome(f"{run(HOUR)}#2", "started")
    story.tick(HOUR + 560)
    assert [detail["attempts"] for detail in details(story, "job.run_failed")] == [2]


@pytest.mark.parametrize(("timeout", "ends"), [("20s", True), ("100s", False), (None, False)])
def test_an_edit_of_the_timeout_is_for_runs_under_way_too(timeout: str | None, *, ends: bool) -> None:
    story = job_a(HOUR, timeout="60s")
    story.tick(HOUR)
    story.outcome(run(HOUR), "started")
    story.tick(HOUR + 30)
    story.control("job/a", every(HOUR, **({} if timeout is None else {"timeout": timeout})))
    story.tick(HOUR + 31)
    assert bool(details(story, "job.run_failed")) is ends
    story.tick(HOUR + 61)
    assert bool(details(story, "job.run_failed")) is ends
    story.tick(HOUR + 101)
    assert bool(details(story, "job.run_failed")) is (timeout is not None)


def test_waiting_in_a_queue_is_never_a_failure() -> None:
    story = job_a(60, timeout="5s", expires_after="30s", retry={"attempts": 2}, breaker={"failures": 1})
    story.tick(600)
    story.tick(HOUR)
    assert story.job().state is State.RUNNING
    assert [fired for fired in story.fires if "#" in fired] == []
    assert details(story, "job.run_failed") == []


@pytest.mark.parametrize("status", ["expired", "cancelled"])
def test_an_expired_or_cancelled_run_has_not_failed_and_is_not_made_again(status: str) -> None:
    story = job_a(HOUR, overlap="skip", retry={"attempts": 3}, breaker={"failures": 1})
    story.tick(HOUR)
    story.outcome(run(HOUR), status)
    story.tick(HOUR + 600)
    assert story.fires == [run(HOUR)]
    assert story.job().state is State.RUNNING
    assert story.job().streak is None
    assert story.letters == []


def test_a_run_of_which_nothing_is_heard_for_a_day_is_lost_which_is_no_failure() -> None:
    story = job_a(7 * DAY, overlap="skip", retry={"attempts": 3}, breaker={"failures": 1})
    first = 2 * DAY + MIDNIGHT  # weeks are counted from the epoch, a Thursday
    story.tick(first)
    assert story.fires == [run(first)]
    story.rebuild()
    story.tick(first + DAY - 0.001)
    assert details(story, "job.run_lost") == []
    story.tick(first + DAY)
    assert [detail["run"] for detail in details(story, "job.run_lost")] == [run(first)]
    assert story.job().state is State.RUNNING
    assert again(story, run(first)) == []


def test_a_late_outcome_within_the_hour_changes_nothing_and_the_record_is_gone_after_it() -> None:
    story = job_a(DAY, overlap="skip", breaker={"failures": 1})
    story.tick(MIDNIGHT)
    id_ = run(MIDNIGHT)
    assert story.fires == [id_]
    story.outcome(id_, "succeeded")
    story.tick(MIDNIGHT + HOUR - 1)
    story.rebuild()
    story.outcome(id_, "failed")
    assert story.job().state is State.RUNNING
    assert record(story, id_) is not None
    story.tick(MIDNIGHT + HOUR)
    assert record(story, id_) is None


def test_after_the_hour_an_outcome_of_a_later_firing_is_still_none() -> None:
    story = job_a(DAY, retry={"attempts": 2, "delay": "10s"}, breaker={"failures": 5})
    story.tick(MIDNIGHT)
    fail_all_attempts(story, run(MIDNIGHT), 2)
    story.tick(MIDNIGHT + 2 * HOUR)
    assert record(story, run(MIDNIGHT)) is None
    story.outcome(f"{run(MIDNIGHT)}#2", "failed")
    story.tick(MIDNIGHT + 3 * HOUR)
    assert len(details(story, "job.run_failed")) == 1
    assert breaker(story)["failed"] == [run(MIDNIGHT)]


# --- one at a time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("die", [False, True])
def test_due_times_during_a_run_are_left_out_and_told_as_one_range_when_it_ends(*, die: bool) -> None:
    story = job_a(overlap="skip")
    for now in (20, 25, 30, 40):
        story.tick(now)
        if die:
            story.rebuild()
    assert story.dues() == [10]
    assert story.said("job.dropped") == []
    story.outcome(run(10), "succeeded")
    story.tick(50)
    assert story.dues() == [10, 50]
    (said,) = story.said("job.dropped")
    assert said.reason == "overlap"
    assert said.detail == {"count": 3, "run": run(10), "first": when(20), "last": when(40)}


def test_a_run_that_waits_for_another_attempt_is_still_in_the_way() -> None:
    story = job_a(overlap="skip", retry={"attempts": 2, "delay": "25s"})
    story.outcome(run(10), "failed")
    story.tick(30)
    assert story.dues() == [10]
    story.tick(39)
    assert again(story, run(10)) == [f"{run(10)}#2"]
    story.outcome(f"{run(10)}#2", "failed")
    story.tick(40)
    assert story.fires[-1] == run(40)


def test_one_at_a_time_catches_up_one_after_the_other() -> None:
    story = job_a(overlap="skip", catch_up={"policy": "all", "grace": "0s"})
    story.outcome(run(10), "succeeded")
    story.tick(55.5)
    for due in (20, 30, 40, 50):
        assert story.fires[-1] == run(due)
        story.rebuild()
        story.tick(story.now + 0.5)
        assert story.fires[-1] == run(due)
        story.outcome(run(due), "succeeded")
        story.tick(story.now)
    assert story.dues() == [10, 20, 30, 40, 50]
    assert story.causes == ["schedule", *["catch_up"] * 4]
    assert story.dropped == {}


def test_a_firing_that_expired_before_anybody_began_is_not_in_the_way_any_more() -> None:
    story = job_a(overlap="skip", expires_after="25s")
    story.tick(20)
    story.tick(30)
    assert story.dues() == [10]
    story.tick(40)
    assert story.dues() == [10, 40]
    story.outcome(run(40), "started")
    story.tick(100)
    assert story.dues() == [10, 40]


def test_what_waited_for_a_pause_is_left_out_before_what_is_due_later() -> None:
    story = job_a(4, overlap="skip")
    assert story.dues() == [4]
    story.tick(18)
    story.control("pause/a", {"paused": True, "until": when(35)}, at=25)  # this worker's clock is behind
    story.tick(22)
    story.tick(36)
    story.outcome(run(4), "succeeded")
    assert [detail["count"] for detail in details(story, "job.dropped")] == [2, 6]
    assert details(story, "job.dropped")[-1] == {"count": 6, "run": run(4), "first": when(8), "last": when(36)}


def test_a_deleted_job_tells_what_was_left_out_for_its_run() -> None:
    story = job_a(overlap="skip")
    story.tick(30)
    story.control("job/a", None)
    story.commit()
    assert [(said.reason, said.detail["count"]) for said in story.said("job.dropped")] == [("overlap", 2)]


def test_triggers_always_fire() -> None:
    story = job_a(overlap="skip")
    for number in range(3):
        story.control(f"trigger/a/t{number}", {})
    story.control("pause/a", {"paused": True})
    story.control("trigger/a/paused", {})
    story.commit()
    assert story.triggers() == ["t0", "t1", "t2", "paused"]
    for id_ in (run(10), "a!t0", "a!t1", "a!t2"):
        story.outcome(id_, "succeeded")
    story.control("pause/a", {"paused": False})
    story.tick(20)
    assert story.dues() == [10]
    story.outcome("a!paused", "succeeded")
    story.tick(30)
    assert story.dues() == [10, 30]


@pytest.mark.parametrize("begun_by", ["trigger", "outcome"])
def test_of_more_than_a_thousand_open_runs_the_oldest_is_given_up(begun_by: str) -> None:
    story = job_a(1, timeout="7d")
    story.tick(2_000)
    for number in range(1_001):
        if begun_by == "trigger":
            story.control(f"trigger/a/t{number}", {"payload": number})
        else:
            story.outcome(run(500 + number), "started")
    story.commit()
    runs = [key for key in story.state if key.startswith(b"run/")]
    oldest = "a!t0" if begun_by == "trigger" else run(500)
    assert len(story.job().runs) == 1_000
    assert len(runs) == 1_001
    assert [detail["run"] for detail in details(story, "job.run_lost")] == [oldest]
    assert json.loads(story.state[f"run/{oldest}".encode()])["status"] == "lost"


# --- dead letters ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("own", "topic"), [({}, "kadence.dead_letters"), ({"topic": "letters"}, "letters")])
def test_a_run_whose_attempts_are_spent_becomes_a_dead_letter(own: dict[str, str], topic: str) -> None:
    story = job_a(HOUR, retry={"attempts": 2, "delay": "1s"}, dead_letters=own, payload={"n": 1})
    story.tick(HOUR)
    fail_all_attempts(story, run(HOUR), 2, error="ValueError: no")
    story.commit()
    (letter,) = story.letters
    assert (letter.topic, letter.status, letter.error.line) == (topic, "failed", "ValueError: no")
    assert (letter.fire.time, letter.fire.n, letter.fire.attempt, letter.fire.cause) == (
        START + 3_600_000,
        2,
        2,
        "retry",
    )
    assert letter.fire.payload is None
    assert letter.fire.spec.payload.data == b'{"n":1}'
    assert (details(story, "job.dead_lettered")) == [{"run": run(HOUR), "dead_letters": topic}]


def test_the_letter_of_a_trigger_has_its_own_payload_after_whatever_deaths() -> None:
    story = job_a(HOUR, retry={"attempts": 2, "delay": "1s"}, payload="spec's")
    story.control("trigger/a/one", {"payload": "own"})
    story.rebuild()
    story.outcome("a!one", "failed")
    story.rebuild()
    story.tick(20)
    assert story.values == [b'"own"', b'"own"']
    story.rebuild()
    story.outcome("a!one#2", "failed")
    story.commit()
    assert [(letter.fire.command, letter.fire.payload, letter.fire.attempt) for letter in story.letters] == [
        ("one", b'"own"', 2)
    ]


def test_a_letter_that_cannot_be_written_is_not_kept_and_the_event_says_so() -> None:
    story = job_a(dead_letters={"topic": "letters"})
    story.target("letters", "does not exist")
    story.outcome(run(10), "failed", error="E: no")
    story.commit()
    assert story.letters == []
    assert [detail["not_kept"] for detail in details(story, "job.run_failed")] == ["letters: does not exist"]
    assert story.job().state is State.RUNNING
    story.target("letters", None)
    story.tick(20)
    story.outcome(run(20), "failed")
    story.commit()
    assert [letter.topic for letter in story.letters] == ["letters"]


def test_probes_are_no_dead_letters() -> None:
    story = errored(probe_after="10s")
    story.tick(30)
    letters = len(story.letters)
    story.outcome(story.fires[-1], "failed")
    story.commit()
    assert len(story.letters) == letters
    assert len(details(story, "job.run_failed")) == 1


def test_an_id_is_not_used_again_while_its_run_is_remembered() -> None:
    story = Story()
    story.control("job/a", every(3600), at=0)
    for number in range(150):
        story.control(f"trigger/a/t{number}", {})
    story.tick(1)
    story.rebuild()
    for number in range(150):
        story.control(f"trigger/a/t{number}", {})
    story.tick(2)
    assert len(story.triggers()) == 150
    assert len(story.refused) == 150
