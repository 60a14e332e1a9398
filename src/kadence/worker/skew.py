"""How far this machine's clock is from the broker's, learned from our own commits (ARCHITECTURE, law 5)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from kadence.errors import ClockSkewError
from kadence.worker.environment import SKEW_LIMIT, SKEW_WARNING

if TYPE_CHECKING:
    from kadence.clock import Clock
    from kadence.log.port import Receipt

logger = logging.getLogger(__name__)

SUSPICION: Final = 250
"""Milliseconds by which wall and monotonic clocks may move apart between two commits unnoticed."""
_WARN_EVERY: Final = 60_000


class Reading(NamedTuple):
    """Both clocks at one moment (ms)."""

    wall: int
    monotonic: int

    @property
    def apart(self) -> int:
        """Constant while nobody sets the wall clock."""
        return self.wall - self.monotonic


def read_clocks(clock: Clock) -> Reading:
    """Read both clocks, one right after the other."""
    return Reading(clock.wall(), clock.monotonic())


class Skew:
    """Measures at every commit; between commits it watches whether someone moved the wall clock."""

    def __init__(self, clock: Clock, *, trusted: bool) -> None:
        """``trusted`` False: the broker reports no append times, so nothing is measured."""
        self._clock = clock
        self._trusted = trusted
        self._reference: int | None = None
        self._warned: int | None = None
        self.milliseconds = 0
        """Positive: this clock is ahead of the broker's."""

    def measure(self, sent: Reading, receipt: Receipt | None, acknowledged: int) -> None:
        """Compare a broker time with the wall times [sent, acknowledged] around it: skew is what lies outside.

        From ``sent`` on the wall clock is watched: one that is moved while the commit is under way would widen the
        interval by as much, and hide in it.
        """
        self._reference = sent.apart
        if receipt is None or not self._trusted:
            return
        if receipt.timestamp < sent.wall:
            self.milliseconds = sent.wall - receipt.timestamp
        else:
            self.milliseconds = min(0, acknowledged - receipt.timestamp)

    def now(self) -> int | None:
        """Wall time (ms) to decide by; None where the wall clock was moved since it was compared with the broker's.

        The reading that is looked at is the one that is returned: the clock may be set between two readings.
        """
        reading = read_clocks(self._clock)
        moved = self._reference is not None and abs(reading.apart - self._reference) > SUSPICION
        return None if moved else reading.wall

    def check(self) -> None:
        """Warn from a second on; raises `ClockSkewError` from thirty seconds on."""
        skew = abs(self.milliseconds)
        if skew >= SKEW_LIMIT:
            direction = "ahead of" if self.milliseconds > 0 else "behind"
            message = (
                f"this machine's clock is {skew / 1000:.1f} s {direction} the broker's: nothing fires here until it "
                "is set right (run NTP on workers and brokers)"
            )
            raise ClockSkewError(message)
        now = self._clock.monotonic()
        if skew >= SKEW_WARNING and (self._warned is None or now - self._warned >= _WARN_EVERY):
            self._warned = now
            logger.warning(
                "this machine's clock is %d ms away from the broker's (ahead if positive)", self.milliseconds
            )
