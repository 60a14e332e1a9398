"""A clock that stands still until it is told to go on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from typing_extensions import override

from kadence.domain.duration import format_time, parse_duration
from kadence.domain.plain import instant, length

START: Final = "2026-01-05T08:00:00Z"
"""Where a clock begins that is not told: a Monday."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)

Duration = str | float | timedelta
"""As the contract writes it (``"1h30m"``), in seconds, or a timedelta."""
Time = str | datetime
"""RFC 3339 with an offset (``"2026-11-23T09:00:00Z"``), or an aware datetime."""


class ManualClock:
    """A `kadence.clock.Clock` whose time passes only by `advance` and `set`: both of its readings move together."""

    __slots__ = ("_now",)

    def __init__(self, start: Time = START) -> None:
        """Raises ValueError for a time without a zone, or outside the years 2000 to 2199."""
        self._now = instant(start)

    @property
    def now(self) -> datetime:
        """The time it shows, an aware datetime (UTC)."""
        return aware(self._now)

    def wall(self) -> int:
        """Return the time it shows in ms since the Unix epoch."""
        return self._now

    def monotonic(self) -> int:
        """Return the same: where monotonic time begins means nothing."""
        return self._now

    def advance(self, duration: Duration) -> None:
        """Let time pass. Raises ValueError for what is no duration, or a negative one."""
        self._now += milliseconds(duration)

    def set(self, time: Time) -> None:
        """Go on to a time. Raises ValueError for one that is over: this clock never goes back."""
        self.go_to(instant(time))

    def go_to(self, at: int) -> None:
        """Go on to an instant (ms since the epoch)."""
        if at < self._now:
            raise ValueError(f"the clock shows {format_time(self._now)} and does not go back to {format_time(at)}")
        self._now = at

    @override
    def __repr__(self) -> str:
        return f"ManualClock({format_time(self._now)!r})"


def aware(at: int) -> datetime:
    """An instant in ms since the epoch as an aware datetime (UTC)."""
    return _EPOCH + at * _MS


def milliseconds(duration: Duration) -> int:
    """A duration in ms. Raises ValueError, with a sentence, for what is none."""
    return length(duration) if isinstance(duration, timedelta) else parse_duration(duration)
