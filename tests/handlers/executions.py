"""Executions as a handler's caller sees them, and a clock that stands still."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kadence.domain.firing import Firing, read_firing
from kadence.handlers.app import App
from kadence.handlers.handler import Ending, Handler, call, make_run
from kadence.handlers.run import Run
from kadence.handlers.secrets import Mask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NOW = 1_790_000_000_000
JSON = {"content-type": b"application/json"}


class StandingClock:
    """Always `NOW`."""

    def wall(self) -> int:
        return NOW

    def monotonic(self) -> int:
        return 0


CLOCK = StandingClock()
MASK = Mask(["hunter22"])


@dataclass(frozen=True)
class Arrived:
    """One execution of ``<job>@2026-11-23T09:00:00Z``, or whichever ``id`` says."""

    value: bytes | None = b"null"
    id: str = "tick@2026-11-23T09:00:00Z"
    due: int = 1_795_424_400_000
    attempt: int = 1
    cause: str = "schedule"
    headers: Mapping[str, bytes] = field(default_factory=lambda: JSON)

    @property
    def firing(self) -> Firing:
        found = read_firing(self.id)
        assert found is not None
        return found


def handler_of(function: Callable[..., object], **fields: Any) -> Handler:
    """The handler of a job ``tick`` that nothing is asked of."""
    app = App("billing")
    app.job("tick", **{"every": "1h", "paused": True, **fields})(function)
    return app.handlers["tick"]


def run_of(handler: Handler, arrived: Arrived | None = None) -> Run[Any]:
    made = make_run(handler, arrived or Arrived(), deadline=None, cancelled=threading.Event())
    assert isinstance(made, Run)
    return made


def called(function: Callable[..., object]) -> Ending:
    """How it ends, called as its executor does."""
    handler = handler_of(function)
    return call(handler, run_of(handler), MASK, CLOCK)
