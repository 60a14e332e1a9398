"""Which run begins next: a lane per job, and pools of places that the lanes take turns at. Pure.

A job at its limit leaves the turn to the others, however many of its runs wait; one that may go on takes a place at a
time, so that a job with many runs delays no other by more than one of them.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from kadence.executor.work import Work
    from kadence.handlers.handler import Handler


class Lane:
    """The runs of one job that wait, in the order of their records."""

    __slots__ = ("handler", "key", "limit", "pool", "running", "turn", "waiting")

    def __init__(self, handler: Handler, pool: Pool) -> None:
        """``handler`` says how many may run at a time."""
        self.handler = handler
        self.key = handler.name.encode()
        self.pool = pool
        self.limit = 1 if handler.ordered else handler.concurrency or pool.places
        self.running = 0
        self.waiting: deque[Work] = deque()
        self.turn = False
        """Whether it stands in its pool's line."""

    def forget(self, unwanted: Callable[[Work], bool]) -> None:
        """Drop the runs that will not be wanted any more."""
        self.waiting = deque(work for work in self.waiting if not unwanted(work))


class Pool:
    """So many places, and the lanes that have something to put there, each in its turn."""

    __slots__ = ("line", "places", "running")

    def __init__(self, places: int) -> None:
        """``places``: runs at a time."""
        self.places = places
        self.running = 0
        self.line: deque[Lane] = deque()

    def enter(self, work: Work, lane: Lane) -> None:
        """A run waits from now on."""
        lane.waiting.append(work)
        if not lane.turn and lane.running < lane.limit:
            lane.turn = True
            self.line.append(lane)

    def put_back(self, work: Work, lane: Lane) -> None:
        """A run that has a place gives it back for the moment, and is the next of its lane again."""
        lane.waiting.appendleft(work)
        self.end(lane)

    @property
    def ready(self) -> bool:
        """Whether a run may begin."""
        return bool(self.line) and self.running < self.places

    def begin(self) -> Work | None:
        """The run whose turn it is, which now has a place; None where there is none, or no place."""
        while self.line and self.running < self.places:
            lane = self.line.popleft()
            lane.turn = False
            if not lane.waiting:
                continue
            work = lane.waiting.popleft()
            lane.running += 1
            self.running += 1
            if lane.waiting and lane.running < lane.limit:
                lane.turn = True
                self.line.append(lane)
            return work
        return None

    def end(self, lane: Lane) -> None:
        """A run of this lane gives its place back."""
        lane.running -= 1
        self.running -= 1
        if lane.waiting and not lane.turn and lane.running < lane.limit:
            lane.turn = True
            self.line.append(lane)
