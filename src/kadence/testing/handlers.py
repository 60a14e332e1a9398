"""The executor without its threads: runs each execution of its apps with the production code, one after the other.

What is judged before a handler is called, and what is made of how it ends, is as in `kadence.executor.dispatcher`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter, deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from kadence.errors import ConfigurationError
from kadence.executor.dispatcher import ASKED_FOR, WAITED
from kadence.executor.endings import no_handler, out_of_time
from kadence.handlers.failure import from_user_code
from kadence.handlers.handler import Ending, call, call_async, make_run
from kadence.handlers.secrets import Mask
from kadence.testing.coroutines import Coroutines
from kadence.testing.running import HandlerFailure, Running, VirtualCancellation, error_of
from kadence.wire.outcome import failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kadence.domain.stimulus import Failure
    from kadence.executor.execution import Execution as Received
    from kadence.handlers.app import App
    from kadence.handlers.handler import Handler
    from kadence.testing.clock import ManualClock
    from kadence.testing.outlet import Outlet
    from kadence.testing.records import Seen

EXECUTOR: Final = "kadence.testing"
_MOST_FIRINGS: Final = 1_000
_MOST_TRIGGERS: Final = 10_000
_OF_THE_RUN: Final = (Exception, SystemExit, GeneratorExit, asyncio.CancelledError)
"""What ends a run. Anything else is about the test: Ctrl-C, ``pytest.fail()`` and its kin."""


class Handlers:
    """The handlers of some apps, and what they have to do. Nothing happens but in `run` and `check_deadlines`."""

    def __init__(
        self,
        seen: Seen,
        outcomes: Outlet,
        clock: ManualClock,
        failures: list[HandlerFailure],
        barred: Callable[[str], str | None],
        pass_until: Callable[[int, Callable[[], bool]], None],
    ) -> None:
        """``failures`` is added to. ``barred`` says why a job may not run now, None where it may."""
        self.seen = seen
        self.apps: dict[str, App] = {}
        self._handlers: dict[str, Mapping[str, Handler]] = {}
        self.failures = failures
        self.down = False
        self.running: list[Running] = []
        self._outcomes = outcomes
        self._clock = clock
        self._barred = barred
        self._pass_until = pass_until
        self._queue: deque[Received] = deque()
        self._mask = Mask()
        self._coroutines = Coroutines()
        self._count: Counter[str] = Counter()
        self._counted_at = 0

    def take(self, app: App, namespace: str) -> None:
        """Run the handlers of an app from now on, and no more those of an earlier version of it."""
        together = {**self.apps, app.name: app}
        for name, one in together.items():
            others = [other for other in together.values() if other is not one]
            if any(other.group_of(namespace) == one.group_of(namespace) for other in others):
                raise ConfigurationError(
                    f"app {name} has the consumer group {one.group_of(namespace)}, and so has another one: where a "
                    f'namespace has several apps, each needs a group of its own, as App("{name}", group="{name}") '
                    "gives it"
                )
        self._handlers[app.name] = app.handlers
        self.apps[app.name] = app

    def next_due(self) -> int | None:
        """When the first of those that are at work runs out of time (ms)."""
        return min(
            (one.deadline for one in self.running if one.deadline is not None and not one.answered), default=None
        )

    def run(self) -> bool:
        """Run what has been fired; False where there was nothing."""
        self.seen.look()
        arrived, self.seen.arrived = self.seen.arrived, []
        self._queue.extend(arrived)
        if self.down or not self._queue:
            return False
        while self._queue:
            self._begin(self._queue.popleft())
        return True

    def _begin(self, execution: Received) -> None:
        app, job, now = self.apps.get(execution.app or ""), execution.firing.job, self._clock.wall()
        if app is None:  # somebody else's, or a target's
            return
        self._guard(execution, now)
        handler = self._handlers[app.name].get(job)
        waited = now - execution.timestamp > WAITED and execution.cause not in ASKED_FOR
        if handler is None:
            self._answer(execution, no_handler(app.name, app.name, job, now))
        elif execution.expires is not None and execution.expires <= now:
            self._answer(execution, None)
        elif waited and not app.run_paused_backlog and (why := self._barred(job)) is not None:
            self._answer(execution, Ending("cancelled", failure("Paused", why)))
        else:
            self._call(handler, execution, now)

    def _guard(self, execution: Received, now: int) -> None:
        """Time does not pass by itself: what follows from itself at once would never end."""
        if now != self._counted_at:
            self._counted_at, self._count = now, Counter()
        firing, triggered = execution.firing, execution.cause == "trigger"
        self._count[firing.run] += 1
        self._count[firing.job] += triggered
        if self._count[firing.run] > _MOST_FIRINGS or self._count[firing.job] > _MOST_TRIGGERS:
            what = "does it trigger itself?" if triggered else "does it snooze for no time at all?"
            raise RuntimeError(f"job {firing.job} is run again and again at one instant, {self._clock.now}: {what}")

    def _call(self, handler: Handler, execution: Received, now: int) -> None:
        deadline = None if handler.timeout is None else now + handler.timeout
        running = Running(execution, now, deadline, VirtualCancellation(self._clock.wall, self._pass_until))
        run = make_run(handler, execution, deadline=deadline, cancelled=running.cancelled, mask=self._mask)
        if isinstance(run, Ending):
            self._end(running, run)
            return
        if handler.timeout is not None or handler.expires_after is not None:
            self._outcomes.write(execution.firing.job, execution.id, "started", started_at=now, executor=EXECUTOR)
        watched = _watched(handler, running)
        self.running.append(running)
        try:
            if handler.is_async:
                ending = self._coroutines.run(call_async(watched, run, self._mask, self._clock))
            else:
                ending = call(watched, run, self._mask, self._clock)
            self.check_deadlines()
        finally:
            self.running.remove(running)
        if running.raised is not None and not isinstance(running.raised, _OF_THE_RUN):
            raise running.raised
        if not running.answered:
            self._end(running, ending, running.raised)

    def check_deadlines(self) -> None:
        """End those that have run for longer than their timeout, whatever they will return."""
        for one in self.running:
            if one.deadline is not None and one.deadline <= self._clock.wall() and not one.answered:
                self._end(one, out_of_time(one.deadline - one.started))
                one.cancelled.set()

    def _end(self, running: Running, ending: Ending, raised: BaseException | None = None) -> None:
        running.answered = True
        self._answer(running.execution, ending, running.started)
        if ending.status == "failed" and ending.error is not None:
            self._note(running.execution, raised or error_of(ending.error), ending.error)

    def _note(self, execution: Received, error: BaseException, told: Failure) -> None:
        error.__traceback__ = from_user_code(error.__traceback__)
        firing = execution.firing
        self.failures.append(HandlerFailure(firing.run, firing.job, execution.attempt, self._clock.now, error, told))

    def _answer(self, execution: Received, ending: Ending | None, started: int | None = None) -> None:
        """Report how it ended; None: it had expired."""
        self._outcomes.write(
            execution.firing.job,
            execution.id,
            "expired" if ending is None else ending.status,
            error=None if ending is None else ending.error,
            started_at=started,
            finished_at=self._clock.wall(),
            until=None if ending is None else ending.until,
            executor=EXECUTOR,
            result=None if ending is None else ending.result,
        )

    def close(self) -> None:
        """Release the event loop."""
        self._coroutines.close()


def _watched(handler: Handler, running: Running) -> Handler:
    """The same handler; what it raises is remembered as it is."""

    def function(*given: Any) -> object:
        try:
            return handler.function(*given)
        except BaseException as error:
            running.raised = error
            raise

    async def coroutine(*given: Any) -> object:
        try:
            returned = handler.function(*given)
            return await returned if inspect.isawaitable(returned) else returned
        except BaseException as error:
            running.raised = error
            raise

    return replace(handler, function=coroutine if handler.is_async else function)
