"""Time in a cluster in memory: what comes due runs at its instant, and nothing else happens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from kadence import App, Run, Snooze
from kadence.testing import ManualClock
from kadence.testing.shards import Shards

if TYPE_CHECKING:
    from kadence.testing import MemoryCluster

BERLIN = ZoneInfo("Europe/Berlin")


def test_a_manual_clock_stands_still_and_never_goes_back() -> None:
    clock = ManualClock("2026-11-23T08:59:00Z")
    assert clock.now == datetime(2026, 11, 23, 8, 59, tzinfo=UTC)
    before = clock.wall(), clock.monotonic()
    clock.advance("1m")
    clock.advance(1.5)
    clock.advance(timedelta(milliseconds=500))
    assert (clock.wall() - before[0], clock.monotonic() - before[1]) == (62_000, 62_000)
    clock.set(datetime(2026, 11, 23, 10, 30, tzinfo=BERLIN))
    assert clock.now == datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
    with pytest.raises(ValueError, match="does not go back to 2026-11-23T09:00:00Z"):
        clock.set("2026-11-23T09:00:00Z")
    with pytest.raises(ValueError, match="must not be negative"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="no time zone"):
        ManualClock(datetime(2026, 11, 23, 9))  # noqa: DTZ001  that is the mistake


def test_handlers_run_each_at_its_instant_and_in_order(kadence_cluster: type[MemoryCluster]) -> None:
    app = App("billing")
    ran: list[tuple[str, str]] = []

    @app.job("slow", every="30m")
    @app.job("fast", every="20m")
    def note(run: Run[object]) -> None:
        ran.append((run.job, f"{cluster.now:%H:%M}"))
        assert run.due == cluster.now

    cluster = kadence_cluster(app, start="2026-11-23T08:59:00Z")
    cluster.run_due()
    assert ran == []
    cluster.advance("1h")
    assert ran == [("fast", "09:00"), ("slow", "09:00"), ("fast", "09:20"), ("slow", "09:30"), ("fast", "09:40")]
    assert cluster.now == datetime(2026, 11, 23, 9, 59, tzinfo=UTC)
    assert [one.id for one in cluster.executions("slow")] == [
        "slow@2026-11-23T09:00:00Z",
        "slow@2026-11-23T09:30:00Z",
    ]
    assert {one.status for one in cluster.executions()} == {"succeeded"}


def test_a_daily_job_over_a_change_of_clocks(kadence_cluster: type[MemoryCluster]) -> None:
    app = App("billing")
    due: list[datetime] = []

    @app.job("nightly", cron="30 2 * * *", timezone="Europe/Berlin")
    def nightly(run: Run[object]) -> None:
        due.append(run.due.astimezone(BERLIN))

    spring = kadence_cluster(app, start="2026-03-27T12:00:00Z")
    spring.advance("3d")
    assert [f"{one:%d %H:%M %Z}" for one in due] == ["28 02:30 CET", "29 03:00 CEST", "30 02:30 CEST"]
    due.clear()
    autumn = kadence_cluster(app, start="2026-10-23T12:00:00Z")
    autumn.advance("3d")
    assert [f"{one:%d %H:%M %Z}" for one in due] == ["24 02:30 CEST", "25 02:30 CEST", "26 02:30 CET"]


def test_a_year_of_a_daily_job_takes_few_steps(kadence_cluster: type[MemoryCluster]) -> None:
    app = App("billing")
    app.job("daily", cron="0 9 * * *")(lambda: None)
    cluster = kadence_cluster(app)
    cluster.advance("365d")
    cluster.assert_fired("daily", 365)
    # A few transactions for each run, and none for the hours between: a step is about a tenth of a millisecond.
    assert cluster.log.end("kadence.state", 0) < 365 * 20
    cluster.assert_state("daily", "running")


def test_an_attempt_that_fails_is_made_again_after_its_delay(kadence_cluster: type[MemoryCluster]) -> None:
    app = App("billing")

    @app.job("sync", every="1h", retry={"attempts": 3, "delay": "1m", "factor": 2.0})
    def sync(run: Run[object]) -> str:
        if run.attempt < 3:
            msg = f"attempt {run.attempt}"
            raise ConnectionError(msg)
        return "done"

    cluster = kadence_cluster(app, start="2026-11-23T08:59:00Z", raise_failures=False)
    cluster.advance("10m")
    found = cluster.executions("sync")
    assert [(one.attempt, one.cause, one.status) for one in found] == [
        (1, "schedule", "failed"),
        (2, "retry", "failed"),
        (3, "retry", "succeeded"),
    ]
    assert {one.run for one in found} == {"sync@2026-11-23T09:00:00Z"}
    waits = [(after.at - before.at).total_seconds() for before, after in pairwise(found)]
    assert waits[0] == pytest.approx(60, rel=0.1)
    assert waits[1] == pytest.approx(120, rel=0.1)
    assert found[2].result == "done"
    assert found[0].error == "ConnectionError: attempt 1"
    assert [(one.run, one.attempt) for one in cluster.failures] == [(found[0].run, 1), (found[0].run, 2)]
    assert [(one.status, one.attempts) for one in cluster.runs("sync")] == [("succeeded", 3)]
    assert cluster.state("sync") == "running"
    assert cluster.dead_letters() == []


def test_a_run_whose_attempts_are_spent_is_a_dead_letter(kadence_cluster: type[MemoryCluster]) -> None:
    app = App("billing", defaults={"retry": {"attempts": 2, "delay": "10s"}})

    @app.job("sync", every="1h", payload={"n": 1})
    def sync() -> None:
        raise ConnectionError

    cluster = kadence_cluster(app, raise_failures=False)
    cluster.advance("61m")
    letter = cluster.dead_letters("sync")[0]
    assert (letter.run, letter.attempts, letter.error.type) == ("sync@2026-01-05T09:00:00Z", 2, "ConnectionError")
    assert letter.value == b'{"n":1}'
    assert len([one for one in cluster.executions() if one.cause == "schedule"]) == 1  # the letter is none


def test_a_snoozed_run_comes_again_without_using_up_an_attempt(kadence_cluster: type[MemoryCluster]) -> None:
    app = App("billing")

    @app.job("report", cron="0 9 * * *")
    def report() -> None:
        if cluster.now < datetime(2026, 1, 5, 9, 12, tzinfo=UTC):
            raise Snooze("5m")

    cluster = kadence_cluster(app)
    cluster.advance("2h")
    assert [(f"{one.at:%H:%M}", one.attempt, one.status) for one in cluster.executions()] == [
        ("09:00", 1, "snoozed"),
        ("09:05", 1, "snoozed"),
        ("09:10", 1, "snoozed"),
        ("09:15", 1, "succeeded"),
    ]
    assert cluster.failures == []


def test_when_everything_stood_still_what_was_missed_is_caught_up_as_the_job_says(
    kadence_cluster: type[MemoryCluster],
) -> None:
    app = App("billing")
    app.job("newest", every="10m")(lambda: None)
    app.job("each", every="10m", catch_up={"policy": "all"}, overlap="allow")(lambda: None)
    app.job("none", every="10m", catch_up={"policy": "skip"})(lambda: None)
    cluster = kadence_cluster(app, start="2026-01-05T08:01:00Z")
    cluster.clock.advance("1h")  # nobody is there to notice
    cluster.run_due()
    assert [one.cause for one in cluster.executions("newest")] == ["catch_up"]
    assert [one.due.minute for one in cluster.executions("each")] == [10, 20, 30, 40, 50, 0]
    cluster.assert_fired("none", 0)
    assert [one.detail["count"] for one in cluster.events("none") if one.kind == "job.missed"] == [6]


def test_a_handler_lets_time_pass_and_is_not_run_beside_itself(kadence_cluster: type[MemoryCluster]) -> None:
    app = App("billing")
    seen: list[str] = []

    @app.job("slow", every="1m")
    def slow(run: Run[object]) -> None:
        seen.append(f"{cluster.now:%H:%M}")
        run.cancelled.wait(150)

    @app.job("other", every="1m")
    async def other() -> None:
        seen.append(f"other {cluster.now:%H:%M}")

    cluster = kadence_cluster(app, start="2026-01-05T08:00:30Z")
    cluster.advance("4m")
    assert [one for one in seen if "other" not in one] == ["08:01", "08:04"]
    assert [one for one in seen if "other" in one] == [f"other 08:0{minute}" for minute in range(1, 7)]
    assert cluster.now == datetime(2026, 1, 5, 8, 6, 30, tzinfo=UTC)  # the last run took it beyond what was asked for
    assert {one.status for one in cluster.executions()} == {"succeeded"}


def test_a_handler_that_takes_too_long_times_out(kadence_cluster: type[MemoryCluster]) -> None:
    app = App("billing", defaults={"timeout": "30s", "breaker": {"failures": 0}})
    told: list[bool] = []

    @app.job("waits", cron="0 9 * * *")
    def waits(run: Run[object]) -> None:
        assert run.deadline == cluster.now + timedelta(seconds=30)
        told.append(run.cancelled.wait(3600))
        told.append(cluster.now == run.deadline)

    @app.job("works", cron="0 10 * * *")
    def works() -> None:
        cluster.clock.advance("5m")

    cluster = kadence_cluster(app, raise_failures=False)
    cluster.advance("3h")
    assert told == [True, True]
    assert [(one.status, one.error) for one in cluster.executions()] == [
        ("failed", "TimeoutError: it has run for longer than its timeout, 30 s")
    ] * 2
    assert [type(one.error) for one in cluster.failures] == [TimeoutError, TimeoutError]


def test_runs_that_wait_for_one_another_without_end_are_found_out(kadence_cluster: type[MemoryCluster]) -> None:
    app = App("billing", defaults={"overlap": "allow"})

    @app.job("slow", every="1m")
    def slow(run: Run[object]) -> None:
        run.cancelled.wait(150)

    cluster = kadence_cluster(app)
    with pytest.raises(RuntimeError, match="20 handlers let time pass at once"):
        cluster.advance("1h")


def test_a_job_that_never_stops_at_one_instant_is_found_out(kadence_cluster: type[MemoryCluster]) -> None:
    app = App("billing")

    @app.job("again", cron="0 9 * * *")
    def again() -> None:
        raise Snooze(0)

    cluster = kadence_cluster(app)
    with pytest.raises(RuntimeError, match=r"job again is run again and again at one instant.*snooze for no time"):
        cluster.advance("1h")


def test_time_does_not_go_back(kadence_cluster: type[MemoryCluster]) -> None:
    cluster = kadence_cluster()
    cluster.advance_to("2026-01-05T09:00:00Z")
    assert cluster.now == datetime(2026, 1, 5, 9, tzinfo=UTC)
    with pytest.raises(ValueError, match="time does not go back"):
        cluster.advance_to("2026-01-05T08:00:00Z")


def _eventful() -> App:
    """Jobs that fail, are tried again, probed, snoozed, left out, late by a jitter, and end."""
    app = App("billing")

    @app.job("flaky", every="7m", retry={"attempts": 3, "delay": "20s"})
    def flaky(run: Run[object]) -> None:
        if run.attempt < run.due.minute % 4:
            raise ConnectionError

    @app.job("broken", every="5m", breaker={"failures": 2, "probe_after": "3m"})
    def broken() -> None:
        raise ValueError

    @app.job("snoozes", cron="*/15 * * * *", jitter="1m")
    def snoozes(run: Run[object]) -> None:
        if "#" not in run.firing:
            raise Snooze("90s")

    @app.job("late", every="11m", timeout="30s", end="2026-01-05T10:00:00Z")
    def late(run: Run[object]) -> None:
        run.cancelled.wait(45)

    return app


def _lived_through(cluster: MemoryCluster, step: int) -> list[tuple[str, str, int, str | None]]:
    """What three hours brought that passed in steps of so many seconds."""
    cluster.client.pause("snoozes", until=timedelta(minutes=20))
    cluster.client.hold("window", {"all": True}, start="2026-01-05T08:40:00Z", end="2026-01-05T08:50:00Z")
    while cluster.now < datetime(2026, 1, 5, 11, tzinfo=UTC):
        cluster.advance(step)
    return sorted((one.run.partition("!")[0], one.cause, one.attempt, one.status) for one in cluster.executions())


@pytest.mark.parametrize("shards", [1, 3])
def test_time_that_passes_in_one_leap_is_the_same_as_in_small_steps(
    kadence_cluster: type[MemoryCluster], shards: int
) -> None:
    leap = _lived_through(kadence_cluster(_eventful(), raise_failures=False, shards=shards), 3 * 3600)
    small = _lived_through(kadence_cluster(_eventful(), raise_failures=False, shards=shards), 9)
    assert leap == small
    assert {cause for _, cause, _, _ in leap} == {"schedule", "retry", "probe"}
    assert {status for *_, status in leap} == {"succeeded", "failed", "snoozed"}


def test_a_leap_that_left_out_instants_would_be_found_out(
    kadence_cluster: type[MemoryCluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _lived_through(kadence_cluster(_eventful(), raise_failures=False), 3 * 3600)
    monkeypatch.setattr(Shards, "next_due", lambda _: None)
    assert _lived_through(kadence_cluster(_eventful(), raise_failures=False), 3 * 3600) != whole
