"""An executor from start to stop, on the log in memory."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar

import pytest

from kadence import App, Run, Snooze
from kadence.clock import SystemClock
from kadence.errors import ConfigurationError
from kadence.executor.executor import Executor
from kadence.log.memory import MemoryLog
from kadence.settings import Settings
from tests.executor.place import Place, until
from tests.surfaces.owner import NS, Owner

_COLOUR: ContextVar[str] = ContextVar("colour", default="none")


def test_handlers_of_both_kinds_run_and_their_outcomes_say_how(place: Place) -> None:
    app = App("billing")

    @app.job("quick", every="1h", payload={"number": 1})
    async def quick(run: Run[dict[str, int]]) -> int:
        await asyncio.sleep(0)
        return run.payload["number"]

    @app.job("plain", every="1h")
    def plain() -> None:
        raise ValueError("no")

    ids = [place.fire("quick", 7), place.fire("plain", 3)]
    executor = place.executor(app)
    until(lambda: len(place.outcomes()) == 2)
    [done], [failed] = place.outcomes("succeeded"), place.outcomes("failed")
    assert [done["id"], failed["id"]] == ids
    assert (done["result"], done["executor"]) == (7, "one")
    assert done["started_at"] <= done["finished_at"]
    assert failed["error"]["type"] == "ValueError"
    assert "raise ValueError" in failed["error"]["traceback"]
    until(lambda: executor.not_ready() is None)
    assert executor.not_live() is None


def test_no_job_starves_another_and_limits_are_kept(place: Place) -> None:
    app = App("billing")
    go, most, running = asyncio.Event(), 0, 0

    @app.job("slow", every="1h", concurrency=2)
    async def slow() -> None:
        nonlocal most, running
        running += 1
        most = max(most, running)
        await go.wait()
        running -= 1

    @app.job("other", every="1h")
    async def other() -> None:
        pass

    for number in range(300):
        place.fire("slow", number)
    place.fire("other")
    executor = place.executor(app)
    until(lambda: [one for one in place.outcomes("succeeded") if one["id"].startswith("other@")])
    until(lambda: most == 2)
    executor._loop.loop.call_soon_threadsafe(go.set)
    until(lambda: len(place.outcomes("succeeded")) == 301)
    assert most == 2


def test_the_runs_of_an_ordered_job_follow_each_other(place: Place) -> None:
    app, seen, running = App("billing"), [], 0

    @app.job("tick", every="1h", ordered=True, payload={"number": 1})
    async def tick(run: Run[dict[str, int]]) -> None:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0)
        seen.append(run.payload["number"])
        running -= 1

    for number in range(50):
        place.fire("tick", number)
    place.executor(app)
    until(lambda: len(place.outcomes("succeeded")) == 50)
    assert seen == list(range(50))


def test_what_a_run_leaves_in_its_context_no_other_finds(place: Place) -> None:
    app, found = App("billing"), []

    @app.job("tick", every="1h")
    async def tick() -> None:
        found.append(_COLOUR.get())
        _COLOUR.set("red")

    for number in range(20):
        place.fire("tick", number)
    place.executor(app)
    until(lambda: len(place.outcomes("succeeded")) == 20)
    assert set(found) == {"none"}


def test_a_handler_that_cancels_its_own_task_cancels_no_others(place: Place) -> None:
    app = App("billing")

    @app.job("rash", every="1h")
    async def rash() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    @app.job("innocent", every="1h")
    async def innocent() -> None:
        await asyncio.sleep(0)

    for number in range(10):
        place.fire("rash", number)
        place.fire("innocent", number)
    place.executor(app)
    until(lambda: len(place.outcomes()) == 20)
    assert len([id_ for id_ in place.ids("succeeded") if id_.startswith("innocent")]) == 10


def test_a_firing_with_a_final_outcome_is_not_run_again(place: Place) -> None:
    app, ran = App("billing"), []

    @app.job("tick", every="1h")
    def tick(run: Run[object]) -> None:
        ran.append(run.firing)

    ids = [place.fire("tick", number) for number in range(3)]
    place.answer("tick", ids[0], "started")
    place.answer("tick", ids[1], "failed")
    again = place.fire("tick", 1, n=2)
    place.fire("tick", 2)  # a second copy, as a torn transaction leaves it
    executor = place.executor(app)
    until(lambda: len(place.outcomes("succeeded")) == 3)
    assert sorted(ran) == sorted([ids[0], ids[2], again])
    assert b'kadence_executor_skipped_total{reason="duplicate"} 2.0' in executor.metrics.render()


def test_what_is_not_for_this_version_or_not_for_an_app_at_all(place: Place) -> None:
    app = App("billing")

    @app.job("tick", every="1h")
    def tick() -> None:
        pass

    newer = place.fire("newer")
    place.fire("elsewhere", app=None)
    place.fire("tick")
    executor = place.executor(app)
    until(lambda: place.ids("succeeded"))
    until(lambda: place.ids("snoozed") == [newer])
    assert len(place.outcomes()) == 2
    assert b'kadence_executor_skipped_total{reason="foreign"} 1.0' in executor.metrics.render()


def test_a_second_app_in_the_same_group_loses_nothing_and_is_told(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    app = App("billing")
    app.job("tick", every="1h")(lambda: None)
    place.fire("other", app="shipping")
    place.fire("tick")
    executor = place.executor(app)
    until(lambda: len(place.outcomes()) == 2)
    assert executor.failure is None
    assert {one["status"] for one in place.outcomes()} == {"snoozed", "succeeded"}
    assert "each needs a group of its own" in caplog.text


@pytest.mark.parametrize(("group", "other"), [("billing", "shipping"), (None, "shipping@ships")])
def test_an_app_passes_over_the_runs_of_other_groups(place: Place, group: str | None, other: str) -> None:
    app = App("billing", group=group)
    app.job("tick", every="1h")(lambda: None)
    place.fire("other", app=other)
    place.fire("tick")
    place.executor(app)
    until(lambda: place.ids("succeeded"))
    assert len(place.outcomes()) == 1


def test_a_run_that_comes_too_late_is_expired(place: Place) -> None:
    app = App("billing")
    app.job("tick", every="1h")(lambda: None)
    late = place.fire("tick", 0, expirytime="2026-01-01T00:00:00Z")
    place.executor(app)
    until(lambda: place.ids("expired") == [late])


@pytest.mark.parametrize("kind", ["async", "plain"])
def test_a_run_that_takes_too_long_fails_and_what_it_says_later_is_dropped(place: Place, kind: str) -> None:
    app, told = App("billing"), threading.Event()

    def plain(run: Run[object]) -> None:
        run.cancelled.wait(20)
        told.set()

    async def waits(run: Run[object]) -> None:
        try:
            await asyncio.sleep(20)
        finally:
            assert run.cancelled.is_set()
            told.set()

    app.job("tick", every="1h", timeout=0.05)(waits if kind == "async" else plain)
    place.fire("tick")
    executor = place.executor(app)
    until(lambda: place.outcomes("failed"))
    assert [one["status"] for one in place.outcomes()] == ["started", "failed"]
    assert place.outcomes("failed")[0]["error"]["type"] == "TimeoutError"
    assert told.wait(10)
    executor.stop(1)
    assert len(place.outcomes()) == 2


def test_a_start_is_reported_of_a_run_that_takes_a_while(place: Place) -> None:
    app, go = App("billing"), threading.Event()
    app.job("tick", every="1h")(lambda: go.wait(20))
    place.fire("tick")
    place.executor(app)
    until(lambda: place.ids("started"))
    go.set()
    until(lambda: place.ids("succeeded"))


def test_a_paused_jobs_backlog_does_not_run(place: Place) -> None:
    app, ran = App("billing"), []
    app.job("tick", every="1h")(lambda: ran.append("tick"))
    app.job("other", every="1h")(lambda: ran.append("other"))
    with Owner(place.log) as owner:
        appender = place.log.appender()
        for name in ("tick", "other"):
            appender.append(f"{NS}.control", 0, f"job/{name}".encode(), b'{"schedule": {"every": "1h"}}')
        appender.append(f"{NS}.control", 0, b"pause/tick", b'{"paused": true, "reason": "stocktaking"}')
        until(
            lambda: any(
                b'"paused"' in (one.value or b"")
                for number in range(2)
                for one in place.log.records(f"{NS}.state", number)
            )
        )
        owner.catch_up()
    place.age = 60_000
    waited = [place.fire("tick", 0), place.fire("other", 0)]
    asked = place.fire("tick", 1, cause="trigger")
    place.age = 0
    place.executor(app)
    until(lambda: len(place.outcomes()) == 3)
    assert place.ids("cancelled") == waited[:1]
    assert place.ids("succeeded") == sorted([waited[1], asked])
    [cancelled] = place.outcomes("cancelled")
    assert cancelled["error"] == {"type": "Paused", "message": "the job is paused: stocktaking"}
    assert "started_at" not in cancelled


def test_a_backlog_runs_all_the_same_where_that_is_asked_for(place: Place) -> None:
    app = App("billing", run_paused_backlog=True)
    app.job("tick", every="1h")(lambda: None)
    place.age = 60_000
    place.fire("tick")
    place.age = 0
    place.executor(app)
    until(lambda: place.ids("succeeded"))


def test_an_outcome_that_is_not_taken_is_sent_again(place: Place) -> None:
    app = App("billing")
    app.job("tick", every="1h")(lambda: None)
    for number in range(2):
        place.log.set_available(f"{NS}.outcomes", number, available=True)
    executor = place.executor(app)
    until(lambda: executor.not_ready() is None)
    place.fire("tick", 0)
    until(lambda: len(place.ids("succeeded")) == 1)
    for number in range(2):
        place.log.set_available(f"{NS}.outcomes", number, available=False)
    place.fire("tick", 1)
    until(lambda: b'kadence_executor_runs_total{status="succeeded"} 2.0' in executor.metrics.render())
    assert len(place.ids("succeeded")) == 1
    for number in range(2):
        place.log.set_available(f"{NS}.outcomes", number, available=True)
    until(lambda: len(place.ids("succeeded")) == 2)


def test_a_stop_drains_what_runs_and_hands_back_the_rest(place: Place) -> None:
    app, go, began = App("billing"), threading.Event(), threading.Event()

    @app.job("tick", every="1h", concurrency=1)
    def tick(run: Run[object]) -> None:
        began.set()
        assert go.wait(20)

    ids = [place.fire("tick", number) for number in range(3)]
    first = place.executor(app)
    assert began.wait(20)
    stopping = threading.Thread(target=first.stop, args=(20,))
    stopping.start()
    until(lambda: first._intake is not None and first._intake.in_hand == 1)
    go.set()
    stopping.join(20)
    assert place.ids("succeeded") == ids[:1]
    place.executor(app, "two")
    until(lambda: place.ids("succeeded") == ids)
    assert [one["executor"] for one in place.outcomes("succeeded")] == ["one", "two", "two"]


def test_what_returns_after_it_was_told_to_stop_is_begun_anew(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    app, began = App("billing"), threading.Event()
    halves: list[str] = []

    @app.job("tick", every="1h")
    def tick(run: Run[object]) -> None:
        began.set()
        if run.cancelled.wait(0 if halves else 20):
            halves.append(run.id)

    @app.job("polite", every="1h")
    def polite(run: Run[object]) -> None:
        if run.cancelled.wait(20):
            raise Snooze("1h")

    fired, snoozed = place.fire("tick"), place.fire("polite")
    first = place.executor(app)
    assert began.wait(20)
    until(lambda: first._dispatcher is not None and first._dispatcher.running == 2)
    first.stop(0.1)
    assert halves == [fired]
    assert [(one["id"], one["status"]) for one in place.outcomes()] == [(snoozed, "snoozed")]
    assert caplog.text.count("stopping: waiting up to 1 s for 2 runs: ") == 1
    assert caplog.text.count(f"run {fired} is given to another executor, which begins it anew: not finished") == 1
    assert caplog.text.count(f"run {fired} returned after it was told to stop") == 1
    place.executor(app, "two")
    until(lambda: place.ids("succeeded") == [fired])


def test_a_handler_that_cannot_be_told_to_stop_is_believed(place: Place) -> None:
    app, began, go = App("billing"), threading.Event(), threading.Event()

    @app.job("tick", every="1h")
    def tick() -> None:
        began.set()
        go.wait(0.3)

    fired = place.fire("tick")
    first = place.executor(app)
    assert began.wait(20)
    first.stop(0)
    assert place.ids("succeeded") == [fired]


def test_whoever_hurries_waits_for_nothing(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    app, began, go = App("billing"), threading.Event(), threading.Event()

    @app.job("tick", every="1h")
    def tick() -> None:
        began.set()
        go.wait(60)

    fired = place.fire("tick")
    first = place.executor(app)
    assert began.wait(20)
    stopping = threading.Thread(target=first.stop, args=(60,))
    clock = SystemClock()
    begin = clock.monotonic()
    stopping.start()
    until(lambda: "stopping: waiting up to 60 s for 1 run" in caplog.text)
    first.hurry()
    stopping.join(20)
    assert clock.monotonic() - begin < 10_000
    assert caplog.text.count(f"run {fired} is given to another executor") == 1
    assert "a second signal ended the waiting" in caplog.text
    go.set()
    assert place.outcomes("failed") == []


def test_what_does_not_end_in_time_is_handed_back_and_is_no_failure(place: Place) -> None:
    app, began, told = App("billing"), threading.Event(), threading.Event()

    @app.job("tick", every="1h")
    async def tick(run: Run[object]) -> None:
        began.set()
        if not again:
            try:
                await asyncio.sleep(30)
            finally:
                told.set()

    again: list[str] = []
    fired = place.fire("tick")
    first = place.executor(app)
    assert began.wait(20)
    first.stop(0.1)
    assert told.is_set()
    assert place.outcomes("failed") == []
    again.append("now")
    place.executor(app, "two")
    until(lambda: place.ids("succeeded") == [fired])


def test_partitions_that_go_take_their_queue_along(place: Place) -> None:
    app, go, began = App("billing"), threading.Event(), []

    @app.job("tick", every="1h", concurrency=1)
    @app.job("tock", every="1h", concurrency=1)
    def wait(run: Run[object]) -> None:
        began.append(run.job)
        assert go.wait(20)

    shards = {job: partition for job in ("tick", "tock") for partition in range(2)}
    assert len(shards) == 2
    ids = sorted(place.fire(job, number) for job in ("tick", "tock") for number in range(5))
    place.executor(app)
    until(lambda: len(began) == 2)
    second = place.executor(app, "two")
    until(lambda: len(place.log.members(f"{NS}.executors")) == 2)
    go.set()
    until(lambda: sorted(set(place.ids("succeeded"))) == ids)
    second.stop(1)


def test_snoozes_and_invalid_payloads(place: Place) -> None:
    app = App("billing")

    @app.job("later", every="1h")
    def later() -> None:
        raise Snooze("5m")

    @app.job("typed", every="1h", payload=[1])
    async def typed(run: Run[list[int]]) -> None:
        pass

    snoozed, invalid = place.fire("later"), place.fire("typed")
    place.executor(app)
    until(lambda: place.ids("snoozed") == [snoozed] and place.ids("failed") == [invalid])
    assert place.outcomes("snoozed")[0]["until"] > place.outcomes("snoozed")[0]["finished_at"]
    assert place.outcomes("failed")[0]["error"]["type"] == "InvalidPayload"


def test_without_topics_it_says_what_to_do() -> None:
    app = App("billing")
    app.job("tick", every="1h")(lambda: None)
    log = MemoryLog(SystemClock().wall)
    with pytest.raises(ConfigurationError, match="kadence topics init"):
        Executor(app, Settings(namespace=NS), log=log, health=False).start()
    assert not [one for one in threading.enumerate() if one.name.startswith("kadence")]


def test_an_executor_whose_topics_have_vanished_is_not_ready(place: Place) -> None:
    app = App("billing")
    app.job("tick", every="1h")(lambda: None)
    executor = place.executor(app)
    until(lambda: executor.not_ready() is None)
    place.log.delete(f"{NS}.outcomes")
    assert executor._history is not None
    executor._history._look(place.log.reader())
    assert f"topic {NS}.outcomes does not exist; create it with: kadence topics init" in (executor.not_ready() or "")
