"""Where a handler stands, while it stands there."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from typing import Any

from kadence.handlers.handler import Handler, call, call_async
from kadence.handlers.run import Run
from kadence.handlers.secrets import Mask
from kadence.handlers.stack import shown, stack_of_task, stack_of_thread

_RUN: Run[Any] = Run(id="test", job="test", due=datetime(2026, 11, 23, tzinfo=UTC), payload=None)
_LAST = "TimeoutError: too long"


def test_of_a_thread_from_the_users_code_on() -> None:
    began, go = threading.Event(), threading.Event()

    def waits() -> None:
        began.set()
        go.wait(20)

    thread = threading.Thread(target=call, args=(Handler("test", waits, takes_run=False), _RUN, Mask()))
    thread.start()
    assert began.wait(20)
    text = shown(stack_of_thread(thread.ident or 0), _LAST, Mask())
    go.set()
    thread.join()
    assert "go.wait(20)" in text
    assert text.endswith(f"{_LAST}\n")
    assert "in call\n" not in text


def test_of_a_task_through_all_that_it_awaits() -> None:
    async def inner() -> None:
        token = asyncio.sleep(20, "token=very-secret")
        await token

    async def outer() -> None:
        await inner()

    async def look() -> str:
        task = asyncio.create_task(_served(Handler("test", outer, is_async=True, takes_run=False)))
        await asyncio.sleep(0.01)
        text = shown(stack_of_task(task), _LAST, Mask())
        task.cancel()
        await asyncio.wait([task])
        return text

    text = asyncio.run(look())
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.index("in outer\n") < text.index("in inner\n") < text.index("in sleep\n")
    assert "call_async" not in text
    assert "very-secret" not in text


async def _served(handler: Handler) -> None:
    await call_async(handler, _RUN, Mask())


def test_of_nothing() -> None:
    assert not shown(stack_of_thread(0), _LAST, Mask())
