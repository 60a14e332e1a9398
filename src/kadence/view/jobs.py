"""One job at one moment: what its shard says of it, what the control topic says, and the holds over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kadence.domain.job import NO_OFFSET, State
from kadence.domain.spec import compact_json
from kadence.domain.stimulus import PutJob, Rejected
from kadence.view.due import next_due
from kadence.view.model import JobView
from kadence.wire import control

if TYPE_CHECKING:
    from kadence.domain.job import AppliedHold
    from kadence.domain.spec import JobSpec
    from kadence.log.port import Record
    from kadence.view.evidence import Wanted
    from kadence.wire.state import JobRecord


def view_job(  # noqa: PLR0913  a job is seen through this many glasses
    name: str,
    shard: int,
    record: JobRecord | None,
    wanted: Wanted | None,
    holds: tuple[AppliedHold, ...],
    control_applied: int,
    *,
    namespace: str,
    at: int,
) -> JobView | None:
    """The job, or None where there is no definition of it (at most a pause that waits for one)."""
    newest = None if wanted is None else wanted.newest
    newer = newest.offset if newest is not None and newest.offset >= control_applied else None
    if record is None or record.job.spec_offset == NO_OFFSET:
        return None if newest is None else _unapplied(name, shard, newest, newer, namespace)
    spec, written = _in_force(name, record, wanted, namespace)
    job = record.job
    job.spec = spec
    job.holds = tuple(one for one in holds if spec is not None and one.hold.match.matches(name, spec.tags))
    # A hold just applied keeps firing instants from a moment on that our clock may not have reached yet.
    over = [one for one in job.holds if one.covers(max(at, one.since))]
    state, since, reason, by = job.state, job.since, job.reason, job.by
    if over and state is State.RUNNING:
        first = min(over, key=lambda one: max(one.since, one.hold.start or 0))
        state, since, by = State.PAUSED, max(first.since, first.hold.start or 0), first.by
        reason = f"hold {first.name}: {first.reason}" if first.reason else f"hold {first.name}"
    return JobView(
        name=name,
        shard=shard,
        state=state.value,
        spec=spec,
        written=written,
        reason=reason,
        by=by,
        since=since or None,
        holds=tuple(sorted(one.name for one in over)),
        own=job,
        next_due=None if spec is None else next_due(job, spec.timing, at),
        newer=newer,
        coming=spec if newer is None or newest is None else _coming(name, spec, newest, namespace),
    )


def _coming(name: str, spec: JobSpec | None, newest: Record, namespace: str) -> JobSpec | None:
    """What a definition that has not been read yet leaves in force: one that is not valid changes nothing."""
    if newest.value is None:
        return None
    found = _decoded(name, newest, namespace)
    return spec if isinstance(found, Rejected) else found[0]


def _in_force(name: str, record: JobRecord, wanted: Wanted | None, namespace: str) -> tuple[JobSpec | None, bytes]:
    """The last good definition: the control record at ``spec_offset``, else the copy in the state record."""
    if wanted is not None and wanted.in_force is not None:
        found = _decoded(name, wanted.in_force, namespace)
        if not isinstance(found, Rejected):
            return found
    if record.spec is not None:
        return record.spec, compact_json(record.spec.document())
    # Compaction took it because a newer definition, not applied yet, has replaced it: that one says most.
    if wanted is not None:
        found = _decoded(name, wanted.newest, namespace)
        if not isinstance(found, Rejected):
            return found
    return None, b"{}"


def _unapplied(name: str, shard: int, newest: Record, newer: int | None, namespace: str) -> JobView | None:
    """A definition on the control topic that no shard carries: not read yet, or read and refused."""
    if newest.value is None:
        return None
    found = _decoded(name, newest, namespace)
    if isinstance(found, Rejected):
        return JobView(name, shard, "rejected", None, reason=found.error, since=newest.timestamp, newer=newer)
    spec, written = found
    if newer is None:
        reason = f"its shard refused the record at offset {newest.offset}; the events topic says why"
        return JobView(name, shard, "rejected", spec, written, reason=reason, since=newest.timestamp)
    return JobView(
        name,
        shard,
        "pending",
        spec,
        written,
        reason="no worker has read it yet",
        since=newest.timestamp,
        newer=newer,
        coming=spec,
    )


def _decoded(name: str, record: Record, namespace: str) -> tuple[JobSpec, bytes] | Rejected:
    change = control.decode(record.key, record.value, record.offset, record.timestamp, namespace)
    if isinstance(change.wish, Rejected):
        return change.wish
    if not isinstance(change.wish, PutJob):
        return Rejected(f"the newest record of job/{name} deletes it")
    return change.wish.spec, record.value or b"{}"
