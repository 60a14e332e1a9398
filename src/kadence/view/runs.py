"""How runs went: their outcomes, grouped by run, with what their shard's owner made of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from kadence.domain.firing import read_firing
from kadence.domain.run import RunStatus
from kadence.domain.stimulus import Outcome, Rejected
from kadence.view.runheard import (
    Heard,
    HeardFiring,
    as_of,
    attempts_of,
    is_decided,
    judge,
    keep,
    newest_of,
    spell_of,
)
from kadence.wire import outcome as outcomes
from kadence.wire import state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kadence.log.port import Record
    from kadence.view.runevent import RunEnd

OWNERS: Final = frozenset({RunStatus.TIMED_OUT, RunStatus.LOST})
"""What no executor can tell."""
FAILURES: Final = frozenset({RunStatus.FAILED, *OWNERS})
_MANY: Final = 10_000


@dataclass(frozen=True, slots=True)
class RunView:
    """One run. Instants in ms since the epoch, ``duration`` in ms.

    ``n`` counts its firings, ``attempts`` those that used up an attempt, as far as they were seen. ``fired_at`` (by its
    owner's record), ``started_at``, ``finished_at`` and ``executor`` are those of the newest firing, None where not
    known of that one; where the executor told no times, they are broker time. ``next_at``: when it is fired again.
    ``open``: something of it is still to come. ``at``: when it was last heard of (broker time).
    """

    run: str
    job: str
    status: RunStatus
    n: int
    attempts: int
    at: int
    fired_at: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    duration: int | None = None
    executor: str | None = None
    error: str | None = None
    next_at: int | None = None
    open: bool = False

    @property
    def failed(self) -> bool:
        """Whether the run, or the newest attempt at it, failed, timed out or was lost."""
        return self.status in FAILURES

    @property
    def began(self) -> int:
        """When its newest firing was begun; of one that nobody has begun, when it was fired, or last heard of."""
        return next((one for one in (self.started_at, self.fired_at) if one is not None), self.at)


class Ended(NamedTuple):
    """The end of one firing of a run."""

    run: str
    n: int


class Runs:
    """Collects what is heard, in whatever order the topics are read. ``unreadable`` counts outcomes that are none."""

    def __init__(self) -> None:
        self.unreadable = 0
        self._heard: dict[str, Heard] = {}
        self._many = _MANY
        self._jobs: set[str] = set()
        self._all_jobs = False

    def job(self, name: str, *, there: bool) -> None:
        """Take in that a job's shard carries it, or does no longer."""
        (self._jobs.add if there else self._jobs.discard)(name)

    def know_all_jobs(self) -> None:
        """The state of every shard that is looked at was read: a job that was not told of is none (any more)."""
        self._all_jobs = True

    def outcome(self, record: Record) -> Ended | None:
        """Take in a record of the outcomes topic; returns the firing that was open until now and is ended by it."""
        found = outcomes.decode(record.key, record.value, record.offset, record.timestamp)
        about = read_firing(found.id) if isinstance(found, Outcome) else None
        if not isinstance(found, Outcome) or about is None or about.job != found.job:
            self.unreadable += 1
            return None
        firing = self._of(about.run, about.job).firings.setdefault(about.n, HeardFiring())
        said = keep(found)
        if said.status is RunStatus.STARTED:
            if firing.final is None or firing.started is None:
                firing.started = said
            return None
        if firing.final is not None:  # a duplicate, or one that came too late
            return None
        firing.final = said
        return Ended(about.run, about.n)

    def remembered(self, run: str, record: Record) -> Ended | None:
        """Take in the state record of a run; returns the firing that it says its owner has ended, by itself or not.

        A null forgets it, and one that cannot be read tells nothing.
        """
        heard = self._heard.get(run)
        if record.value is None:
            if heard is not None:
                heard.record = None
            return None
        decoded, about = state.decode_run(run, record.value), read_firing(run)
        if isinstance(decoded, Rejected) or about is None:
            return None
        self._of(run, about.job).record = decoded
        return Ended(run, decoded.n) if decoded.status in OWNERS else None

    def ended(self, end: RunEnd) -> Ended:
        """Take in an event that says how a run ended; returns its last firing."""
        about = read_firing(end.run)
        heard = self._of(end.run, end.run if about is None else about.job)
        heard.end = end
        return Ended(end.run, newest_of(heard))

    def _of(self, run: str, job: str) -> Heard:
        heard = self._heard.get(run)
        if heard is None:
            heard = self._heard[run] = Heard(job)
        return heard

    def all(self, since: int = 0) -> Iterator[RunView]:
        """The runs that were heard of since then or are open; the one whose newest firing was begun last at the end."""
        seen = (view for run in self._heard if (view := self.get(run)) is not None)
        yield from sorted((one for one in seen if one.open or one.at >= since), key=lambda one: (one.began, one.run))

    def is_news(self, run: RunView) -> bool:
        """Whether this end was not told yet. A failure is told by its executor, and then by the run's owner again."""
        heard, end = self._heard[run.run], (run.n, run.status)
        before = heard.told
        if before is not None and (before == end or (before[0] >= run.n and run.status not in OWNERS)):
            return False
        heard.told = end
        return True

    def is_decided(self, end: Ended) -> bool:
        """Whether the run's owner has said what follows from that end, or there is nobody any more who would."""
        heard = self._heard.get(end.run)
        return heard is None or is_decided(heard, end.n) or self._is_gone(heard)

    def at_end(self, end: Ended) -> RunView | None:
        """The run as it was when that firing had ended, even if it was fired again since."""
        heard = self._heard.get(end.run)
        if heard is None:
            return None
        then = self._view(end.run, as_of(heard, end.n))
        if then is None or newest_of(heard) <= end.n:
            return then
        again = heard.record.fired if heard.record is not None and heard.record.n == end.n + 1 else None
        return replace(then, open=True, next_at=again)

    def forget(self, before: int) -> None:
        """Keep nothing of the runs that are over and were heard of last before then, if there are many."""
        if len(self._heard) < self._many:
            return
        for run in list(self._heard):
            one = self.get(run)
            if one is None or (not one.open and one.at < before):
                del self._heard[run]
        self._many = max(_MANY, 2 * len(self._heard))  # looking at all of them shall stay rare

    def get(self, run: str) -> RunView | None:
        """One run, as far as it is known; None where nothing is."""
        return self._view(run, self._heard[run])

    def _is_gone(self, heard: Heard) -> bool:
        return self._all_jobs and heard.record is None and heard.job not in self._jobs

    def _view(self, run: str, heard: Heard) -> RunView | None:
        verdict = judge(heard, gone=self._is_gone(heard))
        if verdict is None:
            return None
        n = newest_of(heard)
        firing = heard.firings.get(n, HeardFiring())
        record = heard.record if heard.record is not None and heard.record.n == n else None
        over = None if verdict.open or verdict.status is RunStatus.STARTED else verdict.at
        spell = spell_of(firing, record, over)
        return RunView(
            run=run,
            job=heard.job,
            status=verdict.status,
            n=n,
            attempts=attempts_of(heard),
            at=verdict.at,
            fired_at=None if record is None else record.fired,
            started_at=spell.started,
            finished_at=spell.finished,
            duration=spell.duration,
            executor=firing.executor,
            error=verdict.error,
            next_at=verdict.next_at,
            open=verdict.open,
        )
