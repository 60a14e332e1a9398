"""The world at one moment, as values: jobs, holds, shards. Instants are ms since the epoch, durations ms."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kadence.domain.holds import Hold
    from kadence.domain.job import Job
    from kadence.domain.run import Run
    from kadence.domain.spec import JobSpec

JobState = Literal["running", "paused", "errored", "finished", "pending", "rejected"]
"""The contract's four states, and two for a job that no shard carries: ``pending``, its record has not been read by
its shard's worker; ``rejected``, it was read and refused, and there is no earlier definition to fall back on."""

HoldState = Literal["active", "scheduled", "ended", "pending", "rejected", "releasing"]
"""``scheduled``: its window has not begun. ``pending``: some shard has not applied it yet. ``rejected``: its record is
not valid or every shard refused it, and there is no earlier one in force. ``releasing``: released, but some shard
still applies it."""

_ENVELOPE: Final = ("v", "by", "reason", "if_offset")


@dataclass(frozen=True, slots=True)
class JobView:
    """One job.

    ``spec`` is the definition in force (for an unapplied job: the one that waits), ``written`` the JSON that it was
    written as. ``own`` is its shard's record of it, None where there is none. ``newer``: the offset
    of a definition (or its deletion) that the shard has not read yet. ``coming``: the definition in force once it has
    read everything, None where there will be none. ``next_due`` is None where nothing will fire.
    ``heard``: when its shard's owner last wrote a cursor (broker time); None: no worker ever ran the shard.
    """

    name: str
    shard: int
    state: JobState
    spec: JobSpec | None
    written: bytes = b"{}"
    reason: str | None = None
    by: str | None = None
    since: int | None = None
    holds: tuple[str, ...] = ()
    own: Job | None = None
    next_due: int | None = None
    newer: int | None = None
    coming: JobSpec | None = None
    heard: int | None = None

    @property
    def failures(self) -> int:
        """How many of its runs failed in a row."""
        return 0 if self.own is None or self.own.streak is None else len(self.own.streak.failed)

    @property
    def last_success(self) -> int | None:
        """When a run of it was last heard to have succeeded."""
        return (self.own.last_success or None) if self.own is not None else None

    @property
    def open_runs(self) -> tuple[Run, ...]:
        """The runs under way that its shard's owner has written down, the oldest first."""
        return () if self.own is None else tuple(self.own.runs.values())

    @property
    def tags(self) -> tuple[str, ...]:
        """The job's tags."""
        return () if self.spec is None else self.spec.tags

    @property
    def document(self) -> Mapping[str, object]:
        """The definition as the JSON object that it was written as, without what every record may carry."""
        found = json.loads(self.written)
        return {field: value for field, value in found.items() if field not in _ENVELOPE}


@dataclass(frozen=True, slots=True)
class HoldView:
    """One hold: what is wanted, since when it is applied (None: nowhere yet), how many jobs it selects.

    ``hold`` is None where what was written cannot be read. ``refused``: the offset of its newest record where that was
    rejected; an older one may be in force all the same, and is what is shown then.
    """

    name: str
    hold: Hold | None
    state: HoldState
    since: int | None = None
    by: str | None = None
    reason: str | None = None
    matched: int = 0
    shards: int = 0
    refused: int | None = None


@dataclass(frozen=True, slots=True)
class ShardView:
    """One shard, by its newest cursor: who wrote it, when (broker time), and how far it is.

    ``worker`` is None where no worker ever ran the shard. ``behind`` counts control offsets not yet applied.
    """

    shard: int
    worker: str | None = None
    written_at: int | None = None
    age: int | None = None
    through: int | None = None
    after: str | None = None
    control: int = 0
    control_topic_id: str | None = None
    behind: int = 0
    outcomes: int = 0
    tzdata: str | None = None
    rejected: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """A namespace at ``at`` (wall time, ms): what the log said and what follows from it at that moment.

    ``control_end`` is the control topic's end. ``pauses`` names pauses that wait for a job of that name.
    ``unreadable`` says which state records this version could not read.
    """

    namespace: str
    at: int
    jobs: Mapping[str, JobView]
    holds: Mapping[str, HoldView]
    shards: tuple[ShardView, ...]
    control_end: int
    pauses: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state; the contract's four are always there."""
        counted = Counter(str(job.state) for job in self.jobs.values())
        return {"running": 0, "paused": 0, "errored": 0, "finished": 0} | counted
