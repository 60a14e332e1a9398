"""`MemoryCluster`: all of kadence in memory, in a time that passes only when a test says so."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Self

from kadence.client import Client
from kadence.domain.plain import instant
from kadence.domain.stimulus import Failure
from kadence.errors import NotFoundError
from kadence.executor.gate import barred
from kadence.handlers.failure import describe
from kadence.handlers.secrets import Mask
from kadence.log.memory import MemoryLog
from kadence.log.port import EARLIEST
from kadence.log.topics import init_topics
from kadence.testing.clock import START, ManualClock, milliseconds
from kadence.testing.handlers import Handlers
from kadence.testing.looking import Looking
from kadence.testing.outlet import Outlet
from kadence.testing.records import Seen
from kadence.testing.shards import Shards
from kadence.testing.waiting import WaitingLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from kadence.client.deploy import Deployed
    from kadence.handlers.app import App
    from kadence.testing.clock import Duration, Time
    from kadence.testing.records import Execution
    from kadence.wire.outcome import Status

_NAMESPACE: Final = "kadence"
_GLANCES: Final = (5_000, 60_000)
"""Milliseconds after which a worker has looked at its targets again: whether they are there, and how they are set."""

_DEEPEST: Final = 20


class MemoryCluster(Looking):
    """A broker, a worker and the executors of some apps, in one thread and without any of their threads.

    Nothing happens by itself. `run_due` does what is due now, `advance` lets time pass from one instant at which there
    is something to do to the next. The production code decides and calls the handlers; handlers take no time, unless
    they let it pass: by ``run.cancelled.wait(seconds)``, or by `advance`.
    """

    def __init__(
        self,
        *apps: App,
        start: Time = START,
        raise_failures: bool = True,
        topics: Iterable[str] = (),
        namespace: str = _NAMESPACE,
        shards: int = 1,
    ) -> None:
        """The apps' jobs are deployed at ``start``; nothing has run.

        ``raise_failures``: what a handler raises is raised by `run_due` or `advance`, too, once it is reported;
        False: it is one of `failures`, and the test goes on. ``topics``: targets of jobs without handlers, and topics
        for dead letters. Raises `ConfigurationError` where two apps get in each other's way.
        """
        clock = ManualClock(start)
        self.raise_failures = raise_failures
        self.namespace = namespace
        self.log = MemoryLog(clock.wall)
        """The log itself, a `kadence.log.memory.MemoryLog`: to look into, to write to, to make misbehave."""
        init_topics(self.log.admin(), namespace, shards, replication=1)
        log = WaitingLog(self.log.start("test"), self._wait)
        self._reader = log.reader()
        for suffix in ("executions", "outcomes", "events"):
            for shard in range(shards):
                self._reader.assign(f"{namespace}.{suffix}", shard, EARLIEST)
        seen = Seen(self._reader, namespace)
        super().__init__(Client(log=log, namespace=namespace, by="test", clock=clock), clock, seen)
        for topic in topics:
            self.create_topic(topic)
        self._shards = Shards(self.log, clock, namespace, shards)
        self._outcomes = Outlet(log.appender(), f"{namespace}.outcomes", shards)
        self._handlers = Handlers(seen, self._outcomes, clock, self.failures, self._barred, self._pass_until)
        self._raised = 0
        for app in apps:
            self.deploy(app)

    def deploy(self, app: App) -> Deployed:
        """Deploy an app's jobs, and run its handlers; those of an earlier version of it are not run any more."""
        self._handlers.take(app, self.namespace)
        return self.client.deploy(app.specs(), app.name, strict=True)

    def create_topic(self, topic: str, partitions: int = 1) -> None:
        """Make a topic for jobs to write to."""
        self.log.admin().create(topic, partitions, 1, {"message.timestamp.type": "LogAppendTime"})
        for partition in range(partitions):
            self._reader.assign(topic, partition, EARLIEST)

    def close(self) -> None:
        """Let go of everything. Idempotent."""
        self._handlers.close()
        self.client.close()
        self._shards.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- time ----------------------------------------------------------------------------------------------

    def run_due(self) -> None:
        """Decide and run everything that is due now; no time passes."""
        self._pass_until(self.clock.wall())

    def advance(self, duration: Duration) -> None:
        """Let time pass: ``"1h30m"``, seconds or a timedelta. All that comes due is run, each at its instant."""
        self._pass_until(self.clock.wall() + milliseconds(duration))

    def advance_to(self, time: Time) -> None:
        """Let time pass up to an instant: RFC 3339, or an aware datetime. Raises ValueError for one that is over."""
        until = instant(time)
        if until < self.clock.wall():
            raise ValueError(f"it is {self.now} already, and time does not go back to {time}")
        self._pass_until(until)

    def _pass_until(self, until: int, stop: Callable[[], bool] = lambda: False) -> None:
        if len(self._handlers.running) > _DEEPEST:
            raise RuntimeError(
                f"{_DEEPEST} handlers let time pass at once, each within the one before, which has to wait for it: let "
                "fewer runs overlap here, or none"
            )
        glances = [self.clock.wall() + after for after in _GLANCES]
        self._settle()
        while (now := self.clock.wall()) < until and not stop():
            ahead = (self._shards.next_due(), self._handlers.next_due(), *glances)
            self.clock.go_to(min([at for at in ahead if at is not None and at > now] + [until]))
            self._handlers.check_deadlines()
            self._settle()
        self._shards.settle(everyone=True)

    def _settle(self) -> None:
        """Do everything that can be done now, and raise what a handler raised."""
        self._shards.settle()
        while self._handlers.run():
            self._shards.settle()
        if self._handlers.running:  # in the midst of a handler: whoever called that one raises
            return
        fresh, self._raised = self.failures[self._raised :], len(self.failures)
        if fresh and self.raise_failures:
            first, *more = fresh
            first.error.add_note(f"in attempt {first.attempt} at run {first.run}, at {self.now:%Y-%m-%d %H:%M:%S} UTC")
            if more:
                first.error.add_note(f"{len(more)} more failed at that instant; the cluster's failures tell")
            raise first.error

    def _wait(self, seconds: float) -> None:
        """What a reader does instead of waiting: let the shards decide, and then let time pass. No handler runs."""
        until = self.clock.wall() + round(seconds * 1000)
        self._shards.settle()
        while (now := self.clock.wall()) < until:
            due = self._shards.next_due()
            self.clock.go_to(until if due is None or due <= now else min(due, until))
            self._shards.settle()

    # --- what comes from outside ---------------------------------------------------------------------------

    def trigger(self, job: str, payload: object = ..., *, id: str | None = None) -> Execution:  # noqa: A002
        """Run a job once, now, paused or not, with its own payload or another; returns its execution."""
        run = f"{job}!{self.client.trigger(job, payload, id=id)}"
        self.run_due()
        return self.execution(run)

    def report(
        self,
        execution: Execution | str,
        status: Status,
        *,
        error: str | BaseException | None = None,
        until: Time | None = None,
        result: object = None,
    ) -> None:
        """Report an outcome, as the consumer of a job without a handler does; the worker decides on it at once.

        ``execution``: one of `executions`, or its id; that of a run means its newest execution. ``error``: for
        ``failed``; ``until``: for ``snoozed``, when to run it again.
        """
        about = self.execution(execution) if isinstance(execution, str) else execution
        told = describe(error, Mask()) if isinstance(error, BaseException) else None
        if isinstance(error, str):
            kind, colon, message = error.partition(": ")
            told = Failure(kind, message) if colon and kind.isidentifier() else Failure("Error", error)
        again = None if until is None else instant(until)
        self._outcomes.write(about.job, about.id, status, error=told, until=again, result=result)
        self._shards.settle()

    @contextmanager
    def executors_down(self) -> Iterator[None]:
        """No handler runs for as long as this lasts; what was fired meanwhile is run with what comes next."""
        self._handlers.down = True
        try:
            yield
        finally:
            self._handlers.down = False

    def _barred(self, job: str) -> str | None:
        try:
            return barred(self.job(job))
        except NotFoundError:
            return None
