"""What a test looks at in a cluster. Nothing here lets anything happen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kadence.errors import NotFoundError
from kadence.testing.story import tell

if TYPE_CHECKING:
    from datetime import datetime

    from kadence.client import Client
    from kadence.testing.clock import ManualClock
    from kadence.testing.records import Event, Execution, Seen
    from kadence.testing.running import HandlerFailure
    from kadence.view import JobView
    from kadence.view.letters import Letter
    from kadence.view.runs import RunView


class Looking:
    """Jobs as the client shows them; executions, outcomes and events as they stand in the log."""

    def __init__(self, client: Client, clock: ManualClock, seen: Seen) -> None:
        self.client = client
        """A `kadence.Client`. What it writes is in force when it returns; what follows from it runs with `run_due`."""
        self.clock = clock
        self.failures: list[HandlerFailure] = []
        """What handlers raised, the first one first. Attempts that are tried again count, snoozes do not."""
        self._begun = clock.now
        self._seen = seen

    @property
    def now(self) -> datetime:
        """The cluster's time, an aware datetime (UTC)."""
        return self.clock.now

    def job(self, name: str) -> JobView:
        """A job as `Client.get` shows it. Raises `NotFoundError`."""
        return self.client.get(name)

    def state(self, name: str) -> str:
        """Its state: ``running``, ``paused``, ``errored`` or ``finished``. Raises `NotFoundError`."""
        return self.job(name).state

    def executions(self, job: str | None = None, *, topic: str | None = None) -> list[Execution]:
        """The executions of a job (None: all), in the order in which they were committed."""
        self._seen.look()
        return [
            one
            for one in self._seen.executions.values()
            if (job is None or one.job == job) and (topic is None or one.topic == topic)
        ]

    def execution(self, id: str) -> Execution:  # noqa: A002  the contract's word for it
        """The execution with this ``ce_id``; of the id of a run, its newest. Raises `NotFoundError`."""
        found = [one for one in self.executions() if id in {one.id, one.run}]
        if not found:
            raise NotFoundError(f"nothing was fired under the id {id}")
        return found[-1]

    def runs(self, *jobs: str) -> list[RunView]:
        """The runs of some jobs (none: all) as `Client.runs` shows them, the one begun last at the end."""
        return list(self.client.runs(jobs, since=self._begun))

    def events(self, name: str | None = None) -> list[Event]:
        """The events about a job or a hold (None: all), in the order in which they happened."""
        self._seen.look()
        return [one for one in self._seen.events if name is None or one.name == name]

    def dead_letters(self, *jobs: str) -> list[Letter]:
        """The dead letters of some jobs (none: all), the oldest first."""
        return list(self.client.dead_letters(jobs))

    # --- saying so -----------------------------------------------------------------------------------------

    def story(self, name: str | None = None) -> str:
        """What happened to a job (None: to all), a line each."""
        return tell(self.executions(name), self.events(name))

    def assert_state(self, name: str, expected: str) -> None:
        """Fail unless the job is in this state, with the reason for the state that it is in."""
        __tracebackhide__ = True
        job = self.job(name)
        if job.state != expected:
            why = f" ({job.reason})" if job.reason else ""
            raise AssertionError(f"job {name} is {job.state}{why}, not {expected}\n{self.story(name)}")

    def assert_fired(self, name: str, times: int) -> None:
        """Fail unless the job has so many executions, attempts included, with what happened instead."""
        __tracebackhide__ = True
        found = len(self.executions(name))
        if found != times:
            raise AssertionError(f"job {name} has {found} executions, not {times}\n{self.story(name)}")
