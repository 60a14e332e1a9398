"""A thread that steps one shard's runner: the shard's only thread, so that one slow shard delays no other."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from kadence.errors import KadenceError
from kadence.worker.runner import ShardRunner

if TYPE_CHECKING:
    from collections.abc import Callable

    from kadence.domain.book import Book
    from kadence.worker.environment import Environment

logger = logging.getLogger(__name__)

_AFTER_A_BUG: Final = 5.0


class ShardThread:
    """Owns a `ShardRunner` from assignment to revocation."""

    def __init__(
        self,
        environment: Environment,
        index: int,
        fail: Callable[[KadenceError], None],
        predecessor: ShardThread | None = None,
    ) -> None:
        """``fail`` is told of an error that no retry mends.

        ``predecessor`` ran the shard in this process before: it lets go of everything before this one begins, as
        both speak to the tail in the shard's name.
        """
        self._env = environment
        self._index = index
        self._fail = fail
        self._predecessor = predecessor
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._runner = ShardRunner(environment, index, self._assigned)
        self._thread = threading.Thread(target=self._loop, name=f"kadence-shard-{index}", daemon=True)

    @property
    def book(self) -> Book | None:
        """The shard's book once it is taken over."""
        return self._runner.book

    @property
    def problem(self) -> str | None:
        """Why the shard is not running, or None."""
        return self._runner.problem

    def start(self) -> None:
        """Begin to take the shard over."""
        self._thread.start()

    def signal_stop(self) -> None:
        """Ask the thread to end after the transaction in hand."""
        self._stopping.set()
        self._news.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the thread to end, at most ``timeout`` seconds."""
        self._thread.join(timeout)

    def _assigned(self) -> bool:
        return not self._stopping.is_set()

    def _loop(self) -> None:
        if self._predecessor is not None:
            self._predecessor.join()
            self._predecessor = None
        self._env.tail.listen(self._index, self._news.set)
        try:
            while not self._stopping.is_set():
                self._news.clear()
                wait = self._step()
                if wait:
                    self._news.wait(wait)
        finally:
            self._runner.close()
            self._env.tail.unlisten(self._index)

    def _step(self) -> float:
        """One step; returns the seconds to wait for news before the next."""
        try:
            return self._runner.step() / 1000
        except KadenceError as error:
            self._fail(error)
            self._stopping.set()
        except Exception:
            logger.exception("shard %d: this is a bug in kadence; taking over again", self._index)
            self._runner.close()
            self._stopping.wait(_AFTER_A_BUG)
        return 0.0
