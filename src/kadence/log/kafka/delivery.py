"""What becomes of records that were sent: the library's delivery reports, and what they add up to.

A report without an error and without an offset is no acknowledgement. The library sends up to five requests at once
and takes the success of a later one for that of those before it. But a leader that knows nothing of a producer
accepts whatever comes first: if it was not yet the leader when the earlier requests came, their records are in no log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaError

from kadence.errors import RefusedError, UncleanError, UnreachableError
from kadence.log.kafka.connection import logged
from kadence.log.kafka.errors import DROPPED, REFUSED
from kadence.log.port import Receipt

if TYPE_CHECKING:
    from confluent_kafka import Message


_IMPLIED: Final = "a record was acknowledged without a place in the log, so it may be lost"


class Failures:
    """What callbacks have heard. They only note; the writer's own thread decides."""

    __slots__ = ("cause", "dropped", "refused")

    def __init__(self) -> None:
        self.cause: KafkaError | None = None
        self.dropped: KafkaError | None = None
        self.refused: RefusedError | None = None

    def reported(self, error: KafkaError) -> None:
        """Note an error of the library's own if the producer cannot go on after it."""
        logged(error)
        if error.fatal():
            self.cause = self.cause or error

    def note(self, topic: str, error: KafkaError) -> None:
        """Note that a record for ``topic`` failed; commit itself would only say that some message did."""
        if error.code() in DROPPED:
            self.dropped = self.dropped or error  # the cause is on its way
            return
        self.cause = self.cause or error
        if self.refused is None and error.code() in REFUSED:
            self.refused = RefusedError(topic, error.str())


class Ack:
    """The delivery report of one record."""

    __slots__ = ("_failures", "_message")

    def __init__(self, failures: Failures) -> None:
        self._failures = failures
        self._message: Message | None = None

    def __call__(self, error: KafkaError | None, message: Message) -> None:
        """Note the report; the library calls this during a poll or a flush."""
        if error is not None:
            self._failures.note(message.topic() or "", error)
        elif message.offset() is None:
            self._failures.note(message.topic() or "", KafkaError(KafkaError._FAIL, _IMPLIED))  # noqa: SLF001  its name
        else:
            self._message = message

    def receipt(self) -> Receipt:
        """Where the record went, once it was acknowledged."""
        if self._message is None:
            raise UncleanError("a record counts as delivered but has no receipt")
        return receipt_of(self._message)


def receipt_of(message: Message | None) -> Receipt:
    """Return what an acknowledged record's report says of its place and time.

    Raises `UnreachableError` where it says nothing of them: the record may be in the log, or not.
    """
    offset = None if message is None else message.offset()
    if message is None or offset is None:
        raise UnreachableError(_IMPLIED)
    return Receipt(offset, message.timestamp()[1])
