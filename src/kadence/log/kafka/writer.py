"""The transactional writer: one librdkafka producer, used by one thread, discarded at its first error.

librdkafka has no part 2 of KIP-890: after an abort or an unclean commit it cannot know what the broker holds, so
nothing here retries, aborts or re-sends. A successor's InitProducerId ends what is open and fences what is late.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaException

from kadence.clock import SystemClock
from kadence.errors import LogError, RefusedError, UncleanError, UnreachableError
from kadence.log.kafka.admin import KafkaAdmin
from kadence.log.kafka.delivery import Ack, Failures
from kadence.log.kafka.errors import FENCED, cause, in_transaction, taken_over

if TYPE_CHECKING:
    from collections.abc import Sequence

    from confluent_kafka import KafkaError, Producer

    from kadence.log.kafka.connection import Connection
    from kadence.log.port import Receipt

TRANSACTION_TIMEOUT_MS: Final = 60_000
"""How long the broker leaves the transaction of a writer that vanished open, unless a property says otherwise."""
_LOOK_EVERY: Final = 0.02
_SUSPICION_MS: Final = 300
_ASK_AGAIN_MS: Final = 2_000
_ASK_SECONDS: Final = 2.0
_ABORT_SECONDS: Final = 2.0


class KafkaWriter:
    """See `kadence.log.port.LogWriter`. After an error every call raises that error again."""

    __slots__ = ("_connection", "_dead", "_failures", "_last", "_lifetime", "_open", "_producer", "_topics")

    def __init__(self, connection: Connection, transactional_id: str, timeout: float) -> None:
        """Take over ``transactional_id``, waiting at most ``timeout`` seconds for its coordinator.

        Raises `UnreachableError`, `FencedError` (taken over by another meanwhile), `ConfigurationError`.
        """
        self._lifetime = lifetime = int(connection.properties.get("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS))
        self._connection = connection
        self._topics: set[str] = set()  # of the open transaction
        self._failures = Failures()
        self._dead: LogError | None = None
        self._last: Ack | None = None
        self._open = False
        self._producer: Producer | None = connection.producer(
            self._failures.reported,
            # A record that no leader takes for this long fails while the transaction can still be ended.
            {"transaction.timeout.ms": lifetime, "message.timeout.ms": lifetime // 2},
            {"transactional.id": transactional_id},
        )
        try:
            self._producer.init_transactions(timeout)
        except KafkaException as error:
            failure = taken_over(cause(error), transactional_id)
            self._dead = failure if isinstance(failure, LogError) else UncleanError(str(failure))
            self.close()
            raise failure from error

    def begin(self) -> None:
        """Open a transaction. The broker hears of it with the first record."""
        self._require_alive()
        if self._open:
            raise RuntimeError("a transaction is open already")
        try:
            self._live.begin_transaction()
        except KafkaException as error:
            raise self._died(cause(error)) from error
        self._open, self._last = True, None
        self._topics.clear()

    def send(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        """Queue a record; ``partition`` -1 is murmur2 of the key, as Java's producer has it."""
        if not self._open:
            self._require_open()
        producer = self._live
        self._topics.add(topic)
        ack = Ack(self._failures)
        listed = headers if isinstance(headers, list) else list(headers)
        while True:
            try:
                producer.produce(topic, value, key, partition, ack, headers=listed)
            except BufferError:
                producer.poll(_LOOK_EVERY)  # delivery reports make room
                self._require_alive()
            except KafkaException as error:
                self._failures.note(topic, cause(error))
                raise self._died(cause(error)) from error
            else:
                self._last = ack
                return

    def flush(self) -> None:
        """Return when everything sent is acknowledged; raise as soon as one record is known to be refused."""
        self._require_open()
        producer, clock = self._live, SystemClock()
        ask_at = clock.monotonic() + _SUSPICION_MS
        try:
            while producer.flush(_LOOK_EVERY) > 0:
                self._require_alive()
                if clock.monotonic() >= ask_at:
                    # For the partitions of a topic that was deleted the library waits until its messages time out.
                    self._dead = self._unwritable()
                    self._require_alive()
                    ask_at = clock.monotonic() + _ASK_AGAIN_MS
        except KafkaException as error:
            raise self._died(cause(error)) from error
        self._require_alive()
        if self._failures.dropped is not None:
            raise self._died(self._failures.dropped)

    def commit(self) -> Receipt:
        """Commit and return the receipt of the last record sent in this transaction."""
        self.flush()
        if self._last is None:
            raise RuntimeError("nothing was sent in this transaction")
        try:
            # Given up when the broker ends the transaction by itself. The library goes on committing behind a call
            # that gave up, so such a producer must never be called again: `_died` sees to that.
            self._live.commit_transaction(self._lifetime / 1000)
        except KafkaException as error:
            raise self._died(cause(error)) from error
        self._open = False
        return self._last.receipt()

    def close(self) -> None:
        """Drop what is queued and release the producer, leaving an open transaction to its successor."""
        self._dead = self._dead or UncleanError("the writer is closed")
        producer, self._producer = self._producer, None
        if producer is not None:
            if isinstance(self._dead, RefusedError):
                # No commit was asked for, so an abort is safe, and it spares the successor 500 ms of waiting.
                with suppress(KafkaException):
                    producer.abort_transaction(_ABORT_SECONDS)
            # Then let go of: the library's own close() would send an abort whatever went wrong.
            producer.purge()

    @property
    def _live(self) -> Producer:
        if self._producer is None or self._dead is not None:
            raise self._dead or UncleanError("the writer is closed")
        return self._producer

    def _require_open(self) -> None:
        self._require_alive()
        if not self._open:
            raise RuntimeError("no transaction is open: begin() comes first")

    def _require_alive(self) -> None:
        if self._dead is None and self._failures.cause is not None:
            self._died(self._failures.cause)
        if self._dead is not None:
            raise self._dead

    def _died(self, error: KafkaError) -> LogError:
        """Decide what killed this writer. A fence explains everything, a refusal what follows from it."""
        if self._producer is not None:
            with suppress(KafkaException):
                self._producer.poll(0)  # delivery reports that have come say more
        heard = self._failures
        causes = [each for each in (error, heard.cause) if each is not None]
        fence = next((each for each in causes if each.code() in FENCED), None)
        if fence is not None:
            self._dead = in_transaction(fence)
        else:
            self._dead = heard.refused or self._refused_unsaid() or in_transaction(causes[-1])
        return self._dead

    def _refused_unsaid(self) -> RefusedError | None:
        """Ask which topic it was, where the library does not say.

        A coordinator that will not add a topic to a transaction makes the library drop all of its records, with
        a word that names neither that topic nor the reason.
        """
        return None if self._failures.dropped is None else self._unwritable()

    def _unwritable(self) -> RefusedError | None:
        """Ask whether one of the open transaction's topics is missing or forbidden."""
        admin = KafkaAdmin(self._connection)
        try:
            facts = admin.describe(self._topics, timeout=_ASK_SECONDS, config=False)
        except UnreachableError:
            return None
        finally:
            admin.close()
        for topic in sorted(self._topics):
            if topic not in facts:
                return RefusedError(topic, "it does not exist")
            if not facts[topic].writable:
                return RefusedError(topic, facts[topic].error or "it may not be written to")
        return None
