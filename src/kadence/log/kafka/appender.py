"""The plain producer: idempotent, without transactions, for several threads.

It is two producers: one for those who wait for their answer, which sends at once, and one for what is posted, which
waits a moment so as to fill its batches.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaError, KafkaException

from kadence.clock import SystemClock
from kadence.errors import UnreachableError
from kadence.log.kafka.connection import logged
from kadence.log.kafka.delivery import receipt_of
from kadence.log.kafka.errors import cause, is_fatal, outside_transaction
from kadence.log.kafka.poster import Poster

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from confluent_kafka import Message, Producer

    from kadence.errors import LogError
    from kadence.log.kafka.connection import Connection
    from kadence.log.port import Receipt

_LOOK_EVERY: Final = 0.02
_CLOSE_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 1.0


class KafkaAppender:
    """See `kadence.log.port.LogAppender`.

    An append that timed out here may still reach the log, so a caller that tries again may append twice.
    """

    __slots__ = ("_clock", "_closed", "_connection", "_lock", "_poster", "_producer")

    def __init__(self, connection: Connection) -> None:
        self._clock = SystemClock()
        self._connection = connection
        self._lock = threading.Lock()
        self._producer: Producer | None = None
        self._poster: Poster | None = None
        self._closed = False

    def append(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        *,
        timeout: float = 30.0,
    ) -> Receipt:
        """Append one record; ``partition`` -1 is murmur2 of the key, as Java's producer has it."""
        return self._appended(topic, partition, [(key, value)], headers, timeout)[0]

    def append_all(
        self,
        topic: str,
        partition: int,
        records: Sequence[tuple[bytes | None, bytes | None]],
        *,
        timeout: float = 60.0,
    ) -> list[Receipt]:
        """Append many; a refused one does not keep the others out, and the first refusal is raised at the end."""
        return self._appended(topic, partition, records, (), timeout)

    def post(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        *,
        done: Callable[[Receipt | LogError], None],
    ) -> None:
        """Append one record without waiting; ``done`` is called in a thread of this appender's.

        An answer takes 30 s at most. Up to 64 MB are queued.
        """
        poster = self._poster
        if poster is not None and not poster.broken and poster.post(topic, partition, key, value, headers, done):
            return
        while not self._posting().post(topic, partition, key, value, headers, done):
            pass  # that one was replaced meanwhile

    def close(self) -> None:
        """Flush and release; what is not acknowledged within 10 s is dropped."""
        with self._lock:
            self._closed = True
            poster = self._poster
        if poster is not None:
            poster.close()
        with self._lock:
            producer, self._producer = self._producer, None
        if producer is not None:
            producer.flush(_CLOSE_SECONDS)
            producer.purge()  # and let go of: the library's own close() would wait without a limit

    def _appended(
        self,
        topic: str,
        partition: int,
        records: Sequence[tuple[bytes | None, bytes | None]],
        headers: Sequence[tuple[str, bytes]],
        timeout: float,
    ) -> list[Receipt]:
        deadline = self._clock.monotonic() + timeout * 1000
        producer = self._opened(topic, timeout)
        reports = _Reports(len(records))
        listed: list[tuple[str, str | bytes | None]] = list(headers)
        for index, (key, value) in enumerate(records):
            report = reports.of(index)
            while True:
                try:
                    producer.produce(topic, value, key, partition, report, headers=listed)
                except BufferError:
                    self._wait(producer, topic, deadline)
                except KafkaException as error:
                    self._discard_if_fatal(producer, cause(error))
                    raise outside_transaction(cause(error), topic) from error
                else:
                    break
        while reports.missing:
            self._wait(producer, topic, deadline)
        if reports.error is not None:
            self._discard_if_fatal(producer, reports.error)
            raise outside_transaction(reports.error, topic)
        return [receipt_of(message) for message in reports.messages]

    def _wait(self, producer: Producer, topic: str, deadline: float) -> None:
        """Serve delivery reports, of whichever thread's records, for a moment."""
        if self._clock.monotonic() >= deadline:
            raise UnreachableError(f"{topic} did not acknowledge a record in time")
        producer.poll(_LOOK_EVERY)

    def _opened(self, topic: str, timeout: float) -> Producer:
        with self._lock:
            if self._producer is None:
                self._producer = self._connection.producer(logged, {"message.timeout.ms": 30_000, "linger.ms": 0}, {})
                # The library asks for a producer id half a second after its start, or with the first metadata that
                # comes once it is connected; the answer to the second question is sure to do.
                for _ in range(2):
                    with suppress(KafkaException):  # then the append itself waits for the brokers
                        self._producer.list_topics(topic, min(timeout, _CONNECT_SECONDS) / 2)
            return self._producer

    def _posting(self) -> Poster:
        """Return what takes posts now; one that broke is replaced, and has answered for all it had."""
        with self._lock:
            if self._closed:
                raise RuntimeError("this appender is closed")
            broken = self._poster if self._poster is not None and self._poster.broken else None
            if self._poster is None or broken is not None:
                self._poster = Poster(self._connection)
            poster = self._poster
        if broken is not None:
            broken.close()
        return poster

    def _discard_if_fatal(self, producer: Producer, error: KafkaError) -> None:
        """An idempotent producer that lost its place in a sequence never sends again; the next append gets another."""
        if is_fatal(error):
            with self._lock:
                if self._producer is producer:
                    self._producer = None


class _Reports:
    """The delivery reports of one call, in the order of its records."""

    def __init__(self, count: int) -> None:
        self.messages: list[Message | None] = [None] * count
        self.missing = count
        self.error: KafkaError | None = None
        self._lock = threading.Lock()

    def of(self, index: int) -> _Report:
        """What the library calls for the record at ``index``, in whichever thread polls."""
        return _Report(self, index)

    def heard(self, index: int, error: KafkaError | None, message: Message) -> None:
        """One record's report."""
        with self._lock:
            self.missing -= 1
            if error is None:
                self.messages[index] = message
            else:
                self.error = self.error or error


class _Report:
    __slots__ = ("_index", "_reports")

    def __init__(self, reports: _Reports, index: int) -> None:
        self._reports = reports
        self._index = index

    def __call__(self, error: KafkaError | None, message: Message) -> None:
        self._reports.heard(self._index, error, message)
