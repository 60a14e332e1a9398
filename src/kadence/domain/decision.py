"""What a shard decided and has not committed yet: everything in here goes into one transaction, or into none."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from kadence.domain.job import State
    from kadence.domain.spec import JobSpec


class Fire(NamedTuple):
    """One execution to emit. ``time`` is the due time, for a trigger the moment it was decided (ms).

    ``spec`` is the one in force when it was decided; the job may be edited or deleted before the commit.
    ``command`` is None for a scheduled due time, else the id of the trigger. ``payload`` None: the job's own.
    """

    name: str
    spec: JobSpec
    time: int
    cause: str
    command: str | None = None
    payload: bytes | None = None


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
    jobs: dict[str, None] = field(default_factory=dict)
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

    def anything(self) -> bool:
        """Whether there is something that must not wait for the idle commit."""
        return bool(self.prompt or self.fires or self.happenings or self.jobs or self.holds or self.refusals)
