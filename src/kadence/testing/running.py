"""One handler at work: what it was given, until when it may take, and waiting in it without waiting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kadence.handlers.payload import InvalidPayloadError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from kadence.domain.stimulus import Failure
    from kadence.executor.execution import Execution as Received


class VirtualCancellation:
    """A run's ``cancelled``: `wait` lets the cluster's time pass, and everything happens that is due meanwhile."""

    def __init__(self, now: Callable[[], int], pass_until: Callable[[int, Callable[[], bool]], None]) -> None:
        """``pass_until(instant, stop)`` lets time pass up to an instant (ms), or until ``stop()``."""
        self._now = now
        self._pass_until = pass_until
        self._set = False

    def set(self) -> None:
        """The run should stop."""
        self._set = True

    def is_set(self) -> bool:
        """Whether it should."""
        return self._set

    def wait(self, timeout: float | None = None) -> bool:
        """Let up to ``timeout`` seconds pass; says whether the run should stop."""
        if not self._set:
            if timeout is None:
                raise RuntimeError("cancelled.wait() without a timeout would last for ever here; give it one")
            self._pass_until(self._now() + round(max(timeout, 0) * 1000), self.is_set)
        return self._set


@dataclass(slots=True, eq=False)
class Running:
    """A run whose handler has not returned. Instants in ms; ``answered``: its outcome is written."""

    execution: Received
    started: int
    deadline: int | None
    cancelled: VirtualCancellation
    answered: bool = False
    raised: BaseException | None = None


@dataclass(frozen=True, slots=True)
class HandlerFailure:
    """A handler that failed: in which attempt at which run, when, and with what.

    ``error`` is what it raised, with its traceback; ``told`` what was reported of it, secrets masked.
    """

    run: str
    job: str
    attempt: int
    at: datetime
    error: BaseException
    told: Failure

    @property
    def traceback(self) -> str:
        """As it was reported: from the handler's code on."""
        return self.told.traceback


def error_of(told: Failure) -> BaseException:
    """The error where no handler raised one: out of time, a payload that is not valid, a coroutine returned."""
    match told.type:
        case "TimeoutError":
            return TimeoutError(told.message)
        case "InvalidPayload":
            return InvalidPayloadError(told.message)
        case _:
            return TypeError(told.message)
