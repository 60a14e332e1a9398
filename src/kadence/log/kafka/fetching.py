"""What all that fetch records share: how much at a time, and what becomes of a message of the library's."""

from __future__ import annotations

from operator import itemgetter, methodcaller
from typing import TYPE_CHECKING, Any, Final

from kadence.log.port import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from confluent_kafka import Consumer, Message
    from confluent_kafka._types import HeadersType

    from kadence.log.kafka.connection import Connection

RECEIVE_BYTES: Final = 256 * 1024 * 1024
"""The largest answer, and the largest inflated batch, that is taken in."""

FETCH_DEFAULTS: Final = {
    "receive.message.max.bytes": RECEIVE_BYTES,
    # One fetch at a time goes to a broker, and what is assigned meanwhile waits for its answer.
    "fetch.wait.max.ms": 100,
    # The library's 1,000 would halt a rebuild for a second whenever its queue is full.
    "fetch.queue.backoff.ms": 10,
    "fetch.error.backoff.ms": 100,
}

# Where a header's name is not UTF-8, the binding returns a broken list *and* sets an exception. A plain call of
# the method, once the interpreter has specialised it, does not look for the latter and walks into the former, which
# ends the process; this way of calling looks, and makes it a SystemError.
_get_headers: Final[Callable[[Message], HeadersType | None]] = methodcaller("headers")
_value: Final = itemgetter(1)


def without_group(connection: Connection) -> Consumer:
    """Make a consumer that is in no group and says where it has come to the end of a partition."""
    # The library wants a group for every consumer; nothing is ever committed under this one.
    fixed = {"group.id": f"{connection.client_id}.reader", "enable.partition.eof": True}
    return connection.consumer(FETCH_DEFAULTS, fixed)


def record_of(message: Message, topic: str, partition: int, offset: int) -> Record:
    """Return the record that ``message``, which bears no error, brought from there."""
    return Record(topic, partition, offset, message.timestamp()[1], message.key(), message.value(), _headers(message))


def _headers(message: Message) -> tuple[tuple[str, bytes], ...]:
    try:
        headers = _get_headers(message)
    except SystemError:
        return ()  # a name that is not UTF-8
    if not headers:
        return ()
    pairs: tuple[Any, ...] = tuple(headers.items() if isinstance(headers, dict) else headers)
    if None in map(_value, pairs):
        return tuple((name, value or b"") for name, value in pairs)
    return pairs
