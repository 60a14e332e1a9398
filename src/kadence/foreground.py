"""Running the parts of a process in the foreground, until a signal or a failure ends them."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from kadence.errors import KadenceError

_LOOK: Final = 0.2


class Part(Protocol):
    """Something that runs in threads of its own between `start` and `stop`."""

    def start(self) -> None:
        """Begin, and return. Raises `kadence.errors.KadenceError`; nothing is left open then."""

    def stop(self) -> None:
        """End. Idempotent."""

    def hurry(self) -> None:
        """Wait for nothing any more that `stop` would wait for: somebody has asked a second time."""

    @property
    def ended(self) -> bool:
        """Whether it has been stopped, or has begun to stop by itself."""

    @property
    def failure(self) -> KadenceError | None:
        """What it stopped of by itself, which no retry mends."""


def run(*parts: Part) -> None:
    """Start the parts in order, and stop all of them on SIGTERM, SIGINT, or when one ends. Raises its failure.

    A second signal has them stop without waiting for what is under way.
    """
    asked, again = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: (again if asked.is_set() else asked).set())
    started: list[Part] = []
    try:
        for part in parts:
            if not asked.is_set():
                part.start()
                started.append(part)
        while not asked.wait(_LOOK) and not any(part.ended for part in parts):
            pass
    finally:
        asked.set()  # where a part has ended by itself, the first signal is the one that hurries
        _stop(started, again)
    for part in parts:
        if part.failure is not None:
            raise part.failure


def _stop(parts: list[Part], again: threading.Event) -> None:
    """All at once: what one has to finish must not make the others keep what they could hand over."""
    threads = [threading.Thread(target=part.stop, name="kadence-stop", daemon=True) for part in parts]
    for thread in threads:
        thread.start()
    hurried = False
    while any(thread.is_alive() for thread in threads):
        if again.is_set() and not hurried:
            hurried = True
            for part in parts:
                part.hurry()
        for thread in threads:
            thread.join(_LOOK / len(threads))
