"""A handler, and calling it: from an execution to how it ended. Nothing that a handler does gets out of here."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol

from kadence.clock import SystemClock
from kadence.domain.firing import firing_id
from kadence.domain.spec import compact_json
from kadence.handlers.failure import describe, message_of
from kadence.handlers.payload import ANYTHING, InvalidPayloadError
from kadence.handlers.run import Cancel, Run, Snooze
from kadence.handlers.secrets import Mask
from kadence.wire import strict
from kadence.wire.outcome import failure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from kadence.clock import Clock
    from kadence.domain.firing import Firing
    from kadence.domain.stimulus import Failure
    from kadence.handlers.payload import Payload
    from kadence.handlers.run import Cancellation
    from kadence.wire.outcome import Status

MAX_RESULT: Final = 4096
"""Bytes of a return value that goes into the outcome; a larger one is left out."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_CLOCK: Final = SystemClock()
_PATTERNS: Final = Mask()


class Received(Protocol):
    """What is needed of an execution. ``due``: its ``ce_time`` (ms)."""

    @property
    def firing(self) -> Firing: ...  # noqa: D102
    @property
    def due(self) -> int: ...  # noqa: D102
    @property
    def attempt(self) -> int: ...  # noqa: D102
    @property
    def cause(self) -> str: ...  # noqa: D102
    @property
    def headers(self) -> Mapping[str, bytes]: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Handler:
    """The function of one job, and what its executor must know of the job: how many at once, in order, for how long.

    ``concurrency``: runs of this job at once in one executor (None: as many as it has room for). ``ordered``: one
    after the other, in the order of the log. ``timeout`` and ``expires_after`` as the spec has them, in ms.
    """

    name: str
    function: Callable[..., object]
    is_async: bool = False
    takes_run: bool = True
    concurrency: int | None = None
    ordered: bool = False
    timeout: int | None = None
    expires_after: int | None = None
    payload: Payload = ANYTHING


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call ended: an outcome's status and what belongs to it. ``until`` (ms) with ``snoozed`` only."""

    status: Status
    error: Failure | None = None
    until: int | None = None
    result: object = None


_SUCCEEDED: Final = Ending("succeeded")


def make_run(
    handler: Handler,
    execution: Received,
    *,
    deadline: int | None,
    cancelled: Cancellation,
    mask: Mask = _PATTERNS,
) -> Run[Any] | Ending:
    """What the handler is given; an ending where the payload is not valid, which fails the attempt. Never raises.

    ``deadline`` in ms since the epoch.
    """
    firing = execution.firing
    try:
        # One that takes nothing is not troubled with what it would not look at.
        payload = handler.payload.read(execution.value, execution.headers) if handler.takes_run else None
    except InvalidPayloadError as error:
        return Ending("failed", failure("InvalidPayload", mask(f"the payload cannot be used: {error}")))
    except Exception as error:  # noqa: BLE001  a validator of the user's
        return Ending("failed", describe(error, mask))
    return Run(
        id=firing.run,
        job=firing.job,
        due=_aware(execution.due),
        payload=payload,
        attempt=execution.attempt,
        headers=MappingProxyType(execution.headers),
        deadline=None if deadline is None else _aware(deadline),
        cancelled=cancelled,
        firing=firing_id(firing.run, firing.n),
        cause=execution.cause,
    )


def call(handler: Handler, run: Run[Any], mask: Mask, clock: Clock = _CLOCK) -> Ending:
    """Call a plain function, in whatever thread this is. Never raises, not even what would end the process."""
    try:
        returned = handler.function(run) if handler.takes_run else handler.function()
        if inspect.isawaitable(returned):
            _give_up(returned)
            msg = "it returned something to await, which nobody does; declare the handler with async def"
            return Ending("failed", failure("TypeError", msg))
    except BaseException as error:  # noqa: BLE001  SystemExit, too, is this run's affair alone
        return _raised(error, mask, clock)
    return _SUCCEEDED if returned is None else Ending("succeeded", result=_result(returned))


async def call_async(handler: Handler, run: Run[Any], mask: Mask, clock: Clock = _CLOCK) -> Ending:
    """Await a coroutine function. Raises nothing but CancelledError, and that only where its own task was cancelled."""
    try:
        returned: Any = handler.function(run) if handler.takes_run else handler.function()
        returned = await returned
    except asyncio.CancelledError as error:
        # One that the handler caused, by awaiting a task of its own that was cancelled, is its failure.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return _raised(error, mask, clock)
    except BaseException as error:  # noqa: BLE001  SystemExit, too, is this run's affair alone
        return _raised(error, mask, clock)
    return _SUCCEEDED if returned is None else Ending("succeeded", result=_result(returned))


def _raised(error: BaseException, mask: Mask, clock: Clock) -> Ending:
    match error:
        case Snooze():
            return Ending("snoozed", until=error.until(clock.wall()))
        case Cancel():
            return Ending("cancelled", failure("Cancel", mask(message_of(error))))
        case _:
            return Ending("failed", describe(error, mask))


def _give_up(awaitable: Awaitable[object]) -> None:
    """A coroutine that is never awaited would warn."""
    if inspect.iscoroutine(awaitable):
        awaitable.close()


def _result(returned: object) -> object:
    """The return value as an outcome can carry it: JSON, not large, not deep. None for anything else."""
    if returned is None:
        return None
    try:
        data = compact_json(returned)
        if len(data) > MAX_RESULT:
            return None
        strict.loads(b'{"result":%b}' % data)  # a worker reads an outcome strictly, and would refuse all of it
        return strict.loads(data)
    except Exception:  # noqa: BLE001  whatever it is, it is no JSON, and the run has succeeded
        return None


@lru_cache(maxsize=4096)
def _aware(instant: int) -> datetime:
    return _EPOCH + instant * _MS
