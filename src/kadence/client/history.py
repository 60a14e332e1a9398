"""The part of a client that looks back: how runs went, and the dead letters of those that failed for good."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from kadence.client import commands
from kadence.client.records import Records
from kadence.client.retrying import done_before, payload_for
from kadence.client.selecting import matches
from kadence.client.written import raise_for
from kadence.view.letterbox import read_letters
from kadence.view.runlog import RunLog

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from kadence.client.commands import Command, Time
    from kadence.client.session import Session
    from kadence.client.written import Written
    from kadence.view import JobView
    from kadence.view.letterbox import LetterBox
    from kadence.view.letters import Letter
    from kadence.view.runs import RunView

_HOUR: Final = timedelta(hours=1)


class History(Records, ABC):
    """What a client knows of the past."""

    timeout: float

    @abstractmethod
    def _session(self) -> Session: ...

    @abstractmethod
    def get(self, name: str) -> JobView:
        """One job. Raises `NotFoundError`."""

    @abstractmethod
    def submit(self, written: Sequence[Command], *, wait: bool | float | timedelta = True) -> tuple[Written, ...]:
        """Write commands in order."""

    def runs(
        self, names: Iterable[str] = (), *, since: Time | timedelta = _HOUR, failed: bool = False
    ) -> tuple[RunView, ...]:
        """The runs of some jobs (names and globs; none: all), the one begun last at the end.

        ``since``: only those that are under way, or were heard of since an instant, or for so long. ``failed``: only
        those that failed, timed out or were lost.
        """
        with self.run_log(names, since=self._instant(since)) as found:
            return tuple(run for run in found.recent() if run.failed or not failed)

    def run_log(self, names: Iterable[str] = (), *, since: int = 0) -> RunLog:
        """The runs since a broker time (ms), to be read and then followed. To be closed."""
        return RunLog(
            self._session().log, self.namespace, matches(names), since=since, timeout=self.timeout, clock=self._clock
        )

    def dead_letters(
        self, names: Iterable[str] = (), *, topics: Collection[str] = (), since: Time | timedelta | None = None
    ) -> tuple[Letter, ...]:
        """The dead letters of some jobs (names and globs; none: all), the oldest first.

        They are looked for in ``<ns>.dead_letters``, in the topics that the jobs name, and in ``topics``.
        """
        return tuple(self.letter_box(names, topics, None if since is None else self._instant(since)).letters)

    def letter_box(self, names: Iterable[str], topics: Collection[str], since: int | None) -> LetterBox:
        """The same since a broker time (ms), with what there is to say about the topics."""
        log, wanted = self._session().log, matches(names)
        return read_letters(
            log, self.namespace, wanted, topics=topics, since=since, timeout=self.timeout, clock=self._clock
        )

    def retrying(self, letter: Letter, job: JobView, *, reason: str | None = None) -> Command:
        """The record that runs a letter's run again. Raises `InvalidSpecError` where its payload cannot be sent."""
        return self.triggering(letter.job, letter.retry_id, payload_for(letter, job), reason=reason)

    def retry_letter(self, letter: Letter, *, reason: str | None = None, wait: bool | float | timedelta = True) -> str:
        """Run the run of a dead letter again, with its payload; returns the new run's id.

        A letter that was retried already is not run twice. Raises `NotFoundError` where its job is gone,
        `InvalidSpecError` where its payload cannot be sent, and what `trigger` raises.
        """
        done = self.submit([self.retrying(letter, self.get(letter.job), reason=reason)], wait=wait)
        if wait and not done_before(done[0]):
            raise_for(done)
        return letter.retry_run

    def _instant(self, since: Time | timedelta) -> int:
        if isinstance(since, timedelta):
            return max(0, self._clock.wall() - commands.length(since))
        return commands.instant(since)
