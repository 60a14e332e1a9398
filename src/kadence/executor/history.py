"""What earlier owners of a partition have finished, from the outcomes in the log."""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from kadence.domain.stimulus import Outcome
from kadence.errors import KadenceError, LogError, UnreachableError
from kadence.log.topics import init_command
from kadence.wire.outcome import FINAL, decode

if TYPE_CHECKING:
    from kadence.executor.partition import Partition
    from kadence.log.port import Log, LogReader

logger = logging.getLogger(__name__)

_ANSWER_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.1
_CONTACT_SECONDS: Final = 5.0
_BATCH: Final = 5_000


@dataclass(frozen=True, slots=True)
class Past:
    """The firings of a partition that have a final outcome, and the broker time (ms) of the last one; 0: none has."""

    partition: Partition
    finished: set[str]
    until: int


class History:
    """Reads the past of partitions in a thread of its own, so that the membership waits for none of it."""

    def __init__(self, log: Log, namespace: str) -> None:
        """Nothing is opened before `start`."""
        self.read: deque[Past] = deque()
        """What was found, for the consumer to take."""
        self.trouble: str | None = None
        """Why the brokers do not answer, or None. It is asked of them all the time."""
        self._log = log
        self._namespace = namespace
        self._topic = f"{namespace}.outcomes"
        self._asked: SimpleQueue[tuple[Partition, int] | None] = SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="kadence-history", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def ask(self, partition: Partition, since: int) -> None:
        """What of this partition is finished, of all that was written at ``since`` (broker time, ms) or later?"""
        self._asked.put((partition, since))

    def stop(self, timeout: float) -> None:
        """End the thread. Idempotent."""
        self._stopping.set()
        self._asked.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _serve(self) -> None:
        reader = self._log.reader()
        try:
            while not self._stopping.is_set():
                try:
                    asked = self._asked.get(timeout=_CONTACT_SECONDS)
                except Empty:
                    self._look(reader)
                    continue
                if asked is not None:
                    self._answer(reader, *asked)
        finally:
            reader.close()

    def _look(self, reader: LogReader) -> None:
        """Whether a broker answers, and has the topics still."""
        topics = (f"{self._namespace}.executions", self._topic)
        try:
            gone = [topic for topic in topics if not reader.partitions(topic, _ANSWER_SECONDS)]
        except KadenceError as error:
            self.trouble = str(error)
            return
        known = self.trouble
        told = f"topic {' and '.join(gone)} does not exist; create it with: {init_command(self._namespace)}"
        self.trouble = told if gone else None
        if gone and known != told:
            logger.error("%s", told)

    def _answer(self, reader: LogReader, partition: Partition, since: int) -> None:
        while not self._stopping.is_set() and not partition.gone:
            try:
                self.read.append(self._past(reader, partition, since))
            except LogError as error:
                self.trouble = f"the outcomes of partition {partition.number} cannot be read: {error}"
                logger.warning("%s; trying again", self.trouble)
                self._stopping.wait(_LOOK_SECONDS * 10)
            else:
                self.trouble = None
                return

    def _past(self, reader: LogReader, partition: Partition, since: int) -> Past:
        number, finished, until = partition.number, set[str](), 0
        position = reader.offset_at(self._topic, number, since, _ANSWER_SECONDS)
        end = reader.bounds(self._topic, number, _ANSWER_SECONDS)[1]
        if position >= end:
            return Past(partition, finished, until)
        reader.assign(self._topic, number, position)
        try:
            while reader.position(self._topic, number) < end:
                if self._stopping.is_set() or partition.gone:
                    raise UnreachableError("nobody waits for it any more")
                for record in reader.read(_BATCH, _LOOK_SECONDS):
                    found = decode(record.key, record.value, record.offset, record.timestamp)
                    if isinstance(found, Outcome) and found.status in FINAL:
                        finished.add(found.id)
                        until = record.timestamp
        finally:
            reader.unassign(self._topic, number)
        return Past(partition, finished, until)
