"""What happened, told line by line: for the messages of failed assertions, and for whoever wonders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kadence.testing.records import clock_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kadence.testing.records import Event, Execution

_MOST: Final = 40


def tell(executions: Sequence[Execution], events: Sequence[Event]) -> str:
    """The newest of it, in order of time: when, and what; an execution with how it ended."""
    told = [(one.at, _fired(one)) for one in executions] + [(one.at, _happened(one)) for one in events]
    lines = [f"  {clock_time(at)}  {what}" for at, what in sorted(told, key=lambda pair: pair[0])]
    if not lines:
        return "  nothing has happened"
    left_out = len(lines) - _MOST
    return "\n".join([f"  ({left_out} earlier lines left out)", *lines[-_MOST:]] if left_out > 0 else lines)


def _fired(one: Execution) -> str:
    attempt = "" if one.attempt == 1 else f", attempt {one.attempt}"
    cause = "" if one.cause == "schedule" else f" ({one.cause}{attempt})"
    ended = one.status or "no outcome yet"
    return f"{one.id}{cause}: {ended}{'' if one.error is None else f', {one.error}'}"


def _happened(one: Event) -> str:
    change = f" {one.before} -> {one.after}" if one.before != one.after and one.after is not None else ""
    return f"{one.kind} {one.name}{change}{'' if one.reason is None else f': {one.reason}'}"
