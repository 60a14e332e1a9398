"""One job: two independent axes, each a total transition table, and what the shard remembers of it.

The operator's axis says whether people let the job run, the breaker's axis whether it is fit to. Neither ever
touches the other, so a pause survives a failure and a failure survives a resume of something else. Holds are a
third influence that lives outside the job. `effective_state` folds them into the one word that people see.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Final, TypeVar

from kadence.domain.run import BY_AGE, NO_RUNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kadence.domain.holds import Hold
    from kadence.domain.run import Run
    from kadence.domain.spec import JobSpec, Timing


class State(StrEnum):
    """What people see."""

    RUNNING = "running"
    PAUSED = "paused"
    ERRORED = "errored"
    FINISHED = "finished"


class Operator(Enum):
    """The operator's axis."""

    OPEN = "open"
    PAUSED = "paused"


class Fitness(Enum):
    """The breaker's axis."""

    CLOSED = "closed"
    TRIPPED = "tripped"
    """Too many runs failed."""
    LOST = "lost"
    """The target topic cannot be written."""
    TRIPPED_AND_LOST = "tripped_and_lost"


class Signal(Enum):
    """What moves a job along its axes."""

    PAUSE = "pause"
    RESUME = "resume"
    LIFT = "lift"
    EXPIRE = "until passed"
    TRIP = "failures reached"
    LOSE_TARGET = "target lost"
    FIND_TARGET = "target found"
    RECOVER = "probe succeeded"


_Axis = TypeVar("_Axis", bound=Enum)


def _stays(axis: type[_Axis]) -> dict[tuple[_Axis, Signal], _Axis]:
    return {(state, signal): state for state in axis for signal in Signal}


OPERATOR: Final[Mapping[tuple[Operator, Signal], Operator]] = {
    **_stays(Operator),
    (Operator.OPEN, Signal.PAUSE): Operator.PAUSED,
    (Operator.PAUSED, Signal.RESUME): Operator.OPEN,
    (Operator.PAUSED, Signal.LIFT): Operator.OPEN,
    (Operator.PAUSED, Signal.EXPIRE): Operator.OPEN,
}
"""Total: every state of the operator's axis under every signal."""

FITNESS: Final[Mapping[tuple[Fitness, Signal], Fitness]] = {
    **_stays(Fitness),
    (Fitness.CLOSED, Signal.TRIP): Fitness.TRIPPED,
    (Fitness.LOST, Signal.TRIP): Fitness.TRIPPED_AND_LOST,
    (Fitness.TRIPPED, Signal.RESUME): Fitness.CLOSED,
    (Fitness.TRIPPED_AND_LOST, Signal.RESUME): Fitness.LOST,
    (Fitness.CLOSED, Signal.LOSE_TARGET): Fitness.LOST,
    (Fitness.TRIPPED, Signal.LOSE_TARGET): Fitness.TRIPPED_AND_LOST,
    (Fitness.LOST, Signal.FIND_TARGET): Fitness.CLOSED,
    (Fitness.TRIPPED_AND_LOST, Signal.FIND_TARGET): Fitness.TRIPPED,
    (Fitness.TRIPPED, Signal.RECOVER): Fitness.CLOSED,
    (Fitness.TRIPPED_AND_LOST, Signal.RECOVER): Fitness.LOST,
}
"""Total: every state of the breaker's axis under every signal."""


def effective_state(operator: Operator, fitness: Fitness, *, held: bool, finished: bool) -> State:
    """The one word for a job: ``errored`` shows over ``paused``, both over ``running``; ``finished`` over all."""
    if finished:
        return State.FINISHED
    if fitness is not Fitness.CLOSED:
        return State.ERRORED
    if held or operator is Operator.PAUSED:
        return State.PAUSED
    return State.RUNNING


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause record as applied. ``since`` is the firing instant from which it keeps the job from firing (ms)."""

    offset: int
    active: bool
    since: int = 0
    until: int | None = None
    at: int = 0
    by: str | None = None
    reason: str | None = None
    created: bool = False
    """It came with the job (``paused: true``), so that no record stands under the pause key."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the breaker's axis is not closed: since which firing instant, and the reason people are shown."""

    since: int
    reason: str


@dataclass(frozen=True, slots=True)
class Streak:
    """The breaker's memory: failed runs (run id to due time), the last error, and when it tripped (if it did).

    ``probe_at``: the instant that names the next probe, or the one under way; None: there will be none. ``probes``:
    how many have failed since it tripped.
    """

    failed: tuple[tuple[str, int], ...] = ()
    last_error: str | None = None
    tripped: Trouble | None = None
    probe_at: int | None = None
    probes: int = 0


class Stage(StrEnum):
    """Why a range of due times is still owed."""

    BLOCKED = "blocked"
    """Due under a pause, hold or breaker; whoever lifts it decides."""
    WAITING = "waiting"
    """Due before the job was blocked, and not decided then; judged like any late due time once it may fire."""
    RUNNING = "running"
    """Decided: each will be run, oldest first."""


@dataclass(frozen=True, slots=True)
class Owed:
    """Due times of ``timing`` in (low, high] that are not settled by the cursor."""

    timing: Timing
    low: int
    high: int
    stage: Stage


@dataclass(frozen=True, slots=True)
class Rejection:
    """The newest record of a job's spec that was refused, while the last good one stays in force."""

    offset: int
    error: str


@dataclass(frozen=True, slots=True, eq=False)
class AppliedHold:
    """A hold as one shard applied it: keeps its jobs from firing from ``since`` on, while its window is open.

    Compared by identity: all the jobs it is over share the one value.
    """

    name: str
    hold: Hold
    offset: int
    since: int
    at: int
    started: bool = False
    ended: bool = False
    by: str | None = None
    reason: str | None = None

    @property
    def opens(self) -> int:
        """The firing instant from which it keeps its jobs from firing (ms)."""
        return max(self.since, self.hold.start or 0)

    def covers(self, instant: int) -> bool:
        """Whether it keeps a due time with this firing instant from firing."""
        return not self.ended and self.since <= instant and self.hold.covers(instant)


NO_OFFSET: Final = -1
"""``if_offset`` where no record is in force."""


class Job:
    """What a shard remembers of one job. Mutable, owned by exactly one shard, dies with it.

    ``floor``: due times up to here are settled, whatever the cursor says. ``blocked`` is True while any pause, hold
    or trouble is recorded, whether or not its window is open: the fast path asks that and ``serial``, nothing else.
    ``runs`` are open, ``past`` are over and remembered for an hour, in the order in which they ended; by run id.
    ``late_at`` is when it will be looked whether one of them is late, ``fades_at`` when the first of ``past`` will be
    forgotten. ``last_success`` is all that this owner has heard of; ``succeeded_at`` what is written down, once no run
    in ``past`` tells of one.
    """

    __slots__ = (
        "blocked",
        "by",
        "created_at",
        "fades_at",
        "finished",
        "floor",
        "grace",
        "holds",
        "ids",
        "last_success",
        "late_at",
        "lost",
        "name",
        "owed",
        "past",
        "pause",
        "reason",
        "rejection",
        "resumed_at",
        "runs",
        "serial",
        "since",
        "spec",
        "spec_offset",
        "state",
        "streak",
        "succeeded_at",
    )

    def __init__(self, name: str) -> None:
        """A job that has neither spec nor pause yet."""
        self.name = name
        self.spec: JobSpec | None = None
        self.spec_offset = NO_OFFSET
        self.grace = 0
        self.floor = 0
        self.blocked = False
        self.finished = False
        self.state: State = State.RUNNING
        self.since = 0
        self.reason: str | None = None
        self.by: str | None = None
        self.pause: Pause | None = None
        self.holds: tuple[AppliedHold, ...] = ()
        self.streak: Streak | None = None
        self.lost: Trouble | None = None
        self.created_at = 0
        self.resumed_at = 0
        self.succeeded_at = 0
        self.last_success = 0
        self.late_at: int | None = None
        self.fades_at: int | None = None
        self.serial = False
        self.runs: Mapping[str, Run] = NO_RUNS
        self.past: Mapping[str, Run] = NO_RUNS
        self.owed: tuple[Owed, ...] = ()
        self.ids: tuple[str, ...] = ()
        self.rejection: Rejection | None = None

    def define(self, spec: JobSpec) -> None:
        """Take over a definition, and what of it the fast path asks for."""
        self.spec, self.grace, self.serial = spec, spec.catch_up.grace, spec.serial

    @property
    def operator(self) -> Operator:
        """Where the job stands on the operator's axis."""
        return Operator.PAUSED if self.pause is not None and self.pause.active else Operator.OPEN

    @property
    def fitness(self) -> Fitness:
        """Where the job stands on the breaker's axis."""
        tripped = self.streak is not None and self.streak.tripped is not None
        if self.lost is not None:
            return Fitness.TRIPPED_AND_LOST if tripped else Fitness.LOST
        return Fitness.TRIPPED if tripped else Fitness.CLOSED

    def troubles(self) -> Iterator[Trouble]:
        """What keeps the breaker's axis from being closed."""
        if self.streak is not None and self.streak.tripped is not None:
            yield self.streak.tripped
        if self.lost is not None:
            yield self.lost

    def kept_at(self, instant: int) -> bool:
        """Whether anything keeps a due time with this firing instant from firing."""
        return any(since <= instant and (end is None or instant < end) for since, end in self.windows())

    def kept_now(self, now: int) -> bool:
        """Whether anything keeps the job from firing at all, whatever is due.

        What was applied keeps it at once, even where its record's broker time is still ahead of this clock: its
        writer may have been told already that the job fires nothing any more.
        """
        return self.kept_by_people(now) or self.fitness is not Fitness.CLOSED

    def kept_by_people(self, now: int) -> bool:
        """Whether a pause or a hold keeps the job from firing."""
        return (
            self.pause is not None and self.pause.active and (self.pause.until is None or now < self.pause.until)
        ) or any(not hold.ended and hold.hold.covers(now) for hold in self.holds)

    def occupied(self, now: int) -> Run | None:
        """The earliest run that a job which runs one at a time waits for, or None."""
        return min((run for run in self.runs.values() if run.occupies(now)), key=BY_AGE, default=None)

    def windows(self) -> Iterator[tuple[int, int | None]]:
        """The firing instants [since, end) that each pause, hold and trouble keeps from firing; None: no end."""
        if self.pause is not None and self.pause.active:
            yield self.pause.since, self.pause.until
        for hold in self.holds:
            if not hold.ended:
                yield hold.opens, hold.hold.end
        for trouble in self.troubles():
            yield trouble.since, None

    def refresh_blocked(self) -> None:
        """Recompute ``blocked`` after a pause, hold or trouble was set or cleared."""
        self.blocked = (
            (self.pause is not None and self.pause.active)
            or any(not hold.ended for hold in self.holds)
            or self.fitness is not Fitness.CLOSED
        )


def seen(own: State, job: Job) -> State:
    """What people see of a job whose own state is ``own``, with the holds that it is under."""
    held = own is State.RUNNING and any(hold.started and not hold.ended for hold in job.holds)
    return State.PAUSED if held else own
