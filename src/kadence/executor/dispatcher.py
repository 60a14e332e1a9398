"""Runs what is in hand: in the loop's thread alone, so nothing in here is locked."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from contextvars import copy_context
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from kadence.executor.endings import CANCELLED, LATER, no_handler, out_of_time
from kadence.executor.lag import STILL, Lag
from kadence.executor.lanes import Lane, Pool
from kadence.executor.overdue import Overdue
from kadence.executor.telling import tell
from kadence.executor.threads import Threads
from kadence.executor.work import Cancellation, Stage
from kadence.handlers.handler import Ending, call, call_async, make_run
from kadence.handlers.run import Run
from kadence.handlers.stack import stack_of_task, stack_of_thread
from kadence.wire.outcome import failure

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from types import FrameType

    from kadence.clock import Clock
    from kadence.executor.gate import Gate, Verdicts
    from kadence.executor.outcomes import Outcomes
    from kadence.executor.partition import Partition
    from kadence.executor.work import Work
    from kadence.handlers.handler import Handler
    from kadence.handlers.secrets import Mask
    from kadence.metrics_executor import ExecutorMetrics
    from kadence.wire.outcome import Status

logger = logging.getLogger(__name__)

WAITED: Final = 1_000
"""Milliseconds from a record's writing after which its job is looked at before it runs."""
REPORTED: Final = 1_000
"""Milliseconds of running after which ``started`` is told of a run that nobody times."""
_SWEEP: Final = 250
_COMPLAIN_EVERY: Final = 3_600_000
_IN_A_ROW: Final = 100
"""Runs that do not wait before everything else in the loop has its turn."""
_NOT_TAKEN: Final[Run[Any]] = Run(id="", job="", due=datetime.fromtimestamp(0, UTC), payload=None)
"""Stands for the run of a handler that takes none."""
ASKED_FOR: Final = frozenset({"trigger", "probe"})
"""Causes of runs that a pause does not keep."""


class Dispatcher:
    """Calls handlers within their limits, and says how it went. Made and used in the loop's thread."""

    def __init__(  # noqa: PLR0913, PLR0917  all that a run meets
        self,
        app: str,
        handlers: Mapping[str, Handler],
        clock: Clock,
        outcomes: Outcomes,
        gate: Gate | None,
        metrics: ExecutorMetrics,
        mask: Mask,
        concurrency: int,
        threads: int,
    ) -> None:
        """``gate`` None: a backlog runs whatever its job's state. The limits are of runs at a time."""
        self._app = app
        self._loop = asyncio.get_running_loop()
        self._clock = clock
        self._outcomes = outcomes
        self._gate = gate
        self._metrics = metrics
        self._mask = mask
        self._tasks, self._calls = Pool(concurrency), Pool(threads)
        self._threads = Threads(threads)
        self._overdue = Overdue(self._loop, self._calls, self._tasks)
        self._lag = Lag(clock, _SWEEP)
        self.lanes = {
            name: Lane(handler, self._tasks if handler.is_async else self._calls) for name, handler in handlers.items()
        }
        self._running: dict[Work, None] = {}  # in the order in which they began
        self._servers: set[asyncio.Task[None]] = set()
        self._serving = False
        self._unknown: dict[str, int] = {}
        self._parked: dict[str, list[tuple[int, Work]]] = {}
        self._returned: deque[tuple[Work, Ending]] = deque()
        self._woken = False
        self.over = 0
        """How much work is not queued or running any more, from the beginning."""
        if gate is not None:
            gate.listen(lambda found, asked: self._call_soon(self._judged, found, asked))
        self._sweeper = self._loop.call_later(_SWEEP / 1000, self._sweep)

    @property
    def problem(self) -> str | None:
        """Why nothing can run any more, or None."""
        return self._overdue.problem

    @property
    def running(self) -> int:
        """How many handlers are at work."""
        return len(self._running)

    def take(self, works: Iterable[Work]) -> None:
        """Work that is in hand from now on, in the order of its partition."""
        for work in works:
            lane = work.lane
            if lane is None:
                work.stage = Stage.OVER
                self.over += 1
                self._put_off(work)
            else:
                lane.pool.enter(work, lane)
        self._go_on()

    def _put_off(self, work: Work) -> None:
        """No version of the job is here: an older one is running beside a newer, or the job was taken out."""
        theirs, job, now = work.execution.app, work.execution.firing.job, self._clock.monotonic()
        ending = no_handler(self._app, theirs, job, self._clock.wall())
        self._answer(work, "snoozed", ending)
        told = self._unknown.get(job)
        if theirs == self._app and ending.error is not None and (told is None or now - told >= _COMPLAIN_EVERY):
            self._unknown[job] = now
            logger.warning(
                "run %s is put off for %d s, and again: %s; where it was taken out, run: kadence delete %s",
                work.id,
                LATER // 1000,
                ending.error.message,
                job,
            )

    def forget(self, partitions: Collection[Partition]) -> None:
        """Forget what is queued of partitions that are ``gone``."""
        forgotten = 0
        for lane in self.lanes.values():
            before = len(lane.waiting)
            lane.forget(lambda work: work.partition in partitions)
            forgotten += before - len(lane.waiting)
        self.over += forgotten

    def abandon(self, works: Iterable[Work], why: str, *, at_the_end: bool) -> None:
        """Tell what is running to stop. What it comes to is nobody's failure, and no success.

        ``at_the_end``: of this executor, when it does not matter any more what it keeps.
        """
        for work in works:
            if work in self._running and not work.stopped:
                logger.info("run %s is given to another executor, which begins it anew: %s", work.id, why)
                self._cancel(work)
                if not at_the_end:
                    self._overdue.told_to_stop(work)

    def close(self) -> None:
        """No more is run."""
        self._sweeper.cancel()
        self._threads.close()

    # --- beginning ---------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Begin what may begin."""
        while (work := self._calls.begin()) is not None:
            run = self._begin(work)
            if run is not None:
                self._threads.call(partial(self._run_in_thread, work, work.lane.handler, run))  # type: ignore[union-attr]
        if self._tasks.ready and not self._serving:
            self._serving = True
            self._loop.call_soon(self._serve_on)

    def _serve_on(self) -> None:
        """Make another task for runs that wait; called again once that one has come to a run that waits itself."""
        self._serving = self._tasks.ready
        if self._serving:
            self._servers.add(asyncio.Task(self._serve(), loop=self._loop))
            self._loop.call_soon(self._serve_on)

    async def _serve(self) -> None:
        """Run one after the other, in a task that serves as each one's own: making one per run costs more than a run.

        A run that waits has the task to itself until it ends; one that changes the task's context is the last.
        """
        task = asyncio.current_task()
        context, pool = copy_context(), self._tasks
        for _ in range(_IN_A_ROW):
            work = pool.begin()
            if work is None:
                break
            run = self._begin(work)
            if run is None:
                continue
            work.task = task
            handler = work.lane.handler  # type: ignore[union-attr]  # it has a place, so it has a lane
            try:
                ending: Ending | None = await call_async(handler, run, self._mask)
            except asyncio.CancelledError:
                ending = None
            self._finish(work, ending)
            if copy_context() != context or work.stopped or (task is not None and task.cancelling()):
                break
        if task is not None:
            self._servers.discard(task)
        self._go_on()

    def _begin(self, work: Work) -> Run[Any] | None:
        """What the handler is to be called with; None where it is not called now, and has given its place back."""
        execution, lane = work.execution, work.lane
        if lane is None or work.partition.gone:
            self._leave(work)
            return None
        now = self._clock.wall()
        if execution.expires is not None and execution.expires <= now:
            self._settle(work, "expired")
            return None
        # A clock that is behind the broker's knows of nothing that it has waited: that is looked at, too.
        waited = not -WAITED <= now - execution.timestamp <= WAITED
        if self._gate is None or not waited or execution.cause in ASKED_FOR or work.judged:
            return self._start(work, lane.handler, now)
        verdict = self._gate.verdict(lane.handler.name)
        if verdict is None:
            self._parked.setdefault(lane.handler.name, []).append((self._clock.monotonic(), work))
            self._gate.ask(lane.handler.name)
            return None
        if verdict[0] is not None:
            self._settle(work, "cancelled", verdict[0])
            return None
        return self._start(work, lane.handler, now)

    def _judged(self, found: Verdicts, asked: int) -> None:
        """The gate has answered what was asked at ``asked`` (monotonic, ms)."""
        for job, why in found.items():
            for since, work in self._parked.pop(job, ()):
                if since > asked and self._gate is not None and self._gate.verdict(job) is None:
                    self._parked.setdefault(job, []).append((since, work))
                    self._gate.ask(job)
                elif why is not None and not work.partition.gone:
                    self._settle(work, "cancelled", why)
                else:
                    work.judged = True
                    lane = self.lanes[job]
                    lane.pool.put_back(work, lane)
        self._go_on()

    def _start(self, work: Work, handler: Handler, now: int) -> Run[Any] | None:
        timeout = handler.timeout
        work.started_at, work.began = now, self._clock.monotonic()
        run = _NOT_TAKEN
        if handler.takes_run:
            work.cancelled = cancelled = Cancellation()
            deadline = None if timeout is None else now + timeout
            made = make_run(handler, work.execution, deadline=deadline, cancelled=cancelled, mask=self._mask)
            if isinstance(made, Ending):
                self._answer(work, made.status, made)
                tell(work, made)
                self._leave(work)
                return None
            run = made
        work.stage = Stage.RUNNING
        self._running[work] = None
        if timeout is not None or handler.expires_after is not None:
            self._outcomes.started(work)
        if timeout is not None:
            work.timer = self._loop.call_later(timeout / 1000, self._time_out, work, timeout)
        return run

    def _run_in_thread(self, work: Work, handler: Handler, run: Run[Any]) -> None:
        """In one of the pool's threads. Those that return at the same time wake the loop once."""
        if handler.timeout is not None:
            work.thread = threading.get_ident()
        ending = call(handler, run, self._mask)
        work.thread = None
        self._returned.append((work, ending))
        if not self._woken:
            self._woken = True
            self._call_soon(self._collect)

    def _collect(self) -> None:
        self._woken = False  # before it looks: what comes from now on wakes it again
        while self._returned:
            self._finish(*self._returned.popleft())
        self._go_on()

    # --- ending ------------------------------------------------------------------------------------------

    def _finish(self, work: Work, ending: Ending | None) -> None:
        """A handler has returned; None: because its task was cancelled."""
        del self._running[work]
        work.task = None
        if work.timer is not None:
            work.timer.cancel()
        # One that ran out of time has its outcome, and nobody waits for what it says now.
        if not work.answered and not (work.stopped and self._is_void(work, ending)):
            ending = ending or CANCELLED
            self._answer(work, ending.status, ending)
            if ending.status != "succeeded":
                tell(work, ending)
        if work.stopped:
            self._overdue.returned(work)
        self._leave(work)

    @staticmethod
    def _is_void(work: Work, ending: Ending | None) -> bool:
        """Whether the way in which a run ended that was told to stop says nothing of its work.

        One that returns may have done half of it; only what cannot have been told is sure to have done it all.
        """
        if ending is None or ending.status == "failed":
            return True
        if ending.status != "succeeded" or (work.cancelled is None and not _is_async(work)):
            return False
        logger.info("run %s returned after it was told to stop, which is no success: it is begun anew", work.id)
        return True

    def _settle(self, work: Work, status: Status, why: str | None = None) -> None:
        """It does not run at all."""
        self._answer(work, status, None if why is None else Ending(status, failure("Paused", why)))
        self._leave(work)

    def _answer(self, work: Work, status: Status, ending: Ending | None) -> None:
        if work.started_at is None:
            now, ran = self._clock.wall(), None
        else:  # one clock tells how long it took, so that it never ends before it began
            ran = self._clock.monotonic() - work.began
            now = work.started_at + ran
            if ran >= STILL:
                self._lag.ended(work)
        self._outcomes.final(work, status, now, ending)
        self._metrics.ended(status, ran)

    def _leave(self, work: Work) -> None:
        """Give its place back."""
        work.stage = Stage.OVER
        self.over += 1
        if work.lane is not None:
            work.lane.pool.end(work.lane)

    def _time_out(self, work: Work, timeout: int) -> None:
        if work.answered or work.partition.gone:
            return
        frames: list[FrameType] = []
        if work.task is not None:
            frames = stack_of_task(work.task)
        elif work.thread is not None:
            frames = stack_of_thread(work.thread)
        ending = out_of_time(timeout, frames, self._mask)
        self._answer(work, "failed", ending)
        tell(work, ending)
        self._cancel(work)
        self._overdue.told_to_stop(work)

    def _cancel(self, work: Work) -> None:
        work.stopped = True
        if work.cancelled is not None:
            work.cancelled.set()
        if work.task is not None:
            work.task.cancel()

    # --- the loop's own ----------------------------------------------------------------------------------

    def _sweep(self) -> None:
        """Tell ``started`` of what has been running for a while, and of a loop that stood still."""
        self._lag.look(self._running)
        before = self._clock.monotonic() - REPORTED
        for work in self._running:
            if work.began > before:
                break
            if not work.reported and not work.answered and not work.partition.gone:
                self._outcomes.started(work)
        self._sweeper = self._loop.call_later(_SWEEP / 1000, self._sweep)

    def _call_soon(self, function: Any, *arguments: Any) -> None:  # noqa: ANN401
        """From another thread, which may outlive the loop."""
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            logger.debug("a handler returned after the executor had stopped")


def _is_async(work: Work) -> bool:
    return work.lane is not None and work.lane.handler.is_async
