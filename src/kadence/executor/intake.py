"""The consumer's thread: takes records in hand, and tells the group what is finished.

It alone touches the consumer, and it waits for nothing but the log, so that no handler, however long it takes, costs
the executor its membership.
"""

from __future__ import annotations

import logging
from collections import deque
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial
from heapq import heappop, heappush
from math import ceil
from threading import Event
from typing import TYPE_CHECKING, Final

from kadence.errors import KadenceError, LogError, UnreachableError
from kadence.executor.execution import read_execution
from kadence.executor.partition import Partition
from kadence.executor.skew import Skew
from kadence.executor.work import Stage, Work
from kadence.log.topics import counted

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Collection, Mapping

    from kadence.clock import Clock
    from kadence.executor.dispatcher import Dispatcher
    from kadence.executor.execution import Execution
    from kadence.executor.history import History
    from kadence.executor.lanes import Lane
    from kadence.executor.outcomes import Outcomes
    from kadence.log.port import LogConsumer, Record
    from kadence.metrics_executor import ExecutorMetrics

logger = logging.getLogger(__name__)

MOST: Final = 1_000
"""Records that are queued or running, about; a partition has its share of them, at least a tenth."""
_MOST_UNANSWERED: Final = 10_000
_BATCH: Final = 500
_POLL: Final = 0.05
_BREATH: Final = 0.002
_BREATHS: Final = 50
"""So often it waits so long for room before it has the partitions paused that take it."""
_COMPLAIN_EVERY: Final = 60_000
_COMMIT_EVERY: Final = 1_000
_LAST_WORDS: Final = 1_000
"""Milliseconds that a run which was cancelled has to say something of its own."""
_NAMED: Final = 5
_LASTING: Final = 30_000
"""Milliseconds for which commits of a partition are refused before anybody is told."""


class Intake:
    """What the consumer's thread does. `step` again and again, then `drain` once; all in one thread."""

    def __init__(  # noqa: PLR0913  what it stands between
        self,
        app: str,
        *,
        group: str,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        dispatcher: Dispatcher,
        outcomes: Outcomes,
        history: History,
        metrics: ExecutorMetrics,
        handover: float,
        hurry: Event,
    ) -> None:
        """``group`` is as executions name it, empty for the namespace's own: another app's run in it would be lost.

        ``handover``: seconds that a running handler has at a revocation. ``hurry``: once it is set, none has any.
        """
        self.consumer: LogConsumer | None = None
        self.taken = 0
        self._unread = 0
        self._app = app
        self._group = group
        self._clock = clock
        self._loop = loop
        self._dispatcher = dispatcher
        self._lanes: Mapping[str, Lane] = dispatcher.lanes
        self._outcomes = outcomes
        self._history = history
        self._metrics = metrics
        self._handover = handover
        self._hurry = hurry
        self._until: int | None = None
        self._handed_back = False
        self._partitions: dict[int, Partition] = {}
        self._answers: deque[Work] = deque()
        self._refused: dict[int, int] = {}
        self._again: list[tuple[int, int, Work]] = []
        self._sent_again = 0
        self._pause = Event()  # never set: something to wait on
        self._breaths = 0
        self._stranger_at: int | None = None
        self.skew = Skew(clock)
        self._last: list[Work] = []
        self._committed_at = clock.monotonic()

    @property
    def in_hand(self) -> int:
        """How many records are queued or running, those included that were not looked at yet."""
        return self.taken - self._dispatcher.over + self._unread

    @property
    def problem(self) -> str | None:
        """What it waits for before it runs anything, or None."""
        unread = sorted(one.number for one in list(self._partitions.values()) if one.unread is not None)
        return f"reading the outcomes of partitions {unread}" if unread else self.skew.problem

    def step(self, consumer: LogConsumer) -> None:
        """Poll once, and do what has come up. Raises `ConfigurationError`, `LogError`."""
        self._settle()
        self._adopt()
        self._commit(consumer)
        if self._has_room():
            self._breaths = 0
            self._resume(consumer)
            records = consumer.poll(_BATCH, _POLL)
        elif self._breaths < _BREATHS:
            self._breaths += 1
            self._pause.wait(_BREATH)
            return
        else:
            self._hold_back(consumer)
            records = consumer.poll(_BATCH, _POLL)
        if records:
            self._take(records, consumer.assigned())

    def revoked(self, partitions: frozenset[int], lost: bool) -> None:  # noqa: FBT001  as the port has it
        """Let go of partitions: what runs may finish, what is queued is forgotten, what is finished is committed."""
        mine = [self._partitions[number] for number in sorted(partitions) if number in self._partitions]
        if not self._handed_back:  # which has said and done all this
            works = self._let_go(mine)
            if not lost:
                self._wait(works, self._handover)
            self._abandon(works, "it was lost" if lost else f"not finished within {self._handover:g} s of a handover")
        else:
            works = []
        if not lost and self.consumer is not None:
            self._wait(works, 0)
            self._tell(self.consumer, mine)
        for partition in mine:
            self._unread -= len(partition.unread or ())
            self._partitions.pop(partition.number, None)

    def drain(self, consumer: LogConsumer, since: int, timeout: float) -> None:
        """Take no more, and let what runs finish until ``timeout`` seconds after ``since`` (monotonic, ms)."""
        self._until = since + int(timeout * 1000)
        self._last = self._let_go(list(self._partitions.values()))
        left = max(0, ceil((self._until - self._clock.monotonic()) / 1000))
        at_work = [work.id for work in self._last if work.stage is Stage.RUNNING and not work.answered]
        if at_work:
            more = f" and {len(at_work) - _NAMED} more" if len(at_work) > _NAMED else ""
            told = counted(len(at_work), "run"), ", ".join(at_work[:_NAMED]) + more
            logger.info("stopping: waiting up to %d s for %s: %s", left, *told)
        self._drain(consumer, self._last, self._until, self._hurry)
        why = "a second signal ended the waiting" if self._hurry.is_set() else f"not finished within {timeout:g} s"
        self._abandon(self._last, why)

    def hand_back(self, consumer: LogConsumer) -> None:
        """After `drain`: give what was cut short its last words. Nothing is waited for afterwards."""
        self._drain(consumer, self._last, self._clock.monotonic() + _LAST_WORDS, Event())
        self._handed_back = True
        self._tell(consumer, list(self._partitions.values()))

    def _drain(self, consumer: LogConsumer, works: list[Work], deadline: int, hurry: Event) -> None:
        """Wait until these are finished, as a member of the group that takes nothing."""
        self._settle(again=True)
        while self._unfinished(works) and self._clock.monotonic() < deadline and not hurry.is_set():
            try:
                consumer.pause(consumer.assigned())
                consumer.poll(1, _POLL)
                self._commit(consumer)
            except KadenceError as error:
                logger.info("while the last runs end: %s", error)
                self._pause.wait(_POLL)
            self._settle(again=True)

    # --- taking ------------------------------------------------------------------------------------------

    def _has_room(self) -> bool:
        unanswered = sum(len(one.works) for one in self._partitions.values())
        return self.in_hand < MOST and unanswered < _MOST_UNANSWERED

    def _hold_back(self, consumer: LogConsumer) -> None:
        """Pause the partitions that have more than their share in hand, so that the others go on."""
        share = max(MOST // max(len(self._partitions), 1), MOST // 10)
        full = [one for one in self._partitions.values() if not one.paused and one.in_hand >= share]
        if full:
            consumer.pause([one.number for one in full])
        for partition in full:
            partition.paused = True
        self._resume(consumer)

    def _resume(self, consumer: LogConsumer) -> None:
        share = max(MOST // max(len(self._partitions), 1), MOST // 10)
        free = [one for one in self._partitions.values() if one.paused and one.in_hand <= share // 2]
        if free:
            consumer.resume([one.number for one in free])
        for partition in free:
            partition.paused = False

    def _take(self, records: list[Record], assigned: Collection[int]) -> None:
        works: list[Work] = []
        for record in records:
            partition = self._partitions.get(record.partition)
            if partition is None:
                if record.partition not in assigned:
                    continue
                partition = self._partitions[record.partition] = Partition(record.partition, self._answers)
                self._history.ask(partition, record.timestamp)
            if partition.unread is None:
                self._accept(partition, record, works)
            else:
                partition.unread.append(record)
                self._unread += 1
        self._hand_over(works)

    def _adopt(self) -> None:
        """Begin with the partitions whose past is known now."""
        while self._history.read:
            past = self._history.read.popleft()
            partition = past.partition
            if not partition.gone and partition.unread is not None:
                partition.earlier, partition.earlier_until = past.finished, past.until
                records, partition.unread = partition.unread, None
                self._unread -= len(records)
                works: list[Work] = []
                for record in records:
                    self._accept(partition, record, works)
                self._hand_over(works)

    def _accept(self, partition: Partition, record: Record, works: list[Work]) -> None:
        execution = read_execution(record)
        if execution is not None and (execution.app == self._app or self._is_strangers(record, execution)):
            lane = self._lanes.get(execution.firing.job) if execution.app == self._app else None
            work = Work(execution, lane, partition)
            if not partition.is_repeated(execution, work.id):
                partition.ledger.take(record.offset)
                partition.works[record.offset] = work
                works.append(work)
                return
            reason = "duplicate"
        else:
            reason = "unreadable" if execution is None else "foreign"
        self._metrics.skipped(reason)
        partition.ledger.take(record.offset)
        partition.ledger.finish(record.offset)

    def _is_strangers(self, record: Record, execution: Execution) -> bool:
        """Whether it is another app's run that nobody else is given, as the two share a group: it is put off, loudly.

        Nothing is lost so, and a renamed app is given what its former name left behind, as its definitions are new.
        """
        if execution.app is None or execution.group != self._group:
            return False
        now = self._clock.monotonic()
        if self._stranger_at is None or now - self._stranger_at >= _COMPLAIN_EVERY:
            self._stranger_at = now
            logger.error(
                "%s[%d] at offset %d is a run of job %s of the app %.80s, and this is the app %s: where a namespace "
                'has several, each needs a group of its own, as App("billing", group="billing") gives it; the run is '
                "put off, and comes again",
                record.topic,
                record.partition,
                record.offset,
                execution.firing.job,
                execution.app,
                self._app,
            )
        return True

    def _hand_over(self, works: list[Work]) -> None:
        if works:
            self.taken += len(works)
            self._loop.call_soon_threadsafe(self._dispatcher.take, works)

    # --- finishing ---------------------------------------------------------------------------------------

    def _settle(self, *, again: bool = False) -> None:
        """Look at what the log has answered; ``again``: also what is not ours any more is sent again."""
        answers, answer = self._answers, None
        while answers:
            work = answers.popleft()
            partition, answer = work.partition, work.answer
            if not isinstance(answer, LogError):
                work.finished = True
                partition.works.pop(work.execution.offset, None)
                partition.ledger.finish(work.execution.offset)
            elif again or not partition.gone:
                self._sent_again += 1
                at = self._clock.monotonic() + self._outcomes.wait(work)
                heappush(self._again, (at, self._sent_again, work))
        if answer is not None and not isinstance(answer, LogError):
            self.skew.compare(answer)
        while self._again and self._again[0][0] <= self._clock.monotonic():
            work = heappop(self._again)[2]
            if again or not work.partition.gone:
                self._outcomes.send(work)

    def _commit(self, consumer: LogConsumer) -> None:
        if self._clock.monotonic() - self._committed_at >= _COMMIT_EVERY:
            self._committed_at = self._clock.monotonic()
            self._tell(consumer, list(self._partitions.values()))

    def _tell(self, consumer: LogConsumer, partitions: Collection[Partition]) -> None:
        """Commit what is finished of these. What the group does not hear now it hears the next time."""
        found = {one.number: one.ledger.position for one in partitions}
        new = {
            one.number: position
            for one in partitions
            if (position := found[one.number]) is not None and position != one.committed
        }
        if not new:
            return
        try:
            consumer.commit(new)
        except UnreachableError as error:
            self._not_committed(new, error)
            return
        self._refused.clear()
        for partition in partitions:
            partition.committed = new.get(partition.number, partition.committed)

    def _not_committed(self, new: Mapping[int, int], error: UnreachableError) -> None:
        """Each rebalance refuses a commit or two. It is worth a warning, each 30 s, where it lasts."""
        now = self._clock.monotonic()
        self._refused = {number: self._refused.get(number, now) for number in new}
        lasting = [number for number, since in self._refused.items() if now - since >= _LASTING]
        if lasting:
            self._refused.update(dict.fromkeys(lasting, now))
            logger.warning("what is finished of partitions %s is not committed: %s", sorted(lasting), error)
        else:
            logger.debug("what is finished is not committed yet: %s", error)

    # --- letting go --------------------------------------------------------------------------------------

    def _let_go(self, partitions: list[Partition]) -> list[Work]:
        """Nothing of these begins from now on; returns what has begun and is not finished."""
        for partition in partitions:
            partition.gone = True
        done: Future[None] = Future()

        def forget() -> None:
            self._dispatcher.forget(partitions)
            done.set_result(None)

        self._loop.call_soon_threadsafe(forget)
        try:
            done.result(self._handover)
        except FutureTimeoutError:
            logger.warning("the event loop is blocked: a handler with async def does what only a thread should do")
        return [work for one in partitions for work in one.works.values() if work.stage is not Stage.QUEUED]

    def _wait(self, works: list[Work], timeout: float) -> None:
        """Until these are finished, for ``timeout`` seconds at most."""
        deadline = self._clock.monotonic() + int(timeout * 1000)
        deadline = deadline if self._until is None else min(deadline, self._until)
        self._settle(again=True)
        while self._unfinished(works) and self._clock.monotonic() < deadline and not self._hurry.is_set():
            self._pause.wait(_BREATH)
            self._settle(again=True)

    def _abandon(self, works: list[Work], why: str) -> None:
        left = self._unfinished(works)
        if left:
            last = self._until is not None
            self._loop.call_soon_threadsafe(partial(self._dispatcher.abandon, left, why, at_the_end=last))

    @staticmethod
    def _unfinished(works: list[Work]) -> list[Work]:
        return [work for work in works if not work.finished]
