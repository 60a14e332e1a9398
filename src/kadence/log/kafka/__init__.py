"""The log on Apache Kafka, through librdkafka. See ARCHITECTURE.md for what cost others days.

A client must not be carried over a fork: start processes by spawning them.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from kadence.log.kafka.admin import KafkaAdmin
from kadence.log.kafka.appender import KafkaAppender
from kadence.log.kafka.connection import BATCH_BYTES, PROTECTED, Connection
from kadence.log.kafka.consumer import KafkaConsumer
from kadence.log.kafka.membership import KafkaMembership
from kadence.log.kafka.reader import KafkaReader
from kadence.log.kafka.writer import KafkaWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["BATCH_BYTES", "PROTECTED", "KafkaLog"]

_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_TAKEOVER_SECONDS: Final = 15.0


class KafkaLog:
    """A Kafka cluster as `kadence.log.port.Log`.

    ``properties`` are librdkafka's, for every client alike (those it does not know fail when the first client is
    made); what a guarantee rests on (`PROTECTED`) is refused with a `ConfigurationError`. ``client_id`` names the
    clients in the brokers' logs and quotas, and the group ``<client_id>.reader``, which is never committed to.
    """

    __slots__ = ("_connection",)

    def __init__(
        self, bootstrap_servers: str, properties: Mapping[str, str] = _NONE, client_id: str = "kadence"
    ) -> None:
        self._connection = Connection(bootstrap_servers, dict(properties), client_id)

    def reader(self) -> KafkaReader:
        """Make a reader with nothing assigned."""
        return KafkaReader(self._connection)

    def writer(self, transactional_id: str) -> KafkaWriter:
        """Take over ``transactional_id``; gives up with `UnreachableError` after 15 s."""
        return KafkaWriter(self._connection, transactional_id, _TAKEOVER_SECONDS)

    def appender(self) -> KafkaAppender:
        """Make a plain producer, connected with its first append."""
        return KafkaAppender(self._connection)

    def admin(self) -> KafkaAdmin:
        """Make an admin client."""
        return KafkaAdmin(self._connection)

    def join(self, group: str, topic: str) -> KafkaMembership:
        """Join ``group``; the first `KafkaMembership.poll` begins it."""
        return KafkaMembership(self._connection, group, topic)

    def consume(self, group: str, topic: str, on_revoked: Callable[[frozenset[int], bool], None]) -> KafkaConsumer:
        """Join ``group`` to read; the first `KafkaConsumer.poll` begins it."""
        return KafkaConsumer(self._connection, group, topic, on_revoked)
