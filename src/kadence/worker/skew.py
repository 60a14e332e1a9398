"""How far this machine's clock is from the broker's, learned from our own commits (ARCHITECTURE, law 5)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from kadence.errors import ClockSkewError
from kadence.worker.environment import SKEW_LIMIT, SKEW_WARNING

if TYPE_CHECKING:
    from kadence.clock import Clock
    from kadence.log.port import Receipt

logger = logging.getLogger(__name__)

SUSPICION: Final = 250
"""Milliseconds by which wall and monotonic clocks may move apart between two commits unnoticed."""
_WARN_EVERY: Final = 60_000


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

    def measure(self, sent: int, receipt: Receipt | None, acknowledged: int) -> None:
        """Compare a broker time with the wall times [sent, acknowledged] around it: skew is what lies outside."""
        self._reference = self._apart()
        if receipt is None or not self._trusted:
            return
        if receipt.timestamp < sent:
            self.milliseconds = sent - receipt.timestamp
        else:
            self.milliseconds = min(0, acknowledged - receipt.timestamp)

    def suspect(self) -> bool:
        """Whether the wall clock was moved since the last broker time, so that it must be compared again."""
        return self._reference is not None and abs(self._apart() - self._reference) > SUSPICION

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
            logger.warning("this machine's clock is %d ms away from the broker's (ahead if positive)", self.milliseconds)

    def _apart(self) -> int:
        return self._clock.wall() - self._clock.monotonic()
