"""Walking the due times of a schedule when all that is known of it is its next one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class HasDueTimes(Protocol):
    """Anything that knows its next due time."""

    def next_after(self, instant: int) -> int | None:
        """Return the first due time strictly after ``instant``, both in ms."""


class Count(NamedTuple):
    """How many due times lie in a range; at least so many where it is not ``exact``."""

    number: int
    exact: bool = True


def due_times(schedule: HasDueTimes, low: int, high: int) -> Iterator[int]:
    """Yield the due times in [low, high), all in ms, in order."""
    due = schedule.next_after(low - 1)
    while due is not None and due < high:
        yield due
        due = schedule.next_after(due)


def latest_due(schedule: HasDueTimes, low: int, high: int) -> int | None:
    """Return the last due time in [low, high), or None.

    It looks back from ``high`` in doubling steps, then halves: a few dozen questions for the longest range.
    """
    best = schedule.next_after(low - 1)
    if best is None or best >= high:
        return None
    empty, width = high - 1, 1000  # there is no due time in (empty, high)
    while empty > best:
        probe = max(best, high - width)
        due = schedule.next_after(probe)
        if due is not None and due < high:
            best = due
            break
        empty, width = probe, width * 2
    while best < empty:
        middle = (best + empty) // 2
        due = schedule.next_after(middle)
        if due is not None and due < high:
            best = due
        else:
            empty = middle
    return best
