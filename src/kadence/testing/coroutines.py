"""Running coroutines from code that is not async: all on one loop, as in an executor, wherever they are called from."""

from __future__ import annotations

import asyncio
import threading
import weakref
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

T = TypeVar("T")


class Coroutines:
    """One event loop, made when it is first needed. Real time passes on it."""

    def __init__(self) -> None:
        # A factory keeps the runner from making its loop the thread's own, which other tests may look at.
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._busy = False
        self.close = weakref.finalize(self, self._runner.close)
        """Close the loop; done at the latest when this is not used any more. Idempotent."""

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it to its end; in an async test, or in a handler that lets time pass, in a thread of its own."""
        if not _has_loop():
            return self._run(coroutine)
        done: list[T] = []
        failed: list[BaseException] = []

        def run() -> None:
            try:
                done.append(self._run(coroutine))
            except BaseException as error:  # noqa: BLE001  it is raised again, in the thread that asked
                failed.append(error)

        thread = threading.Thread(target=run, name="kadence-testing")
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        return done[0]

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        if self._busy:  # by a handler that lets time pass: its loop cannot run another one meanwhile
            return asyncio.run(coroutine)
        self._busy = True
        try:
            return self._runner.run(coroutine)
        finally:
            self._busy = False


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
