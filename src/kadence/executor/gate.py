"""Whether a job may run now, for runs that have waited: what is paused, held or errored does not run its backlog."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from kadence.errors import KadenceError
from kadence.view.live import LiveView

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from kadence.clock import Clock
    from kadence.log.port import Log
    from kadence.view.model import JobView

    Verdicts = Mapping[str, str | None]
    """By job: why it may not run, or None where it may."""

logger = logging.getLogger(__name__)

FRESH: Final = 1_000
"""Milliseconds for which an answer stands: as long as a run may wait without being asked about at all."""
_AGEING: Final = 700
"""Milliseconds after which one that is used is renewed meanwhile, so that a long backlog need not stop for it."""
_PATIENCE: Final = 5.0
_BARRED: Final = frozenset({"paused", "errored"})


class Gate:
    """Answers from a live view of the app's jobs, which a thread follows from the first question on."""

    def __init__(self, log: Log, namespace: str, jobs: Collection[str], clock: Clock) -> None:
        """Nothing is opened before the first question."""
        self._clock = clock
        self._view = LiveView(log, namespace, jobs, clock)
        self._verdicts: dict[str, tuple[int, tuple[str | None]]] = {}
        self._looking = False
        self._asked: set[str] = set()
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._heard: Callable[[Verdicts, int], None] = _nobody
        self._well = True

    def listen(self, heard: Callable[[Verdicts, int], None]) -> None:
        """``heard`` is called, in the gate's thread, with each answer and when it was asked for (monotonic, ms)."""
        self._heard = heard

    def verdict(self, job: str) -> tuple[str | None] | None:
        """Why the job may not run (or None for: it may), if that is known for this moment; else None."""
        known = self._verdicts.get(job)
        if known is None:
            return None
        age = self._clock.monotonic() - known[0]
        if age > _AGEING and not self._looking and job not in self._asked:
            self.ask(job)
        return known[1] if age <= FRESH else None

    def ask(self, job: str) -> None:
        """Have it found out."""
        with self._lock:
            self._asked.add(job)
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="kadence-gate", daemon=True)
            self._thread.start()
        self._news.set()

    def stop(self, timeout: float) -> None:
        """End the thread. Idempotent."""
        self._stopping = True
        self._news.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def _serve(self) -> None:
        try:
            while True:
                self._news.wait()
                if self._stopping:
                    return
                self._news.clear()
                with self._lock:
                    jobs, self._asked = self._asked, set()
                if jobs:
                    asked = self._clock.monotonic()
                    self._looking = True
                    found = self._look({*jobs, *self._verdicts})  # one look at the log is enough for all of them
                    self._verdicts.update({job: (asked, (why,)) for job, why in found.items()})
                    self._looking = False
                    self._heard(found, asked)
        finally:
            self._view.close()

    def _look(self, jobs: Collection[str]) -> Verdicts:
        """What keeps these jobs; where it cannot be found out in time, nothing does."""
        try:
            self._view.catch_up(_PATIENCE)
            found = {job: barred(self._view.job(job)) for job in jobs}
        except KadenceError as error:
            return self._unknown(jobs, error)
        except Exception as error:
            logger.exception("the gate: this is a bug in kadence; runs that waited go ahead")
            return self._unknown(jobs, error)
        self._well = True
        return found

    def _unknown(self, jobs: Collection[str], error: Exception) -> Verdicts:
        if self._well:
            self._well = False
            logger.warning("runs that waited go ahead without a look at whether their jobs are paused: %s", error)
        return dict.fromkeys(jobs)


def barred(job: JobView | None) -> str | None:
    """Why a run that has waited may not run any more, None where it may."""
    if job is None or job.state not in _BARRED:
        return None
    return f"the job is {job.state}: {job.reason}" if job.reason else f"the job is {job.state}"


def _nobody(_verdicts: Verdicts, _asked: int) -> None:
    pass
