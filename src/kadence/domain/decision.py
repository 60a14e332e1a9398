"""What a shard decided and has not committed yet: everything in here goes into one transaction, or into none."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from kadence.domain.duration import writable

if TYPE_CHECKING:
    from kadence.domain.job import State
    from kadence.domain.spec import JobSpec
    from kadence.domain.stimulus import Failure


class Fire(NamedTuple):
    """One execution to emit. ``time`` is the due time, for a trigger the moment it was decided (ms).

    ``spec`` is the one in force when it was decided; the job may be edited or deleted before the commit.
    ``command`` is None for a scheduled due time, else the id of the trigger or probe. ``payload`` None: the job's own.
    ``n``: which firing of the run it is.
    """

    name: str
    spec: JobSpec
    time: int
    cause: str
    command: str | None = None
    payload: bytes | None = None
    n: int = 1
    attempt: int = 1

    def expires(self, now: int) -> int | None:
        """When it is too late to begin (ms), decided at ``now``; None: never.

        Counted from the firing instant; one that is caught up, triggered or fired again, from when it was decided.
        """
        if self.spec.expires_after is None:
            return None
        since = self.time + self.spec.timing.delay if self.cause == "schedule" else now
        return writable(since + self.spec.expires_after)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A run whose attempts are spent, as it was last fired, for topic ``topic``; ``at`` is when it failed (ms)."""

    topic: str
    fire: Fire
    status: str
    error: Failure
    at: int


@dataclass(frozen=True, slots=True)
class Happening:
    """One event for people and alerting; ``kind`` is the contract's, e.g. ``job.paused``.

    ``offset`` is that of the control record which caused it, if one did.
    """

    kind: str
    name: str
    before: State | None = None
    after: State | None = None
    reason: str | None = None
    by: str | None = None
    offset: int | None = None
    detail: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A control record that was not applied; it is named in the cursor of its transaction."""

    offset: int
    key: str
    error: str


@dataclass(slots=True)
class Decision:
    """The effects since the last commit, and the counts that metrics are made of."""

    fires: list[Fire] = field(default_factory=list)
    happenings: list[Happening] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    jobs: dict[str, None] = field(default_factory=dict)
    runs: dict[tuple[str, str], None] = field(default_factory=dict)
    """(job, run) whose state record changes."""
    holds: dict[str, None] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    commands: list[tuple[int, str]] = field(default_factory=list)
    prompt: bool = False
    """A record that concerns this shard was decided: whoever wrote it waits for the cursor."""
    instants: Counter[int] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    transitions: Counter[tuple[str, str]] = field(default_factory=Counter)
    records: Counter[tuple[str, str]] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    """Runs that ended, by how."""
    unapplied: Counter[str] = field(default_factory=Counter)
    """Outcomes that changed nothing, by status: late, a duplicate, or of a run that is not known."""
    durations: list[int] = field(default_factory=list)
    """How long runs that ended had taken, ms."""
    trips: int = 0

    def anything(self) -> bool:
        """Whether there is something that must not wait for the idle commit."""
        written = self.fires or self.happenings or self.jobs or self.runs or self.holds or self.refusals
        return bool(self.prompt or written)
