"""How runs end whose handlers do not say it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kadence.handlers.handler import Ending
from kadence.handlers.stack import shown
from kadence.wire.outcome import failure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from kadence.handlers.secrets import Mask

CANCELLED: Final = Ending("failed", failure("CancelledError", "the task of the handler was cancelled"))
LATER: Final = 10_000
"""Milliseconds until a run comes again whose handler is not here yet: an older version is running beside a newer."""


def out_of_time(timeout: int, frames: Sequence[FrameType] = (), mask: Mask | None = None) -> Ending:
    """How a run ends that is still at work after ``timeout`` ms; ``frames``: where it stands."""
    message = f"it has run for longer than its timeout, {timeout / 1000:g} s"
    trace = "" if mask is None else shown(frames, f"TimeoutError: {message}", mask)
    return Ending("failed", failure("TimeoutError", message, trace))


def no_handler(app: str, theirs: str | None, job: str, now: int) -> Ending:
    """How a firing ends whose job this executor, of ``app``, cannot run; it was made for the app ``theirs``."""
    of = "" if theirs == app else f" of app {theirs}"
    message = f"app {app} has no handler for job {job}{of} in this version"
    return Ending("snoozed", failure("NoHandler", message), until=now + LATER)
