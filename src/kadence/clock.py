"""The only module that reads a clock; everything else is handed one.

Two readings, because they answer different questions. Wall time says which due times have come, and can be
set, stepped and smeared. Monotonic time says how long something took, and means nothing outside its process.
"""

from __future__ import annotations

import time
from typing import Protocol

_NS_PER_MS = 1_000_000


class Clock(Protocol):
    """What the rest of kadence may ask about time."""

    def wall(self) -> int:
        """Return UTC wall time in milliseconds since the Unix epoch. It may step in either direction."""
        ...

    def monotonic(self) -> int:
        """Return milliseconds since an arbitrary start. It never goes back."""
        ...


class SystemClock:
    """The machine's clocks."""

    __slots__ = ()

    def wall(self) -> int:
        """Return UTC wall time in milliseconds since the Unix epoch."""
        return time.time_ns() // _NS_PER_MS

    def monotonic(self) -> int:
        """Return milliseconds since an arbitrary start."""
        return time.monotonic_ns() // _NS_PER_MS
