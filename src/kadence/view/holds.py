"""The holds at one moment: what is wanted, and where and over what it is applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kadence.domain.stimulus import PutHold
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
    """The hold's newest record, if it puts one in force."""
    if name not in found.holds:
        return None
    record = found.holds[name].newest
    change = control.decode(record.key, record.value, record.offset, record.timestamp, namespace)
    return change if isinstance(change.wish, PutHold) else None


def _view_hold(
    name: str, change: Change | None, applied: Mapping[int, AppliedHold], found: Evidence, at: int
) -> HoldView | None:
    some = next(iter(applied.values()), None)
    if change is None or not isinstance(change.wish, PutHold):
        if some is None or some.ended:
            return None
        return HoldView(name, some.hold, "releasing", _since(applied), some.by, some.reason, 0, len(applied))
    hold = change.wish.hold
    current = {number: one for number, one in applied.items() if one.offset == change.offset}
    behind = any(
        number not in current and (shard.cursor is None or shard.cursor.control <= change.offset)
        for number, shard in found.shards.items()
    )
    return HoldView(
        name,
        hold,
        _state(hold, current, at, behind=behind),
        _since(applied),
        change.by,
        change.reason,
        0,
        len(current),
    )


def _state(hold: Hold, current: Mapping[int, AppliedHold], at: int, *, behind: bool) -> HoldState:
    if behind:
        return "pending"
    if not current:
        return "rejected"
    if hold.covers(at):
        return "active"
    return "scheduled" if hold.start is not None and at < hold.start else "ended"


def _since(applied: Mapping[int, AppliedHold]) -> int | None:
    """From which firing instant it holds wherever it is applied."""
    return max((max(one.since, one.hold.start or 0) for one in applied.values()), default=None)


def _counted(view: HoldView, applied: Mapping[int, AppliedHold], jobs: Mapping[str, JobView]) -> HoldView:
    """How many jobs the hold selects; where a shard has not applied it, how many it will select there."""
    matched = sum(
        (applied[job.shard].hold if job.shard in applied else view.hold).match.matches(job.name, job.tags)
        for job in jobs.values()
        if job.spec is not None
    )
    return HoldView(view.name, view.hold, view.state, view.since, view.by, view.reason, matched, view.shards)
