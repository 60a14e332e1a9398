"""What can go wrong at the boundary between a process and the in-process log, and who decides that it does.

The log asks `Faults.at` once at every effect, before taking any lock, and does what the answer says. There is
no randomness here: a simulation draws from `POSSIBLE`, so that the same seed gives the same trace.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

from kadence.errors import UnreachableError

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping
    from types import TracebackType

Point: TypeAlias = Literal[
    "writer.open",
    "writer.begin",
    "writer.send",
    "writer.flush",
    "writer.commit",
    "appender.append",
    "reader.assign",
    "reader.read",
    "reader.bounds",
    "admin.describe",
    "admin.create",
    "admin.alter",
    "admin.brokers",
    "group.join",
    "group.poll",
    "group.commit",
    "group.leave",
]


class SimulatedCrash(BaseException):
    """The process is dead. Nothing that it still does while unwinding reaches the log."""


@dataclass(frozen=True, slots=True)
class Crash:
    """The process dies: before the effect takes place, or after it and before it learns so."""

    after: bool


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No answer in time. ``applied``: the request arrived all the same, its answer was lost."""

    applied: bool


@dataclass(frozen=True, slots=True)
class UnknownCommit:
    """Commit ends in `UncleanError`. ``applied``: it took place; else the transaction stays open."""

    applied: bool


@dataclass(frozen=True, slots=True)
class LateEndTxn:
    """Commit ends in `UncleanError`, its EndTxn request still under way (`MemoryLog.deliver_late`)."""


@dataclass(frozen=True, slots=True)
class DuplicateEndTxn:
    """Commit succeeds on a retry while its first EndTxn request is still under way.

    Delivered into the same producer's next transaction it commits what that has appended so far: a torn
    transaction. Without KIP-890 part 2 the broker cannot tell one transaction of an epoch from the next.
    """


@dataclass(frozen=True, slots=True)
class SlowMarkers:
    """Commit succeeds, but its markers are still to be written: readers do not see it yet.

    The coordinator answers EndTxn once the decision is in its own log. The markers come with
    `MemoryLog.deliver_late`, or before the next transaction or takeover of that id (CONCURRENT_TRANSACTIONS).
    """


@dataclass(frozen=True, slots=True)
class Hold:
    """The record, and those sent after it to its partition, stay in the producer's queue until the flush."""


Fault: TypeAlias = Crash | Unreachable | UnknownCommit | LateEndTxn | DuplicateEndTxn | SlowMarkers | Hold

_CRASHES: Final = (Crash(after=False), Crash(after=True))
_LOST: Final = Unreachable(applied=False)
_NETWORK: Final = (*_CRASHES, _LOST, Unreachable(applied=True))
_COMMIT: Final = (
    *_CRASHES,
    UnknownCommit(applied=False),
    UnknownCommit(applied=True),
    LateEndTxn(),
    DuplicateEndTxn(),
    SlowMarkers(),
)

POSSIBLE: Final[Mapping[Point, tuple[Fault, ...]]] = {
    "writer.open": _NETWORK,
    "writer.begin": _CRASHES,
    "writer.send": (*_CRASHES, Hold()),
    "writer.flush": _NETWORK,
    "writer.commit": _COMMIT,
    "appender.append": _NETWORK,
    "reader.assign": (*_CRASHES, _LOST),
    "reader.read": (*_CRASHES, _LOST),
    "reader.bounds": (*_CRASHES, _LOST),
    "admin.describe": (*_CRASHES, _LOST),
    "admin.create": _NETWORK,
    "admin.alter": _NETWORK,
    "admin.brokers": (*_CRASHES, _LOST),
    "group.join": _CRASHES,
    "group.poll": (*_CRASHES, _LOST),
    "group.commit": _NETWORK,
    "group.leave": _CRASHES,
}
"""Every fault that makes sense at each point; any other is a `ValueError`."""


class Faults(Protocol):
    """Decides what happens at each effect. Called without locks held, in the thread of the caller."""

    def at(self, point: Point, who: object) -> Fault | None:
        """What goes wrong at ``point`` for ``who`` (the writer, reader, … with its ``process.name``)."""


@dataclass(slots=True, eq=False)
class Boundary:
    """What all processes share: the cluster's one lock, and the faults in force."""

    lock: threading.Condition
    faults: Faults | None = None


class Process:
    """One process as the log sees it, alive or not."""

    __slots__ = ("_boundary", "alive", "name")

    def __init__(self, name: str, boundary: Boundary) -> None:
        self.name = name
        self.alive = True
        self._boundary = boundary

    def require_alive(self) -> None:
        """Raise `SimulatedCrash` once the process is dead."""
        if not self.alive:
            raise SimulatedCrash(self.name)

    def die(self) -> SimulatedCrash:
        """Kill the process; returns what its caller raises."""
        self.alive = False
        return SimulatedCrash(self.name)

    def effect(self, point: Point, who: object) -> Effect:
        """Context of one effect: entered under the cluster's lock, after the fault that precedes it."""
        return Effect(self, self._boundary, point, who)


class Effect:
    """One effect with the fault that meets it: ``with process.effect(point, who) as fault``."""

    __slots__ = ("_boundary", "_fault", "_point", "_process", "_who")

    def __init__(self, process: Process, boundary: Boundary, point: Point, who: object) -> None:
        self._process = process
        self._boundary = boundary
        self._point = point
        self._who = who
        self._fault: Fault | None = None

    def __enter__(self) -> Fault | None:
        self._process.require_alive()
        if self._boundary.faults is not None:
            self._fault = self._boundary.faults.at(self._point, self._who)
        if self._fault is not None:
            self._refuse()
        self._boundary.lock.acquire()
        return self._fault

    def _refuse(self) -> None:
        """Raise what prevents the effect."""
        if self._fault not in POSSIBLE[self._point]:
            raise ValueError(f"{self._fault} cannot happen at {self._point}")
        if self._fault == Crash(after=False):
            raise self._process.die()
        if self._fault == _LOST:
            raise UnreachableError(f"no broker answered in time ({self._point})")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._boundary.lock.release()
        if self._fault == Crash(after=True):
            raise self._process.die()
        if kind is None and self._fault == Unreachable(applied=True):
            raise UnreachableError(f"no broker answered in time ({self._point})")
