"""A namespace on a log in memory, with what a worker writes to it and what executors answer."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Final

from kadence.clock import SystemClock
from kadence.domain.duration import format_time
from kadence.domain.firing import firing_id, run_id
from kadence.domain.partition import partition_for
from kadence.executor.executor import Executor
from kadence.log.memory import MemoryLog
from kadence.log.topics import init_topics
from kadence.settings import Settings
from tests.surfaces.owner import NS

if TYPE_CHECKING:
    from collections.abc import Callable

    from kadence.handlers.app import App

_PATIENCE_MS: Final = 20_000
DUE: Final = 1_795_424_400_000
"""2026-11-23T09:00:00Z."""


def until(what: Callable[[], object]) -> None:
    """Wait until something is so."""
    clock, pause = SystemClock(), threading.Event()
    deadline = clock.monotonic() + _PATIENCE_MS
    while not what():
        assert clock.monotonic() < deadline, "waited in vain"
        pause.wait(0.005)


class Place:
    """``age``: milliseconds by which broker time lags, so that what is written now has waited."""

    def __init__(self, shards: int = 2) -> None:
        self.age = 0
        self.shards = shards
        wall = SystemClock().wall
        self.log = MemoryLog(lambda: wall() - self.age)
        self.log.set_brokers(3)
        init_topics(self.log.admin(), NS, shards)
        self._appender = self.log.appender()
        self._executors: list[Executor] = []

    def executor(self, app: App, name: str = "one", **settings: Any) -> Executor:
        """One that is started; `close` stops it."""
        given = {"namespace": NS, "worker_id": name, "executor_handover": 0.2, **settings}
        executor = Executor(app, Settings(**given), log=self.log.start(name), health=False)
        self._executors.append(executor)
        executor.start()
        return executor

    def close(self) -> None:
        for executor in self._executors:
            executor.stop(0)

    def fire(self, job: str, number: int = 0, *, app: str | None = "billing", n: int = 1, **headers: str) -> str:
        """Write an execution, due ``number`` hours after `DUE`; returns its id."""
        due = DUE + number * 3_600_000
        found = firing_id(run_id(job, due), n)
        written = [
            ("ce_type", "kadence.execution.v1"),
            ("ce_id", found),
            ("ce_subject", job),
            ("ce_time", format_time(due)),
        ]
        written += [(f"ce_{name}", value) for name, value in headers.items()]
        written += [] if app is None else [("kadence-app", app)]
        encoded = [(name, value.encode()) for name, value in written]
        place = partition_for(job.encode(), self.shards)
        self._appender.append(f"{NS}.executions", place, job.encode(), b'{"number":%d}' % number, encoded)
        return found

    def answer(self, job: str, id_: str, status: str) -> None:
        """An outcome, of some other executor."""
        value = json.dumps({"id": id_, "status": status}).encode()
        self._appender.append(f"{NS}.outcomes", partition_for(job.encode(), self.shards), job.encode(), value)

    def outcomes(self, status: str | None = None) -> list[dict[str, Any]]:
        """What executors said, of each partition in order."""
        records = [one for number in range(self.shards) for one in self.log.records(f"{NS}.outcomes", number)]
        found = [json.loads(one.value or b"null") for one in records]
        return [one for one in found if status in {None, one["status"]}]

    def ids(self, status: str) -> list[str]:
        """Of which firings that was said, in order."""
        return sorted(one["id"] for one in self.outcomes(status))
