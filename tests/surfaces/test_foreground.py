"""A process in the foreground: the first signal ends it, the second ends the waiting."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from kadence import foreground

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class _Patient:
    """Stops when it is hurried, and not before."""

    failure = None

    def __init__(self, *signals: signal.Signals) -> None:
        self.signals = list(signals)
        self.ended = False
        self.hurried = threading.Event()
        self.waited_for = False

    def start(self) -> None:
        if len(self.signals) > 1:
            os.kill(os.getpid(), self.signals.pop(0))
        else:
            self.ended = True

    def stop(self) -> None:
        os.kill(os.getpid(), self.signals.pop(0))
        self.waited_for = self.hurried.wait(20)

    def hurry(self) -> None:
        self.hurried.set()


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_waiting(second: signal.Signals) -> None:
    part = _Patient(signal.SIGTERM, second)
    foreground.run(part)
    assert part.waited_for


def test_a_signal_hurries_what_stops_by_itself() -> None:
    part = _Patient(signal.SIGINT)
    foreground.run(part)
    assert part.waited_for
