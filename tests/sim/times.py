"""Virtual time: the broker's clock, and a machine's clock that may be wrong about it."""

from __future__ import annotations

from typing import Final

EPOCH: Final = 1_767_225_600_000
"""2026-01-01T00:00:00Z: when every simulation begins, in ms."""


class BrokerTime:
    """Milliseconds since the Unix epoch as the brokers have it. Only the simulation moves it."""

    def __init__(self) -> None:
        self.now = EPOCH

    def __call__(self) -> int:
        return self.now

    def advance(self, ms: int) -> None:
        self.now += ms


class MachineClock:
    """A `kadence.clock.Clock` that is ``skew`` ms ahead of the broker's; it can be moved in the midst of anything."""

    def __init__(self, time: BrokerTime, skew: int = 0) -> None:
        self._time = time
        self._origin = time.now - 12_345
        self._readings = 0
        self._next_skew: int | None = None
        self.skew = skew

    def wall(self) -> int:
        if self._next_skew is not None:
            self._readings -= 1
            if self._readings < 0:
                self.skew, self._next_skew = self._next_skew, None
        return self._time.now + self.skew

    def monotonic(self) -> int:
        return self._time.now - self._origin

    def jump(self, skew: int, readings: int = 0) -> None:
        """Be ``skew`` ms ahead from the reading of the wall clock after the next ``readings`` on."""
        self._next_skew, self._readings = skew, readings
