"""How runs went: their outcomes, grouped by run, with what their shard's owner made of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kadence.domain.firing import read_firing
from kadence.domain.run import RunStatus
from kadence.domain.stimulus import Outcome, Rejected
from kadence.view.runheard import Heard, HeardFiring, attempts_of, judge, keep, spell_of
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

    ``n`` counts its firings, ``attempts`` those that used up an attempt, as far as they were seen. ``started_at``,
    ``finished_at`` and ``executor`` are those of the newest firing; where the executor told no times, they are broker
    time. ``next_at``: when it is fired again. ``open``: something of it is still to come. ``at``: when it was last
    heard of (broker time).
    """

    run: str
    job: str
    status: RunStatus
    n: int
    attempts: int
    at: int
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


class Runs:
    """Collects what is heard, in whatever order the topics are read. ``unreadable`` counts outcomes that are none."""

    def __init__(self) -> None:
        self.unreadable = 0
        self._heard: dict[str, Heard] = {}
        self._many = _MANY

    def outcome(self, record: Record) -> str | None:
        """Take in a record of the outcomes topic; returns the run where that ends a firing that was open until now."""
        found = outcomes.decode(record.key, record.value, record.offset, record.timestamp)
        about = read_firing(found.id) if isinstance(found, Outcome) else None
        if not isinstance(found, Outcome) or about is None or about.job != found.job:
            self.unreadable += 1
            return None
        firing = self._of(about.run, about.job).firings.setdefault(about.n, HeardFiring())
        said = keep(found)
        if said.status is RunStatus.STARTED:
            firing.started = firing.started or said
            return None
        if firing.final is not None:  # a duplicate, or one that came too late
            return None
        firing.final = said
        return about.run

    def remembered(self, run: str, record: Record) -> None:
        """Take in the state record of a run; a null forgets it, and one that cannot be read tells nothing."""
        heard = self._heard.get(run)
        if record.value is None:
            if heard is not None:
                heard.record = None
            return
        decoded, about = state.decode_run(run, record.value), read_firing(run)
        if not isinstance(decoded, Rejected) and about is not None:
            self._of(run, about.job).record = decoded

    def ended(self, end: RunEnd) -> str:
        """Take in an event that says how a run ended; returns the run."""
        about = read_firing(end.run)
        self._of(end.run, end.run if about is None else about.job).end = end
        return end.run

    def _of(self, run: str, job: str) -> Heard:
        heard = self._heard.get(run)
        if heard is None:
            heard = self._heard[run] = Heard(job)
        return heard

    def all(self, since: int = 0) -> Iterator[RunView]:
        """The runs that were heard of since then or are open, the one heard of last at the end."""
        seen = (view for run in self._heard if (view := self.get(run)) is not None)
        yield from sorted((one for one in seen if one.open or one.at >= since), key=lambda one: (one.at, one.run))

    def is_news(self, run: RunView) -> bool:
        """Whether this end was not told yet. A failure is told by its executor, and then by the run's owner again."""
        heard = self._heard[run.run]
        if heard.told >= run.n and run.status not in OWNERS:
            return False
        heard.told = run.n
        return True

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
        heard = self._heard[run]
        verdict = judge(heard)
        if verdict is None:
            return None
        newest = heard.firings.get(max(heard.firings, default=0), HeardFiring())
        spell = spell_of(newest, heard.record, None if verdict.open else verdict.at)
        executor = next((one.executor for one in (newest.final, newest.started) if one and one.executor), None)
        return RunView(
            run=run,
            job=heard.job,
            status=verdict.status,
            n=max([*heard.firings, heard.record.n if heard.record else 1]),
            attempts=attempts_of(heard),
            at=verdict.at,
            started_at=spell.started,
            finished_at=spell.finished,
            duration=spell.duration,
            executor=executor,
            error=verdict.error,
            next_at=verdict.next_at,
            open=verdict.open,
        )
