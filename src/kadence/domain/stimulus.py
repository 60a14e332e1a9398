"""What can happen to a shard: the closed union of its stimuli. The wire makes them, the fold consumes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kadence.domain.holds import Hold
    from kadence.domain.spec import JobSpec, Policy

MAX_LINE: Final = 500
"""Characters of an error as it is shown in one line."""


@dataclass(frozen=True, slots=True)
class PutJob:
    """``job/<name>``: this is the definition."""

    spec: JobSpec


@dataclass(frozen=True, slots=True)
class DeleteJob:
    """``job/<name>`` with a null: the job is not wanted any more."""


@dataclass(frozen=True, slots=True)
class PauseJob:
    """``pause/<name>``: paused, until an instant (ms) or until told otherwise."""

    until: int | None = None


@dataclass(frozen=True, slots=True)
class ResumeJob:
    """``pause/<name>`` with ``paused: false``: lifts the pause and closes the breaker."""

    catch_up: Policy | None = None
    spread: int = 0


@dataclass(frozen=True, slots=True)
class LiftPause:
    """``pause/<name>`` with a null: lifts the pause only."""


@dataclass(frozen=True, slots=True)
class PutHold:
    """``hold/<name>``: this hold stands."""

    hold: Hold


@dataclass(frozen=True, slots=True)
class ReleaseHold:
    """``hold/<name>`` with a null."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """``trigger/<name>/<id>``: run once now; ``payload`` (JSON bytes) replaces the job's own if given."""

    id: str
    payload: bytes | None = None


@dataclass(frozen=True, slots=True)
class Skip:
    """``skip/<name>/<id>``: leave out the next due times."""

    id: str
    count: int


@dataclass(frozen=True, slots=True)
class Backfill:
    """``backfill/<name>/<id>``: run every due time in [start, end), at most ``rate`` a second."""

    id: str
    start: int
    end: int
    rate: float = 1000.0


@dataclass(frozen=True, slots=True)
class CancelCommand:
    """A null under a one-off key: cancels nothing, but its id may be forgotten."""

    id: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot be read or is not valid, and why; ``excerpt`` is the first KiB of its bytes."""

    error: str
    excerpt: bytes = b""


Wish = (
    PutJob
    | DeleteJob
    | PauseJob
    | ResumeJob
    | LiftPause
    | PutHold
    | ReleaseHold
    | Trigger
    | Skip
    | Backfill
    | CancelCommand
    | Rejected
)
"""What a control record asks for."""


@dataclass(frozen=True, slots=True)
class Change:
    """One control record: its coordinates, broker time (ms), key and what it asks for.

    ``kind`` and ``name`` are empty where the key itself cannot be read; ``id`` is that of a one-off command.
    """

    offset: int
    timestamp: int
    kind: str
    name: str
    wish: Wish
    by: str | None = None
    reason: str | None = None
    if_offset: int | None = None
    id: str = ""

    @property
    def key(self) -> str:
        """The record's key; empty where it cannot be read."""
        return "/".join(part for part in (self.kind, self.name, self.id) if part)


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong in a run, as its executor reported it: bounded texts, the traceback possibly empty."""

    type: str
    message: str = ""
    traceback: str = ""

    @property
    def line(self) -> str:
        """One line that says what went wrong: ``type: message``."""
        return " ".join(": ".join(part for part in (self.type, self.message) if part).split())[:MAX_LINE]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a firing of a run went, as its executor reported it. ``id`` is the firing's ``ce_id``.

    Times in ms: ``started_at`` and ``finished_at`` by the executor's clock, ``until`` for ``snoozed`` only.
    """

    offset: int
    timestamp: int
    job: str
    id: str
    status: str
    error: Failure | None = None
    started_at: int | None = None
    finished_at: int | None = None
    until: int | None = None
    executor: str | None = None


@dataclass(frozen=True, slots=True)
class BadOutcome:
    """A record on the outcomes topic that cannot be read."""

    offset: int
    timestamp: int
    key: str
    rejected: Rejected


@dataclass(frozen=True, slots=True)
class OutcomesLost:
    """The outcomes that the shard would read next are not there any more; the log begins at ``begin``."""

    begin: int


@dataclass(frozen=True, slots=True)
class OutcomesHeard:
    """Every outcome that the log had at instant ``through`` (ms) has been applied."""

    through: int


@dataclass(frozen=True, slots=True)
class TargetChanged:
    """A topic for executions or dead letters was looked at: ``problem`` says why it cannot be written; None: it can."""

    topic: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: decide what is due up to ``Shard.now``, at most ``limit`` executions of it."""

    limit: int


Stimulus = Change | Outcome | BadOutcome | OutcomesHeard | OutcomesLost | TargetChanged | Tick
