"""Facts about topics, and changes to them, by Kafka's admin requests."""

from __future__ import annotations

import threading
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without saying so
    AclOperation,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from kadence.clock import SystemClock
from kadence.errors import ConfigurationError, NotFoundError, UnreachableError
from kadence.log.kafka.errors import MISSING, cause, is_unreachable
from kadence.log.port import TopicInfo

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from concurrent.futures import Future

    from confluent_kafka import Node
    from confluent_kafka.admin import (  # type: ignore[attr-defined]  # the same
        AdminClient,
        TopicDescription,
    )

    from kadence.log.kafka.connection import Connection

_LOOK_EVERY: Final = 0.02
_MARGIN_SECONDS: Final = 1.0


class KafkaAdmin:
    """See `kadence.log.port.LogAdmin`."""

    __slots__ = ("_client", "_clock", "_closed", "_connection")

    def __init__(self, connection: Connection) -> None:
        self._clock = SystemClock()
        self._connection = connection
        self._closed = False
        self._client: AdminClient | None = connection.admin()

    def describe(self, topics: Collection[str], *, timeout: float = 10.0, config: bool = True) -> dict[str, TopicInfo]:
        """Return the facts of those topics that exist."""
        names = sorted(set(topics))
        if not names:
            return {}
        client = self._open
        futures = client.describe_topics(
            TopicCollection(names), include_authorized_operations=True, request_timeout=timeout
        )
        found: dict[str, TopicInfo] = {}
        for name, future in futures.items():
            try:
                found[name] = _info(self._answer(client, future, timeout))
            except KafkaException as error:
                if cause(error).code() not in MISSING:
                    found[name] = TopicInfo(name, "", 0, 0, writable=False, error=cause(error).str())
        return self._with_config(found, timeout) if config else found

    def create(
        self, topic: str, partitions: int, replication: int, config: Mapping[str, str], *, timeout: float = 30.0
    ) -> None:
        """Create a topic unless it exists. Raises `ConfigurationError` where the cluster will not have it."""
        deadline = self._clock.monotonic() + timeout * 1000
        wanted = NewTopic(topic, partitions, replication, config=dict(config))
        client = self._open
        futures = client.create_topics([wanted], request_timeout=timeout, operation_timeout=timeout)
        try:
            self._answer(client, futures[topic], timeout)
        except KafkaException as error:
            if cause(error).code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise ConfigurationError(f"topic {topic} was not created: {cause(error).str()}") from error
        # The controller has it; a broker serves it a moment later.
        pause = threading.Event()
        while self._clock.monotonic() < deadline:
            if topic in self.describe([topic], config=False):
                return
            pause.wait(_LOOK_EVERY)
        raise UnreachableError(f"topic {topic} was created but no broker serves it yet")

    def alter(self, topic: str, config: Mapping[str, str], *, timeout: float = 30.0) -> None:
        """Set these settings. Raises `NotFoundError`, `ConfigurationError`, `UnreachableError`."""
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in config.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        client = self._open
        futures = client.incremental_alter_configs([resource], request_timeout=timeout)
        try:
            self._answer(client, futures[resource], timeout)
        except KafkaException as error:
            if cause(error).code() in MISSING:
                raise NotFoundError(f"there is no topic {topic}") from error
            raise ConfigurationError(f"topic {topic} was not changed: {cause(error).str()}") from error

    def brokers(self, *, timeout: float = 10.0) -> int:
        """How many brokers the cluster has right now."""
        client = self._open
        try:
            cluster = self._answer(client, client.describe_cluster(request_timeout=timeout), timeout)
        except KafkaException as error:
            raise UnreachableError(f"the cluster did not describe itself: {cause(error).str()}") from error
        return len(cluster.nodes)

    def close(self) -> None:
        """Release."""
        self._closed = True
        self._client = None

    @property
    def _open(self) -> AdminClient:
        if self._closed:
            raise RuntimeError("this admin client is closed")
        client = self._client
        if client is None:
            client = self._client = self._connection.admin()
        client.poll(0)  # hands on what the library has logged
        return client

    def _answer(self, client: AdminClient, future: Future[Any], timeout: float) -> Any:  # noqa: ANN401  untyped futures
        """Wait for an answer. Raises `UnreachableError` where none came, `KafkaException` where it was no.

        A client whose question nobody answered is let go of: librdkafka's goes on asking for the broker that it knew
        as the controller until its metadata is renewed, minutes after that broker died and others have taken over.
        Whoever waits holds the client: the futures of one that was collected never finish.
        """
        try:
            return future.result(timeout + _MARGIN_SECONDS)
        except FutureTimeoutError as error:
            self._let_go(client)
            raise UnreachableError("the cluster did not answer in time") from error
        except KafkaException as error:
            if is_unreachable(cause(error)):
                self._let_go(client)
                raise UnreachableError(f"the cluster did not answer: {cause(error).str()}") from error
            raise

    def _let_go(self, client: AdminClient) -> None:
        if self._client is client:
            self._client = None

    def _with_config(self, found: dict[str, TopicInfo], timeout: float) -> dict[str, TopicInfo]:
        usable = [name for name, info in found.items() if info.error is None]
        if not usable:
            return found
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in usable]
        client = self._open
        answers = client.describe_configs(resources, request_timeout=timeout)
        for resource, future in answers.items():
            info = found[resource.name]
            try:
                entries = self._answer(client, future, timeout)
            except KafkaException as error:
                if cause(error).code() in MISSING:  # deleted since
                    del found[resource.name]
                continue  # we may write to a topic without being allowed to see its settings
            settings = {name: entry.value for name, entry in entries.items() if entry.value is not None}
            found[resource.name] = replace(info, config=settings)
        return found


def _is_nobody(leader: Node | None) -> bool:
    """Whether a partition has no leader; the stubs say that there always is one."""
    return leader is None or leader.id < 0


def _info(topic: TopicDescription) -> TopicInfo:
    allowed = topic.authorized_operations or []  # empty: the cluster does not say
    return TopicInfo(
        topic.name,
        str(topic.topic_id),
        len(topic.partitions),
        min((len(each.replicas) for each in topic.partitions), default=0),
        writable=not allowed or AclOperation.WRITE in allowed,
        leaderless=sum(_is_nobody(each.leader) for each in topic.partitions),
        in_sync=min((len(each.isr) for each in topic.partitions), default=0),
    )
