"""How far this machine's clock is from the broker's, as the acknowledgements of outcomes tell.

Expiry, snoozes and deadlines go by this clock: one that is an hour off drops runs that are in time, or keeps others
waiting. What has to be decided exactly is decided by workers, which refuse to run on such a clock.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kadence.clock import Clock
    from kadence.log.port import Receipt

logger = logging.getLogger(__name__)

LIMIT: Final = 30_000
"""Milliseconds, as for workers."""
_LASTS: Final = 5_000
"""Milliseconds for which it must be so: an acknowledgement may have waited, as when the process was suspended."""
_SAY_EVERY: Final = 60_000


class Skew:
    """Compares; for the consumer's thread, but for ``problem``."""

    def __init__(self, clock: Clock) -> None:
        """Nothing is known yet."""
        self._clock = clock
        self._since: int | None = None
        self._said: int | None = None
        self.problem: str | None = None
        """Why this executor should not be given runs, or None."""

    def compare(self, receipt: Receipt) -> None:
        """Compare our clock with the broker's time of a record that was acknowledged just now."""
        skew, now = self._clock.wall() - receipt.timestamp, self._clock.monotonic()
        if abs(skew) < LIMIT:
            self._since = self.problem = None
            return
        self._since = now if self._since is None else self._since
        if now - self._since < _LASTS:
            return
        direction = "ahead of" if skew > 0 else "behind"
        self.problem = (
            f"this machine's clock is {abs(skew) / 1000:.0f} s {direction} the broker's: runs expire, and come again, "
            "at the wrong time (run NTP on executors and brokers)"
        )
        if self._said is None or now - self._said >= _SAY_EVERY:
            self._said = now
            logger.error("%s", self.problem)
