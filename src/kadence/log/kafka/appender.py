"""The plain producer: idempotent, without transactions, for several threads."""

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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from confluent_kafka import Message, Producer

    from kadence.log.kafka.connection import Connection
    from kadence.log.port import Receipt

_LOOK_EVERY: Final = 0.02
_CLOSE_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 1.0


class KafkaAppender:
    """See `kadence.log.port.LogAppender`.

    An append that timed out here may still reach the log, so a caller that tries again may append twice.
    """

    __slots__ = ("_clock", "_connection", "_lock", "_producer")

    def __init__(self, connection: Connection) -> None:
        self._clock = SystemClock()
        self._connection = connection
        self._lock = threading.Lock()
        self._producer: Producer | None = None

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

    def close(self) -> None:
        """Flush and release; what is not acknowledged within 10 s is dropped."""
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
