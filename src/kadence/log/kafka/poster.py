"""Records that are posted: appended in batches by a producer of their own, and answered by a thread of its own.

The thread polls while answers are outstanding. The library's callbacks only note them, whoever is polling; `done` is
called outside of the library, so that it may post again, and wait for room in the queue if it must.

Nothing is locked, as every post and every answer would pay for it: a record is owed an answer while it is in a set, and
whoever takes it out of there, which succeeds once, gives the answer.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaException

from kadence.errors import LogError, UnreachableError
from kadence.log.kafka.connection import logged
from kadence.log.kafka.delivery import receipt_of
from kadence.log.kafka.errors import cause, is_fatal, outside_transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from confluent_kafka import KafkaError, Message, Producer

    from kadence.log.kafka.connection import Connection
    from kadence.log.port import Receipt

_DEFAULTS: Final = {
    "message.timeout.ms": 30_000,
    "linger.ms": 5,
    "queue.buffering.max.kbytes": 65_536,
}
_LOOK_EVERY: Final = 0.05
_CLOSE_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 1.0

_log = logging.getLogger("kadence.kafka")


class Poster:
    """One producer and its thread. ``broken`` once it can append no more; what it still owes is answered."""

    __slots__ = (
        "_answers", "_closing", "_idle", "_outstanding", "_producer", "_starting", "_thread", "_wake", "broken",
    )  # fmt: skip

    def __init__(self, connection: Connection) -> None:
        self.broken = False
        self._producer: Producer = connection.producer(logged, _DEFAULTS, {})
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._idle = False
        self._outstanding: set[_Posted] = set()
        self._answers: deque[tuple[_Posted, Message | LogError]] = deque()
        self._closing = False
        self._thread: threading.Thread | None = None

    def post(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
        done: Callable[[Receipt | LogError], None],
    ) -> bool:
        """See `kadence.log.port.LogAppender.post`. False where it is closed; nothing was done then."""
        posted = _Posted(self, topic, done)
        self._outstanding.add(posted)
        if self._closing and self._taken(posted):
            return False
        if self._thread is None:
            self._start(topic)
        elif self._idle:
            self._wake.set()
        listed: list[tuple[str, str | bytes | None]] | None = list(headers) if headers else None
        while True:
            try:
                self._producer.produce(topic, value, key, partition, posted, headers=listed)
            except BufferError:
                self._producer.poll(_LOOK_EVERY)  # delivery reports make room
            except KafkaException as error:
                self._failed(posted, cause(error))
                return True
            else:
                return True

    def reported(self, posted: _Posted, error: KafkaError | None, message: Message) -> None:
        """Note the answer to one record, for the thread to pass on."""
        if error is not None:
            self._failed(posted, error)
            return
        self._answers.append((posted, message))
        if self._idle:
            self._wake.set()

    def _failed(self, posted: _Posted, error: KafkaError) -> None:
        self.broken = self.broken or is_fatal(error)
        self._answered(posted, outside_transaction(error, posted.topic))

    def close(self) -> None:
        """Flush for 10 s at most, give up what is left, and return when everything is answered. Idempotent."""
        self._closing = True
        self._wake.set()
        if not self.broken:
            self._producer.flush(_CLOSE_SECONDS)
        self._producer.purge()  # and let go of: the library's own close() would wait without a limit
        self._producer.poll(0)
        for posted in self._outstanding.copy():
            self._answered(posted, UnreachableError(f"{posted.topic} did not acknowledge a record before the end"))
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _start(self, topic: str) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, args=(topic,), name="kadence-posts", daemon=True)
                self._thread.start()

    def _taken(self, posted: _Posted) -> bool:
        """Whether it is ours to answer; it is nobody else's then."""
        try:
            self._outstanding.remove(posted)
        except KeyError:
            return False
        return True

    def _answered(self, posted: _Posted, answer: LogError) -> None:
        self._answers.append((posted, answer))
        if self._idle:
            self._wake.set()

    def _pass_on(self, posted: _Posted, answer: Message | LogError) -> None:
        if not self._taken(posted):
            return
        found: Receipt | LogError
        try:
            found = answer if isinstance(answer, LogError) else receipt_of(answer)
        except LogError as unclear:
            found = unclear
        posted.done(found)

    def _serve(self, topic: str) -> None:
        """Poll while something is outstanding, and pass on what was answered; the body of the thread."""
        # The library asks for a producer id half a second after its start, or with the first metadata that comes
        # once it is connected; the answer to the second question is sure to do.
        for _ in range(2):
            with suppress(KafkaException):  # then the records themselves wait for the brokers
                self._producer.list_topics(topic, _CONNECT_SECONDS / 2)
        while self._has_work():
            while self._answers:
                posted, answer = self._answers.popleft()
                try:
                    self._pass_on(posted, answer)
                except Exception:  # noqa: BLE001  whatever it is, the others are to hear theirs
                    _log.exception("what was to be done with the answer of %s failed", posted.topic)
            if self.broken:
                self._producer.purge()  # it will not be sent any more: to be told at once is better
            if self._outstanding:
                self._producer.poll(_LOOK_EVERY)

    def _has_work(self) -> bool:
        """Wait until there is something to do; False when there is nothing and there will be nothing."""
        while not self._answers and not self._outstanding:
            if self._closing:
                return False
            self._wake.clear()
            self._idle = True  # from here on whoever brings something wakes us; what came before is seen now
            if not self._answers and not self._outstanding and not self._closing:
                self._wake.wait()
            self._idle = False
        return True


class _Posted:
    """One record on its way; the library calls it with the report."""

    __slots__ = ("_poster", "done", "topic")

    def __init__(self, poster: Poster, topic: str, done: Callable[[Receipt | LogError], None]) -> None:
        self._poster = poster
        self.topic = topic
        self.done = done

    def __call__(self, error: KafkaError | None, message: Message) -> None:
        self._poster.reported(self, error, message)
