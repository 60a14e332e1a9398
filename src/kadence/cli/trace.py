"""Where an error came from, for those who ask with -v: without the frames of whatever called the command."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Final

import click

_LEFT_OUT: Final = (str(Path(click.__file__).parent), "<frozen ")


def trace_text(error: BaseException) -> str:
    """The traceback, with those of the errors that led to it."""
    whole = traceback.TracebackException.from_exception(error)
    waiting: list[traceback.TracebackException | None] = [whole]
    while waiting:
        one = waiting.pop()
        if one is not None:
            kept = [frame for frame in one.stack if not frame.filename.startswith(_LEFT_OUT)]
            one.stack = traceback.StackSummary.from_list(kept)
            waiting += [one.__cause__, one.__context__]
    return "".join(whole.format())
