"""What was read from the log, before anything is made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kadence.domain.job import AppliedHold, Run
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
