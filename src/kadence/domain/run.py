"""One run: fired, perhaps again, until it has ended in one way."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class RunStatus(StrEnum):
    """Where a run stands. Those up to ``snoozed`` are open, or wait for the next firing; the others are final."""

    FIRED = "fired"
    STARTED = "started"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    SNOOZED = "snoozed"
    SUCCEEDED = "succeeded"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Skipped:
    """Due times that were left out because this run was not over: how many, the first and the last (ms)."""

    count: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Run:
    """One run that is remembered: open until it has a final outcome, then for an hour. Instants in ms.

    ``time``: its due time; of a trigger or probe, when it was decided. ``n`` counts firings, ``attempt`` those that
    used up an attempt; ``fired``, ``started`` and ``expires`` are of the current firing. ``next_at``: when it is fired
    again. ``payload``: what a trigger brought instead of the job's own.
    """

    id: str
    time: int
    cause: str
    fired: int
    n: int = 1
    attempt: int = 1
    status: RunStatus = RunStatus.FIRED
    started: int | None = None
    expires: int | None = None
    next_at: int | None = None
    settled_at: int | None = None
    error: str | None = None
    payload: bytes | None = None
    skipped: Skipped | None = None

    def occupies(self, now: int) -> bool:
        """Whether a job that runs one at a time waits for it; one that nobody began in time does not count."""
        waits = self.next_at is not None or self.started is not None
        return waits or self.expires is None or now < self.expires


BY_AGE: Final = attrgetter("time", "id")
"""The order of runs that are open: the same before and after a rebuild, whichever of them were fired again."""
NO_RUNS: Final[Mapping[str, Run]] = MappingProxyType({})
