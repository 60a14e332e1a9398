"""An event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class LoopThread:
    """Runs coroutines until it is stopped. What blocks it keeps no process alive."""

    def __init__(self) -> None:
        """Nothing runs before `start`."""
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="kadence-loop", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def call(self, function: Callable[[], T], timeout: float) -> T:
        """What ``function`` returns when the loop calls it. Raises TimeoutError after so many seconds."""

        async def called() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(called(), self.loop).result(timeout)

    def stop(self, timeout: float) -> None:
        """Cancel what still runs and end the thread, if it is not blocked. Idempotent."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(timeout)
        if not self._thread.is_alive() and not self.loop.is_closed():
            self.loop.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        if left:
            self.loop.run_until_complete(asyncio.wait(left, timeout=1.0))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
