"""What was heard of one run, and what is so of it. Pure.

An executor's outcome tells how a firing ended. Only the owner of the run's shard decides that it timed out, was lost,
or is tried again: its state record of the run says so until an hour after the end, its event for as long as events are
kept. So its word counts, unless it is older than what the outcomes tell.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from kadence.domain.run import RunStatus

if TYPE_CHECKING:
    from kadence.domain.run import Run
    from kadence.domain.stimulus import Outcome
    from kadence.view.runevent import RunEnd

_MAX_EXECUTOR: Final = 200
_WAITING: Final = frozenset({RunStatus.STARTED, RunStatus.SNOOZED})


class Said(NamedTuple):
    """What is kept of an outcome: its traceback, which may be long, is not."""

    status: RunStatus
    at: int
    error: str | None
    started_at: int | None
    finished_at: int | None
    until: int | None
    executor: str | None


def keep(outcome: Outcome) -> Said:
    """The outcome, less what is not shown."""
    return Said(
        RunStatus(outcome.status),
        outcome.timestamp,
        None if outcome.error is None else outcome.error.line or None,
        outcome.started_at,
        outcome.finished_at,
        outcome.until,
        None if outcome.executor is None else outcome.executor[:_MAX_EXECUTOR],
    )


@dataclass(slots=True)
class HeardFiring:
    """What executors said of one firing: who began it last (it may be handed over), and how it ended, as said first."""

    started: Said | None = None
    final: Said | None = None

    @property
    def executor(self) -> str | None:
        """Who ran it, or runs it."""
        return next((one.executor for one in (self.final, self.started) if one and one.executor), None)


@dataclass(slots=True)
class Heard:
    """Everything that was heard of one run."""

    job: str
    firings: dict[int, HeardFiring] = field(default_factory=dict)
    end: RunEnd | None = None
    record: Run | None = None
    told: tuple[int, RunStatus] | None = None
    """Which firing's end was told last, and as what."""


class Verdict(NamedTuple):
    """What is so of a run, and since when (broker time, ms); ``next_at``: when it is fired again."""

    status: RunStatus
    at: int
    error: str | None = None
    next_at: int | None = None
    open: bool = False


def judge(heard: Heard, *, gone: bool = False) -> Verdict | None:
    """What is so: the owner's word where it has one that is not older than the newest outcome, else the outcome's.

    ``gone``: there is no such job any more, so that nothing is still to come of what only executors told.
    """
    record, end = heard.record, heard.end
    told = _told(heard)
    if record is not None and record.settled_at is not None:
        error = record.error or (end.error if end else None) or (told.error if told else None)
        # The owner's record keeps the error of an earlier attempt.
        return Verdict(record.status, record.settled_at, None if record.status is RunStatus.SUCCEEDED else error)
    if end is not None:
        status, error = end.status, end.error or (told.error if told else None)
        if status is None:  # the event of a failed run: where no outcome told of the failure, time did
            status = RunStatus.FAILED if _failed_before(heard, end.at) else RunStatus.TIMED_OUT
        return Verdict(status, end.at, error)
    if record is None or (told is not None and _is_behind(record, heard)):
        return told._replace(open=False, next_at=None) if told is not None and gone else told
    at = max(record.fired, record.started or 0, told.at if told else 0)
    begun = record.status is RunStatus.FIRED and told is not None and told.status is RunStatus.STARTED
    status = RunStatus.STARTED if begun else record.status
    return Verdict(status, at, record.error or (told.error if told else None), record.next_at, open=True)


def _told(heard: Heard) -> Verdict | None:
    """What the outcomes say by themselves."""
    if not heard.firings:
        return None
    firing = heard.firings[max(heard.firings)]
    said = firing.final or firing.started
    if said is None:
        return None
    return Verdict(said.status, said.at, said.error, said.until, open=said.status in _WAITING)


def _is_behind(record: Run, heard: Heard) -> bool:
    """Whether the owner's record was written before what the outcomes tell."""
    n = max(heard.firings)
    return n > record.n or (n == record.n and heard.firings[n].final is not None and record.next_at is None)


def _failed_before(heard: Heard, at: int) -> bool:
    finals = (firing.final for firing in heard.firings.values())
    return any(one is not None and one.status is RunStatus.FAILED and one.at <= at for one in finals)


def newest_of(heard: Heard) -> int:
    """The number of the newest firing that anybody told of: times and executor shown are its own, or none."""
    record = heard.record
    if record is not None and record.settled_at is not None:
        return record.n
    ended = (heard.end.attempts or 1) if heard.end else 1
    return max([*heard.firings, record.n if record else 1, ended])


def is_decided(heard: Heard, n: int) -> bool:
    """Whether its owner has said what follows from the end of the n-th firing: another one, or nothing."""
    record = heard.record
    if heard.end is not None or max(heard.firings, default=0) > n:
        return True
    return record is not None and (
        record.n > n or record.settled_at is not None or (record.n == n and record.next_at is not None)
    )


def as_of(heard: Heard, n: int) -> Heard:
    """What was heard up to the end of the n-th firing."""
    firings = {number: firing for number, firing in heard.firings.items() if number <= n}
    record = heard.record if heard.record is not None and heard.record.n <= n else None
    return Heard(heard.job, firings, heard.end if newest_of(heard) == n else None, record)


def attempts_of(heard: Heard) -> int:
    """Those that its owner counted, or those that were seen: a snooze uses up none."""
    seen = sum(
        firing.final is None or firing.final.status is not RunStatus.SNOOZED for firing in heard.firings.values()
    )
    counted = heard.record.attempt if heard.record else 0
    return max(seen, counted, (heard.end.attempts or 0) if heard.end else 0, 1)


class Spell(NamedTuple):
    """From when to when a firing was worked on (ms), as far as it is known."""

    started: int | None
    finished: int | None

    @property
    def duration(self) -> int | None:
        """Its length in ms."""
        return None if self.started is None or self.finished is None else max(0, self.finished - self.started)


def spell_of(firing: HeardFiring, record: Run | None, over: int | None) -> Spell:
    """When a firing was worked on: both ends by the executor's clock, or both by the broker's.

    ``record``: its owner's, if that is about this firing. ``over``: when (broker time) the run ended; None: it has not.
    """
    started, final = firing.started, firing.final
    if final is not None:
        begun = final.started_at or (started.started_at if started else None)
        if begun is not None and final.finished_at is not None:
            return Spell(begun, final.finished_at)
        return Spell(started.at if started else None, final.at)
    if started is None:
        return Spell(record.started if record else None, over)
    return Spell(started.started_at or started.at, None) if over is None else Spell(started.at, over)
