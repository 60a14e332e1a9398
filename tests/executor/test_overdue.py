"""What an executor says, and does not do, while functions go on that should have ended."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import TYPE_CHECKING

import pytest

from kadence import App, Cancel, Run, Snooze
from kadence.cli.logs import JsonLines
from tests.executor.place import Place, until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def go() -> Iterator[threading.Event]:
    """What the functions wait for; set in any case when the test is over."""
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize("kind", ["skip", "ordered"])
def test_a_job_that_runs_one_at_a_time_does_so_also_past_its_timeout(
    place: Place, caplog: pytest.LogCaptureFixture, go: threading.Event, kind: str
) -> None:
    app = App("billing")
    began: list[int] = []

    @app.job("tick", every="1h", timeout=0.05, overlap="skip" if kind == "skip" else "allow", ordered=kind == "ordered")
    def tick() -> None:
        began.append(len(began))
        if len(began) == 1:
            go.wait(20)

    ids = [place.fire("tick", number) for number in range(2)]
    place.executor(app)
    until(lambda: place.ids("failed") == ids[:1])
    until(lambda: "goes on though it was told to stop at its timeout" in caplog.text)
    assert began == [0]
    go.set()
    until(lambda: place.ids("succeeded") == ids[1:])
    assert caplog.text.count(f"run {ids[0]} has returned at last") == 1
    [failed] = place.outcomes("failed")
    assert "go.wait(20)" in failed["error"]["traceback"]
    assert failed["error"]["traceback"].endswith("TimeoutError: it has run for longer than its timeout, 0.05 s\n")


def test_an_async_handlers_timeout_says_where_it_stood(place: Place) -> None:
    app = App("billing")

    async def inner() -> None:
        await asyncio.sleep(20)

    @app.job("tick", every="1h", timeout=0.05)
    async def tick() -> None:
        await inner()

    place.fire("tick")
    place.executor(app)
    until(lambda: place.outcomes("failed"))
    trace = place.outcomes("failed")[0]["error"]["traceback"]
    assert trace.index("await inner()") < trace.index("await asyncio.sleep(20)")
    assert "call_async" not in trace


def test_an_executor_whose_threads_are_all_kept_is_not_ready(
    place: Place, caplog: pytest.LogCaptureFixture, go: threading.Event
) -> None:
    app = App("billing")

    @app.job("tick", every="1h", timeout=0.05, concurrency=2)
    def tick() -> None:
        go.wait(20)

    for number in range(2):
        place.fire("tick", number)
    executor = place.executor(app, executor_threads=2)
    until(lambda: "no run can begin" in (executor.not_ready() or ""))
    assert executor.not_ready() == (
        "no run can begin: all 2 threads are kept by handlers that go on though they were told to stop, of job tick"
    )
    assert [one.levelname for one in caplog.records if "no run can begin" in one.message] == ["ERROR"]
    go.set()
    until(lambda: executor.not_ready() is None)


def test_a_failed_attempt_is_a_warning_with_its_traceback_and_no_secrets(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    app = App("billing")

    @app.job("tick", every="1h")
    def tick(run: Run[object]) -> None:
        match run.attempt:
            case 1:
                raise Snooze("1h")
            case 2:
                raise Cancel("nothing to do")
            case _:
                raise ValueError("no\npassword=hunter2")

    ids = [place.fire("tick", number, attempt=str(number + 1)) for number in range(3)]
    place.executor(app)
    until(lambda: len(place.outcomes()) == 3)
    until(lambda: len([one for one in caplog.records if one.name == "kadence.executor.telling"]) == 3)
    found = sorted(
        (one for one in caplog.records if one.name == "kadence.executor.telling"), key=lambda one: one.getMessage()
    )
    assert [one.levelname for one in found] == ["INFO", "INFO", "WARNING"]
    lines = found[2].getMessage().splitlines()
    assert lines[:2] == [f"run {ids[2]}: attempt 3 failed: ValueError: no", "Traceback (most recent call last):"]
    assert "raise ValueError" in found[2].getMessage()
    assert "hunter2" not in found[2].getMessage()
    [line] = JsonLines().format(found[2]).splitlines()
    assert json.loads(line)["message"] == found[2].getMessage()
    assert found[1].getMessage() == f"run {ids[1]}: attempt 2 is cancelled by its handler: nothing to do"


def test_a_job_without_a_handler_is_put_off_with_a_reason(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    app = App("billing")
    app.job("tick", every="1h")(lambda: None)
    for number in range(3):
        place.fire("gone", number)
    place.executor(app)
    until(lambda: len(place.outcomes("snoozed")) == 3)
    error = place.outcomes("snoozed")[0]["error"]
    assert error == {"type": "NoHandler", "message": "app billing has no handler for job gone in this version"}
    until(lambda: "kadence delete gone" in caplog.text)
    assert caplog.text.count("app billing has no handler for job gone") == 1


def test_a_handler_that_blocks_the_loop_is_named(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    app, pause = App("billing"), threading.Event()

    @app.job("rude", every="1h")
    async def rude() -> None:
        pause.wait(1.6)

    place.fire("rude")
    place.executor(app)
    until(lambda: "the event loop stood still" in caplog.text)
    [told] = [one for one in caplog.records if "stood still" in one.message]
    assert (told.levelno, "at work: rude." in told.message) == (logging.WARNING, True)
