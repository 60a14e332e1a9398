"""How every client of a Kafka log is configured: what safety needs, what speed wants, what the user adds.

Properties are librdkafka's (its CONFIGURATION.md). The user's override kadence's choices of speed and patience;
those that a guarantee depends on are refused.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from kadence.errors import ConfigurationError
from kadence.log.kafka.errors import cause, is_grave

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BATCH_BYTES: Final = 1_000_000
"""Bytes of records in one producer batch at most. A topic with a smaller ``max.message.bytes`` may refuse one."""

PROTECTED: Final = frozenset(
    {
        "acks",
        "allow.auto.create.topics",  # a misspelt target must be refused, not created
        "auto.offset.reset",
        "batch.size",  # start-up checks compare it with max.message.bytes
        "bootstrap.servers",  # given apart
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.gapless.guarantee",
        "enable.idempotence",
        "enable.partition.eof",
        "group.id",
        "group.instance.id",
        "group.protocol",
        "group.remote.assignor",
        "isolation.level",
        "max.in.flight",
        "max.in.flight.requests.per.connection",
        "message.send.max.retries",
        "metadata.broker.list",
        "partition.assignment.strategy",
        "partitioner",
        "queuing.strategy",
        "request.required.acks",
        "retries",
        "transactional.id",
    }
)
"""The properties that a user may not set: a guarantee rests on the value kadence gives them."""

_Client = TypeVar("_Client")

# A broker that is gone, hung or behind a dead link is given up for another within seconds, not minutes, and
# reconnects are tried often enough that a restart is not made longer by the waiting.
_PATIENCE: Final[Mapping[str, Any]] = {
    "socket.timeout.ms": 10_000,
    "socket.connection.setup.timeout.ms": 5_000,
    "socket.keepalive.enable": True,
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 1_000,
    # Connecting to a broker only once it is needed costs a takeover 50 ms, and 500 ms every fourth time.
    "enable.sparse.connections": False,
}

_CONSUMER: Final[Mapping[str, Any]] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "isolation.level": "read_committed",
    "allow.auto.create.topics": False,
}

_PRODUCER: Final[Mapping[str, Any]] = {
    "enable.idempotence": True,
    "acks": "all",
    "allow.auto.create.topics": False,
    "partitioner": "murmur2_random",  # Java's: murmur2 of the key, any partition for no key
    "batch.size": BATCH_BYTES,
}
_PRODUCER_DEFAULTS: Final[Mapping[str, Any]] = {
    "compression.type": "lz4",
    "linger.ms": 5,  # fills batches during a burst; a flush does not wait for it
    "request.timeout.ms": 10_000,
    # A topic that metadata does not know is refused this soon instead of after 30 s. Leader elections are no
    # reason to fail: a topic without a leader is known.
    "topic.metadata.propagation.max.ms": 100,
}

_log = logging.getLogger("kadence.kafka")


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the cluster is and how to speak to it; makes the clients. Raises `ConfigurationError`."""

    bootstrap_servers: str
    properties: Mapping[str, str]
    client_id: str

    def __post_init__(self) -> None:
        for name in self.properties:
            if name in PROTECTED:
                raise ConfigurationError(
                    f"the Kafka property {name} cannot be set: kadence's guarantees rest on the value it has"
                )

    def consumer(self, defaults: Mapping[str, Any], fixed: Mapping[str, Any]) -> Consumer:
        """Make a read_committed consumer that commits nothing by itself; the user's properties override ``defaults``.

        ``fixed`` overrides everything: a group's consumer begins at the first record where its group has no offset,
        for any other an offset that is not there is an error.
        """
        config = {**defaults, **self.properties, **_CONSUMER, **fixed}
        return self._made(Consumer, config, logged)

    def producer(
        self,
        on_error: Callable[[KafkaError], None],
        defaults: Mapping[str, Any],
        fixed: Mapping[str, Any],
    ) -> Producer:
        """Make an idempotent producer; the library's own errors reach ``on_error`` during its polls."""
        config = {**_PRODUCER_DEFAULTS, **defaults, **self.properties, **_PRODUCER, **fixed}
        return self._made(Producer, config, on_error)

    def admin(self) -> AdminClient:
        """Make an admin client. It must be held as long as any of its futures."""
        return self._made(AdminClient, dict(self.properties), logged)

    def _made(
        self,
        kind: Callable[..., _Client],
        config: Mapping[str, Any],
        on_error: Callable[[KafkaError], None],
    ) -> _Client:
        own = {"bootstrap.servers": self.bootstrap_servers, "client.id": self.client_id, "error_cb": on_error}
        try:
            return kind({**_PATIENCE, **config, **own}, logger=_LibraryLog())
        except KafkaException as error:
            raise ConfigurationError(f"Kafka's client cannot be set up: {cause(error).str()}") from error


def logged(error: KafkaError) -> None:
    """Log what the library reports of itself; it goes on trying by itself unless the error is fatal."""
    _log.log(logging.WARNING if is_grave(error) else logging.DEBUG, "%s", error.str())


class _LibraryLog:
    """Takes the library's own log lines, which call a lost connection an error; for us it is one retry."""

    def log(self, level: int, pattern: str, facility: str, name: str, line: str) -> None:
        """Log one line, its notices as debugging and nothing above a warning.

        CONFWARN says that a consumer ignores the properties of producers, which are set for all clients alike.
        """
        quiet = level <= logging.INFO or facility == "CONFWARN"
        usual = logging.INFO if level <= logging.ERROR else logging.WARNING
        _log.log(logging.DEBUG if quiet else usual, pattern, facility, name, line)
