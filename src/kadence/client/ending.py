"""Ending a hold now with a choice of what becomes of the due times that it kept: the hold again, with its end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kadence.domain.duration import format_time
from kadence.errors import NotFoundError

if TYPE_CHECKING:
    from kadence.domain.spec import Policy
    from kadence.view import HoldView


def ended_at(name: str, hold: HoldView | None, now: int, catch_up: Policy) -> dict[str, object] | None:
    """The hold's value with ``end`` and ``catch_up``; None where it has kept nothing yet and is simply to be released.

    Raises `NotFoundError` where no such hold stands.
    """
    if hold is None or hold.hold is None or hold.state == "rejected":
        raise NotFoundError(f"there is no hold {name} in force; `kadence holds` shows what there is")
    wanted = hold.hold
    if hold.state == "ended":
        end = "" if wanted.end is None else f" at {format_time(wanted.end)}"
        raise NotFoundError(f"hold {name} ended{end}, and what it kept was decided then; release it without catch-up")
    if hold.state == "releasing":
        raise NotFoundError(f"hold {name} is being released already, without catch-up")
    if wanted.start is not None and wanted.start >= now:
        return None
    reason = {} if hold.reason is None else {"reason": hold.reason}
    return {**replace(wanted, end=now, catch_up=catch_up).document(), **reason}
