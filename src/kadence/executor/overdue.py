"""Functions that go on after they were told to stop: each keeps a place. In the loop's thread."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Final

from kadence.log.topics import counted

if TYPE_CHECKING:
    import asyncio

    from kadence.executor.lanes import Pool
    from kadence.executor.work import Work

logger = logging.getLogger(__name__)

_GRACE: Final = 1.0
"""Seconds that a handler has to return in before anybody is told that it does not."""
_NAMED: Final = 5


class Overdue:
    """Tells of each one, and of a pool that has nothing but these."""

    def __init__(self, loop: asyncio.AbstractEventLoop, threads: Pool, tasks: Pool) -> None:
        """Nothing is overdue."""
        self._loop = loop
        self._what = {threads: "thread", tasks: "place for handlers with async def"}
        self._works: dict[Work, None] = {}
        self.problem: str | None = None
        """Why nothing can run any more, or None."""

    def told_to_stop(self, work: Work) -> None:
        """The handler of this should return now."""
        self._loop.call_later(_GRACE, self._look, work)

    def returned(self, work: Work) -> None:
        """The handler of this has returned, soon or late."""
        if work in self._works:
            del self._works[work]
            logger.warning("run %s has returned at last, after it was told to stop", work.id)
            self._judge()

    def _look(self, work: Work) -> None:
        lane = work.lane
        if lane is None or not work.is_running:
            return
        self._works[work] = None
        logger.warning(
            "run %s goes on though it was told to stop%s, and keeps its %s: %d of %d are kept so; have the handler "
            "look at run.cancelled, and give what it waits for a timeout",
            work.id,
            " at its timeout" if work.answered else "",
            self._what[lane.pool],
            sum(1 for one in self._works if one.lane is not None and one.lane.pool is lane.pool),
            lane.pool.places,
        )
        self._judge()

    def _judge(self) -> None:
        """Whether a pool has nothing else, which is told once."""
        known, self.problem = self.problem, None
        jobs = {pool: Counter[str]() for pool in self._what}
        for work in self._works:
            if work.lane is not None:
                jobs[work.lane.pool][work.lane.handler.name] += 1
        for pool, held in jobs.items():
            if held.total() >= pool.places:
                names = ", ".join(sorted(held)[:_NAMED]) + ("" if len(held) <= _NAMED else ", …")
                what = counted(pool.places, self._what[pool]) if pool.places == 1 else f"all {pool.places}"
                self.problem = (
                    f"no run can begin: {what} {self._kept(pool)} by handlers that go on though they were told to "
                    f"stop, of {'job' if len(held) == 1 else 'jobs'} {names}"
                )
        if self.problem is not None and known is None:
            logger.error("%s; restart this executor, and have them look at run.cancelled", self.problem)

    def _kept(self, pool: Pool) -> str:
        if pool.places == 1:
            return "is kept"
        return "threads are kept" if self._what[pool] == "thread" else "places for handlers with async def are kept"
