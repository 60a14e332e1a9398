"""What a test looks at: executions with how they ended, and events. Plain frozen values, read from the log."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, cast

from typing_extensions import override

from kadence.domain.duration import format_time
from kadence.domain.plain import instant
from kadence.domain.stimulus import Outcome
from kadence.executor.execution import read_execution
from kadence.handlers.payload import ANYTHING
from kadence.testing.clock import aware
from kadence.wire import outcome as outcomes
from kadence.wire.letter import RUN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from kadence.executor.execution import Execution as Received
    from kadence.log.port import LogReader, Record
    from kadence.wire.outcome import Status

_MANY: Final = 5_000
_PREFIX: Final = "kadence."
_SUFFIX: Final = ".v1"


@dataclass(frozen=True, slots=True)
class Execution:
    """One committed execution, and how it ended. Times are aware datetimes (UTC).

    ``id`` is its ``ce_id``, ``run`` the same without ``#n``: that of the run, which further attempts share. ``at``:
    when it was committed. ``payload`` is parsed where it is JSON, else text or bytes. ``status`` is what was reported
    first as its end (None: nothing yet), ``error`` its error in one line, ``result`` what the handler returned.
    """

    id: str
    run: str
    job: str
    due: datetime
    at: datetime
    attempt: int = 1
    cause: str = "schedule"
    payload: object = None
    headers: Mapping[str, bytes] = field(default_factory=dict)
    topic: str = ""
    status: Status | None = None
    error: str | None = None
    result: object = None

    @override
    def __repr__(self) -> str:
        """In short: what most tests of them are about."""
        said = self.status or "no outcome yet"
        return f"<Execution {self.id} ({self.cause}, attempt {self.attempt}): {said}>"


@dataclass(frozen=True, slots=True)
class Event:
    """One event: ``kind`` as in ``job.errored``, ``name`` of the job or hold, ``detail`` the rest of its JSON."""

    kind: str
    name: str
    at: datetime
    reason: str | None = None
    before: str | None = None
    after: str | None = None
    detail: Mapping[str, object] = field(default_factory=dict)

    @override
    def __repr__(self) -> str:
        return f"<Event {self.kind} {self.name}{'' if self.reason is None else f': {self.reason}'}>"


class Seen:
    """Everything of executions, outcomes and events that the log has had, in the order in which it was read."""

    def __init__(self, reader: LogReader, namespace: str) -> None:
        """``reader`` has the topics assigned, from their beginnings."""
        self._reader = reader
        self._outcomes, self._events = f"{namespace}.outcomes", f"{namespace}.events"
        self.executions: dict[str, Execution] = {}
        self.events: list[Event] = []
        self.arrived: list[Received] = []
        """Executions that were read and not yet fetched by whoever runs them."""

    def look(self) -> None:
        """Read what is new: in order of time, and outcomes after the executions that they are about."""
        found: list[Record] = []
        while records := self._reader.read(_MANY, 0):
            found += records
        found.sort(key=lambda one: (one.topic == self._outcomes, one.timestamp, one.topic, one.partition, one.offset))
        for record in found:
            if record.topic == self._outcomes:
                self._hear(record)
            elif record.topic == self._events:
                self.events.append(_event(record))
            else:
                self._arrive(record)

    def _arrive(self, record: Record) -> None:
        received = read_execution(record)
        if received is None or RUN in received.headers:  # a dead letter looks like the execution that it was
            return
        self.arrived.append(received)
        self.executions[received.id] = Execution(
            id=received.id,
            run=received.firing.run,
            job=received.firing.job,
            due=aware(received.due),
            at=aware(record.timestamp),
            attempt=received.attempt,
            cause=received.cause,
            payload=_payload(received),
            headers=received.headers,
            topic=record.topic,
        )

    def _hear(self, record: Record) -> None:
        heard = outcomes.decode(record.key, record.value, record.offset, record.timestamp)
        if not isinstance(heard, Outcome) or heard.status not in outcomes.FINAL:
            return
        known = self.executions.get(heard.id)
        if known is None or known.status is not None:
            return
        error = None if heard.error is None else heard.error.line or None
        result = json.loads(record.value or b"{}").get("result")
        self.executions[heard.id] = replace(known, status=cast("Status", heard.status), error=error, result=result)


def _payload(received: Received) -> object:
    try:
        return ANYTHING.read(received.value, received.headers)
    except Exception:  # noqa: BLE001  a foreign content type that promises JSON
        return received.value


def _event(record: Record) -> Event:
    headers = dict(record.headers)
    body = json.loads(record.value or b"{}")
    state = body.pop("state", None) or {}
    kind = headers.get("ce_type", b"").decode().removeprefix(_PREFIX).removesuffix(_SUFFIX)
    reason, before, after = body.pop("reason", None), state.get("before"), state.get("after")
    return Event(kind, headers["ce_subject"].decode(), aware(record.timestamp), reason, before, after, body)


def clock_time(at: datetime) -> str:
    """An instant as it stands in ids."""
    return format_time(instant(at))
