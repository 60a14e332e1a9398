"""What was read from the log, before anything is made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kadence.domain.firing import read_firing
from kadence.domain.stimulus import Rejected
from kadence.wire import state

if TYPE_CHECKING:
    from kadence.domain.job import AppliedHold
    from kadence.domain.run import Run
    from kadence.log.port import Record
    from kadence.wire.state import CursorRecord, JobRecord


@dataclass(slots=True)
class ShardRecords:
    """What one state partition says: the newest record of each key, read."""

    cursor: CursorRecord | None = None
    written_at: int = 0
    jobs: dict[str, JobRecord] = field(default_factory=dict)
    holds: dict[str, AppliedHold] = field(default_factory=dict)
    runs: dict[str, dict[str, Run]] = field(default_factory=dict)
    """By job."""
    unreadable: list[str] = field(default_factory=list)

    @property
    def control(self) -> int:
        """The offset below which the shard has decided every control record."""
        return 0 if self.cursor is None else self.cursor.control


@dataclass(slots=True)
class Wanted:
    """What the control topic says of one job or hold: its newest record, and the one in force if that is another."""

    newest: Record
    in_force: Record | None = None


@dataclass(slots=True)
class Evidence:
    """Everything that was read."""

    shards: dict[int, ShardRecords]
    jobs: dict[str, Wanted] = field(default_factory=dict)
    holds: dict[str, Wanted] = field(default_factory=dict)
    control_end: int = 0


def take_state(shard: ShardRecords, record: Record, namespace: str) -> Rejected | None:
    """Take in a record of the shard's state partition, newer than what was taken of its key. Returns why it cannot be.

    What says something else, as a barrier does, is passed over.
    """
    kind, _, name = (record.key or b"").decode("utf-8", "replace").partition("/")
    if record.value is None:
        if kind == "job":
            shard.jobs.pop(name, None)
        elif kind == "hold":
            shard.holds.pop(name, None)
        elif kind == "run" and (about := read_firing(name)) is not None:
            shard.runs.get(about.job, {}).pop(name, None)
    elif kind == "cursor":
        cursor = state.decode_cursor(record.value)
        if isinstance(cursor, Rejected):
            return cursor
        shard.cursor, shard.written_at = cursor, record.timestamp
    elif kind == "job":
        job = state.decode_job(name, record.value, namespace)
        if isinstance(job, Rejected):
            return job
        shard.jobs[name] = job
    elif kind == "hold":
        hold = state.decode_hold(name, record.value)
        if isinstance(hold, Rejected):
            return hold
        shard.holds[name] = hold
    elif kind == "run":
        return _take_run(shard, name, record.value)
    return None


def _take_run(shard: ShardRecords, run: str, value: bytes) -> Rejected | None:
    found = state.decode_run(run, value)
    if isinstance(found, Rejected):
        return found
    about = read_firing(run)
    if about is None:
        return Rejected(f"state record run/{run[:300]}: that names no run")
    shard.runs.setdefault(about.job, {})[run] = found
    return None
