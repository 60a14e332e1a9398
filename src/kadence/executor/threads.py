"""A few threads for handlers that are plain functions."""

from __future__ import annotations

import logging
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)


class Threads:
    """Calls functions, each in whichever thread is free.

    The threads are made when they are needed, and keep no process alive: a function that never returns delays
    nobody's end. (Those of `concurrent.futures` are waited for when Python exits.)
    """

    def __init__(self, most: int) -> None:
        """``most``: threads at a time. Never give it more than that many calls at once."""
        self._most = most
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._free = threading.Semaphore(0)
        self._made = 0

    def call(self, function: Callable[[], None]) -> None:
        """Have ``function``, which does not raise, called soon. One thread gives the calls."""
        if not self._free.acquire(blocking=False) and self._made < self._most:
            self._made += 1
            threading.Thread(target=self._serve, name=f"kadence-run-{self._made}", daemon=True).start()
        self._calls.put(function)

    def close(self) -> None:
        """Let the threads end with what they do."""
        for _ in range(self._made):
            self._calls.put(None)

    def _serve(self) -> None:
        while (function := self._calls.get()) is not None:
            try:
                function()
            except BaseException:
                logger.exception("a handler's thread: this is a bug in kadence; going on")
            self._free.release()
