"""The holds at one moment: what is wanted, and where and over what it is applied."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kadence.domain.stimulus import PutHold, Rejected, ReleaseHold
from kadence.view.model import HoldView
from kadence.wire import control

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kadence.domain.holds import Hold
    from kadence.domain.job import AppliedHold
    from kadence.domain.stimulus import Change
    from kadence.view.evidence import Evidence
    from kadence.view.model import HoldState, JobView


def view_holds(found: Evidence, jobs: Mapping[str, JobView], namespace: str, at: int) -> dict[str, HoldView]:
    """Every hold that is wanted or still applied somewhere, by name; ended ones stay until they are released."""
    names = set(found.holds) | {name for shard in found.shards.values() for name in shard.holds}
    seen: dict[str, HoldView] = {}
    for name in sorted(names):
        applied = {number: shard.holds[name] for number, shard in found.shards.items() if name in shard.holds}
        change = _wanted(found, name, namespace)
        view = _view_hold(name, change, applied, found, at)
        if view is not None:
            seen[name] = _counted(view, applied, jobs)
    return seen


def _wanted(found: Evidence, name: str, namespace: str) -> Change | None:
    """The hold's newest record, unless it takes the hold away."""
    if name not in found.holds:
        return None
    record = found.holds[name].newest
    change = control.decode(record.key, record.value, record.offset, record.timestamp, namespace)
    return None if isinstance(change.wish, ReleaseHold) else change


def _view_hold(
    name: str, change: Change | None, applied: Mapping[int, AppliedHold], found: Evidence, at: int
) -> HoldView | None:
    some = next(iter(applied.values()), None)
    if change is None:
        if some is None or some.ended:
            return None
        return HoldView(name, some.hold, "releasing", _since(applied), some.by, some.reason, 0, len(applied))
    current = {number: one for number, one in applied.items() if one.offset == change.offset}
    behind = any(
        number not in current and (shard.cursor is None or shard.cursor.control <= change.offset)
        for number, shard in found.shards.items()
    )
    if not isinstance(change.wish, PutHold) or not (current or behind):
        return _refused(name, change, applied, at)
    hold = change.wish.hold
    state = "pending" if behind else _state(hold, at)
    return HoldView(name, hold, state, _since(applied), change.by, change.reason, 0, len(current))


def _refused(name: str, change: Change, applied: Mapping[int, AppliedHold], at: int) -> HoldView:
    """The newest record is not valid, or every shard refused it: what was in force before still is."""
    some = next(iter(applied.values()), None)
    if some is not None:
        state = "ended" if some.ended else _state(some.hold, at)
        held = len(applied)
        return HoldView(name, some.hold, state, _since(applied), some.by, some.reason, 0, held, change.offset)
    reason = f"every shard refused the record at offset {change.offset}; the events topic says why"
    hold = None
    if isinstance(change.wish, PutHold):
        hold = change.wish.hold
    elif isinstance(change.wish, Rejected):
        reason = change.wish.error
    return HoldView(name, hold, "rejected", None, change.by, reason, refused=change.offset)


def _state(hold: Hold, at: int) -> HoldState:
    if hold.covers(at):
        return "active"
    return "scheduled" if hold.start is not None and at < hold.start else "ended"


def _since(applied: Mapping[int, AppliedHold]) -> int | None:
    """From which firing instant it holds wherever it is applied."""
    return max((max(one.since, one.hold.start or 0) for one in applied.values()), default=None)


def _counted(view: HoldView, applied: Mapping[int, AppliedHold], jobs: Mapping[str, JobView]) -> HoldView:
    """How many jobs the hold selects; where a shard has not applied it, how many it will select there."""
    if view.state == "rejected" or view.hold is None:
        return view
    hold = view.hold
    matched = sum(
        (applied[job.shard].hold if job.shard in applied else hold).match.matches(job.name, job.tags)
        for job in jobs.values()
        if job.spec is not None
    )
    return replace(view, matched=matched)
