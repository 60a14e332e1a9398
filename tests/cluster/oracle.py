"""What should have fired: an independent computation, compared with what the log says did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.cluster.reading import Seen


@dataclass(frozen=True, slots=True)
class Grid:
    """A job whose due times are ``offset`` + n x ``period`` (ms since the epoch), the first after ``since``."""

    period: int
    since: int
    offset: int = 0

    def dues(self, through: int) -> range:
        """Its due times up to ``through``, inclusive."""
        first = (self.since - self.offset) // self.period * self.period + self.offset + self.period
        return range(first, through + 1, self.period)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How executions differ from what was expected: (job, due) each, and ids of those that came too early."""

    missing: tuple[tuple[str, int], ...]
    doubled: tuple[tuple[str, int], ...]
    unasked: tuple[tuple[str, int], ...]
    early: tuple[str, ...]
    expected: int

    @property
    def clean(self) -> bool:
        return not (self.missing or self.doubled or self.unasked or self.early)


def judge(executions: Iterable[Seen], jobs: Mapping[str, Grid], through: int) -> Verdict:
    """Compare all executions of due times up to ``through`` with what the jobs' schedules say."""
    relevant = [one for one in executions if one.due <= through]
    found = Counter((one.key, one.due) for one in relevant)
    expected = {(name, due) for name, grid in jobs.items() for due in grid.dues(through)}
    return Verdict(
        missing=tuple(sorted(expected - found.keys())),
        doubled=tuple(sorted(run for run, times in found.items() if times > 1)),
        unasked=tuple(sorted(found.keys() - expected)),
        early=tuple(one.id for one in relevant if one.timestamp < one.due),
        expected=len(expected),
    )
