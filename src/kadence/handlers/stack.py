"""Where a handler stands at this moment, for one that takes longer than it may: as a traceback shows it, no secrets."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING

from kadence.handlers.failure import is_ours, masked

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from kadence.handlers.secrets import Mask


def stack_of_thread(ident: int) -> list[FrameType]:
    """The frames of a thread, the outermost first; none where it has ended."""
    frames: list[FrameType] = []
    frame = sys._current_frames().get(ident)  # noqa: SLF001  the one way to another thread's
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames[::-1]


def stack_of_task(task: asyncio.Task[None]) -> list[FrameType]:
    """The frames of what a task awaits, the outermost first. `Task.get_stack` gives the first of them alone."""
    return list(_awaited(task.get_coro()))


def _awaited(awaitable: object) -> Iterator[FrameType]:
    """From a coroutine, or a generator that is one, to what it awaits, and on."""
    while awaitable is not None:
        for frame, inner in (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom")):
            if (found := getattr(awaitable, frame, None)) is not None:
                yield found
                awaitable = getattr(awaitable, inner)
                break
        else:
            return


def shown(frames: Sequence[FrameType], last: str, mask: Mask) -> str:
    """The frames from the user's code on, as in a traceback that ends with the line ``last``; "" without any."""
    try:
        ours = [is_ours(frame) for frame in frames]
        begin = ours.index(True) if True in ours else 0  # behind a thread's own frames
        while begin < len(frames) and ours[begin]:
            begin += 1
        own = frames[begin:]
        if not own:
            return ""
        found = traceback.StackSummary.extract(((frame, frame.f_lineno) for frame in own), capture_locals=False)
        lines = "".join(masked(part, mask) for part in found.format())
    except Exception as broken:  # noqa: BLE001  the frames are in use meanwhile
        return f"(where it stands cannot be shown: {type(broken).__name__})"
    return f"Traceback (most recent call last):\n{lines}{last}\n"
