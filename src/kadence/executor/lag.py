"""How long the loop stood still: a handler with ``async def`` that blocks it keeps all others waiting."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kadence.clock import Clock
    from kadence.executor.work import Work

logger = logging.getLogger(__name__)

STILL: Final = 1_000
"""Milliseconds from which it is told."""
_COMPLAIN_EVERY: Final = 60_000
_NAMED: Final = 5


class Lag:
    """Looks at the clock again and again, in the loop's thread."""

    def __init__(self, clock: Clock, every: int) -> None:
        """``every``: milliseconds from one `look` to the next, where nothing is in the way."""
        self._clock = clock
        self._every = every
        self._looked = clock.monotonic()
        self._told: int | None = None
        self._ended: set[str] = set()

    def ended(self, work: Work) -> None:
        """A run has ended that took `STILL` or longer: in the meantime it may have been the one."""
        if work.lane is not None and work.lane.handler.is_async:
            self._ended.add(work.lane.handler.name)

    def look(self, running: Iterable[Work]) -> None:
        """Warn where the last look is too long ago, once a minute at most."""
        before, now = self._looked, self._clock.monotonic()
        self._looked = now
        ended, self._ended = self._ended, set()
        still = now - before - self._every
        if still < STILL or (self._told is not None and now - self._told < _COMPLAIN_EVERY):
            return
        self._told = now
        names = sorted(
            ended | {one.lane.handler.name for one in running if one.lane is not None and one.lane.handler.is_async}
        )
        more = ", …" if len(names) > _NAMED else ""
        logger.warning(
            "the event loop stood still for %.1f s, and all handlers with async def with it; at work: %s. One of them "
            "blocks: have it await what takes long, or declare it with def, which runs it in a thread",
            still / 1000,
            ", ".join(names[:_NAMED]) + more or "none",
        )
