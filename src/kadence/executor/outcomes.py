"""How runs went, on their way to the log."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Final

from kadence.domain.firing import due_text
from kadence.domain.partition import partition_for
from kadence.errors import LogError
from kadence.wire.outcome import encode

if TYPE_CHECKING:
    from kadence.executor.work import Work
    from kadence.handlers.handler import Ending
    from kadence.log.port import LogAppender, Receipt
    from kadence.wire.outcome import Status

logger = logging.getLogger(__name__)

_LONGEST_WAIT: Final = 5_000
_FIRST_WAIT: Final = 100
"""Milliseconds before an outcome that was not taken is sent again; it doubles up to the other."""


class Outcomes:
    """Sends outcomes without waiting for their acknowledgement: `Work.acknowledged` is called with that."""

    def __init__(self, appender: LogAppender, namespace: str, shards: int, executor: str) -> None:
        """``shards``: partitions of the outcomes topic. ``executor`` names this process to people."""
        self.topic = f"{namespace}.outcomes"
        self._appender = appender
        self._shards = shards
        self._executor = executor
        self._end = f'"executor":{json.dumps(executor, ensure_ascii=False)}}}'
        self._places: dict[str, tuple[int, bytes]] = {}

    def started(self, work: Work) -> None:
        """Say that a run has begun. It is told once; whoever misses it learns of the run by its end."""
        work.reported = True
        value = encode(work.id, "started", started_at=work.started_at, executor=self._executor)
        self._post(work, value, _shrug)

    def final(self, work: Work, status: Status, now: int, ending: Ending | None) -> None:
        """Say how a run ended, at ``now`` (ms). Its record is finished once the log has acknowledged that."""
        work.answered = True
        began = work.started_at
        if status == "succeeded" and began is not None and (ending is None or ending.result is None):
            # As `encode` spells it, at a third of the time.
            times = f'"started_at":"{due_text(began)}","finished_at":"{due_text(now)}"'
            work.value = f'{{"id":"{work.id}","status":"succeeded",{times},{self._end}'.encode()
        else:
            work.value = self._encoded(work, status, now, ending)
        place = self._places.get(work.execution.firing.job)
        if place is None:
            self.send(work)
            return
        try:
            self._appender.post(self.topic, place[0], place[1], work.value, done=work.acknowledged)
        except LogError as error:
            work.acknowledged(error)

    def _encoded(self, work: Work, status: Status, now: int, ending: Ending | None) -> bytes:
        try:
            return self._told(work, status, now, ending)
        except ValueError:
            logger.exception("run %s: how it ended cannot be written in full: this is a bug in kadence", work.id)
            return self._told(work, status, now, None)

    def _told(self, work: Work, status: Status, now: int, ending: Ending | None) -> bytes:
        return encode(
            work.id,
            status,
            error=None if ending is None else ending.error,
            started_at=work.started_at,
            finished_at=now,
            until=None if ending is None else ending.until,
            executor=self._executor,
            result=None if ending is None else ending.result,
        )

    def send(self, work: Work) -> None:
        """Send its outcome, again if need be."""
        self._post(work, work.value, work.acknowledged)

    def wait(self, work: Work) -> int:
        """Milliseconds to wait until it is sent again, after it was not taken; says why it was not."""
        wait = min(_FIRST_WAIT << min(work.tries, 10), _LONGEST_WAIT)
        work.tries += 1
        told = logger.warning if wait == _LONGEST_WAIT else logger.info
        told("run %s: its outcome is not in the log yet, and is sent again in %d ms: %s", work.id, wait, work.answer)
        return wait

    def _post(self, work: Work, value: bytes, done: _Done) -> None:
        job = work.execution.firing.job
        place = self._places.get(job)
        if place is None:
            key = job.encode()
            place = self._places[job] = (partition_for(key, self._shards), key)
        try:
            self._appender.post(self.topic, place[0], place[1], value, done=done)
        except LogError as error:
            done(error)


def _shrug(answer: Receipt | LogError) -> None:
    if isinstance(answer, LogError):
        logger.info("a start was not reported: %s", answer)


if TYPE_CHECKING:
    from collections.abc import Callable

    _Done = Callable[[Receipt | LogError], None]
