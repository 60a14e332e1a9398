"""Simulated executors of the ``work-*`` jobs: they begin, fail, snooze, die in mid-run, and report late and twice."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kadence.domain.duration import format_time
from tests.sim.machine import NAMESPACE

if TYPE_CHECKING:
    from random import Random

    from kadence.log.memory import MemoryProcess
    from kadence.log.port import Record
    from tests.sim.observer import Observer
    from tests.sim.times import BrokerTime

_COURSES: Final = (
    (("started", "succeeded"), 30),
    (("succeeded",), 5),
    (("started", "failed"), 25),
    (("failed",), 8),
    (("started", "snoozed"), 8),
    (("started", "cancelled"), 4),
    (("expired",), 4),
    (("started",), 10),  # dies in mid-run
    ((), 6),  # or before it has begun
)
"""What an executor reports of an execution, and how often that happens."""
_RECENT: Final = 6


@dataclass
class _Execution:
    record: Record
    id: str
    left: list[str]


class Executors:
    """Everything that executes: one consumer of all executions that were ever committed."""

    def __init__(
        self, random: Random, time: BrokerTime, client: MemoryProcess, observer: Observer, shards: int
    ) -> None:
        self._random = random
        self._time = time
        self._appender = client.appender()
        self._observer = observer
        self._shards = shards
        self._seen: dict[tuple[str, int], int] = {}
        self._running: list[_Execution] = []
        self._unfinished: list[_Execution] = []
        self._said: list[tuple[Record, dict[str, Any]]] = []

    def act(self) -> str | None:
        """Say something of one execution under way, or something again; returns what."""
        self._receive()
        if self._said and self._random.random() < 0.1:
            record, value = self._random.choice(self._said)
            self._report(record, value)
            return f"{value['id']} {value['status']} again"
        if not self._running:
            return None
        # Mostly one that came lately: the others are late, or out of order.
        recent = self._random.random() < 0.8
        execution = self._random.choice(self._running[-_RECENT:] if recent else self._running)
        return self._go_on(execution)

    def finish(self) -> None:
        """Whoever died in mid-run is there again: each execution that was ever begun comes to its end."""
        self._receive()
        for execution in (*self._unfinished, *self._running):
            final = next((status for status in execution.left if status != "started"), "succeeded")
            self._say(execution, "succeeded" if final in {"failed", "snoozed"} else final)
        self._unfinished, self._running = [], []

    def _receive(self) -> None:
        self._observer.poll()
        for place, records in self._observer.records.items():
            if place[0] == f"{NAMESPACE}.executions":
                for record in records[self._seen.get(place, 0) :]:
                    if (record.key or b"").startswith(b"work"):
                        self._begin(record)
                self._seen[place] = len(records)

    def _begin(self, record: Record) -> None:
        id_ = next(value for name, value in record.headers if name == "ce_id").decode()
        courses, weights = zip(*_COURSES, strict=True)
        self._running.append(_Execution(record, id_, list(self._random.choices(courses, weights)[0])))

    def _go_on(self, execution: _Execution) -> str:
        if not execution.left:  # silently dead
            self._running.remove(execution)
            self._unfinished.append(execution)
            return f"{execution.id} -"
        status = execution.left.pop(0)
        self._say(execution, status)
        if status != "started":
            self._running.remove(execution)
        return f"{execution.id} {status}"

    def _say(self, execution: _Execution, status: str) -> None:
        value: dict[str, Any] = {"id": execution.id, "status": status}
        if status == "failed":
            value["error"] = {"type": "ValueError", "message": execution.id}
        if status == "snoozed" and self._random.random() < 0.7:
            value["until"] = format_time(self._time.now + self._random.randrange(-1_000, 6_000))
        self._said.append((execution.record, value))
        self._report(execution.record, value)

    def _report(self, record: Record, value: dict[str, Any]) -> None:
        place = record.partition if self._random.random() < 0.9 else self._random.randrange(self._shards)
        self._time.advance(1)
        self._appender.append(f"{NAMESPACE}.outcomes", place, record.key, json.dumps(value).encode())
