"""An exception as an outcome tells it: its type, its message and where in the user's code it came from; no secrets."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Final

from kadence.wire.outcome import failure

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from kadence.domain.stimulus import Failure
    from kadence.handlers.secrets import Mask

_LONGEST: Final = 24_000
"""Characters of one message that are looked at; an outcome keeps fewer."""
_CUT: Final = 4_000
"""Characters that are then left out at the end: a secret that was cut in two there could not be told."""


def describe(error: BaseException, mask: Mask) -> Failure:
    """The error, masked and within the bounds of an outcome. Never raises."""
    return failure(type_name(type(error)), masked(message_of(error), mask), _trace(error, mask))


def type_name(kind: type[BaseException]) -> str:
    """``billing.errors.CardDeclined``; those of Python itself without a module."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def message_of(error: BaseException) -> str:
    """What an exception says of itself. Never raises."""
    try:
        return str(error)
    except BaseException as broken:  # noqa: BLE001  the user's own __str__, which may raise SystemExit, too
        return f"(its message cannot be shown: {type(broken).__name__})"


def masked(text: str, mask: Mask) -> str:
    """A text without secrets, of a bounded length."""
    return mask(text) if len(text) <= _LONGEST else mask(text[:_LONGEST])[:-_CUT] + "…\n"


def _trace(error: BaseException, mask: Mask) -> str:
    """As Python prints it, without local variables, and from the user's code on."""
    try:
        found = traceback.TracebackException(
            type(error), error, from_user_code(error.__traceback__), capture_locals=False, compact=True
        )
        return "".join(masked(part, mask) for part in found.format())
    except BaseException as broken:  # noqa: BLE001  exceptions can be made that Python cannot print
        return f"(its traceback cannot be shown: {type(broken).__name__})"


def from_user_code(trace: TracebackType | None) -> TracebackType | None:
    """What is left of a traceback without the frames of kadence that it begins with."""
    while trace is not None and is_ours(trace.tb_frame):
        trace = trace.tb_next
    return trace


def is_ours(frame: FrameType) -> bool:
    """Whether a frame is one of kadence."""
    return str(frame.f_globals.get("__name__", "")).startswith("kadence.")
