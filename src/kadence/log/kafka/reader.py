"""The read_committed reader: one librdkafka consumer with explicit assignment and no group of its own."""

from __future__ import annotations

import logging
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from confluent_kafka import OFFSET_END, KafkaError, KafkaException, TopicPartition

from kadence.clock import SystemClock
from kadence.errors import ConfigurationError, LogError, OffsetOutOfRangeError, UnreachableError
from kadence.log.kafka.errors import MISSING, OUT_OF_RANGE, UNREADABLE, cause, is_unreachable
from kadence.log.kafka.fetching import record_of, without_group
from kadence.log.kafka.unreadable import skip_batch
from kadence.log.port import LATEST

if TYPE_CHECKING:
    from confluent_kafka import Message

    from kadence.log.kafka.connection import Connection
    from kadence.log.port import Record

_LATEST_SECONDS: Final = 10.0
_LEADER_SECONDS: Final = 0.25

_log = logging.getLogger("kadence.kafka")


class KafkaReader:
    """See `kadence.log.port.LogReader`."""

    __slots__ = ("_clock", "_closed", "_connection", "_consumer", "_failed", "_led", "_positions", "_silenced")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._consumer = without_group(connection)
        self._clock = SystemClock()
        self._closed = False
        self._failed: deque[LogError] = deque()
        self._positions: dict[tuple[str, int], int] = {}  # the lowest offset that may still be returned
        self._silenced: set[tuple[str, int, int]] = set()
        self._led: set[tuple[str, int]] = set()  # partitions whose leader has answered us

    def assign(self, topic: str, partition: int, offset: int) -> None:
        """Start reading at ``offset``; raises `UnreachableError` where `LATEST` cannot be resolved."""
        self.unassign(topic, partition)
        if offset == LATEST:
            offset = self.bounds(topic, partition, _LATEST_SECONDS)[1]
        elif (topic, partition) not in self._led:
            self._find_leader(topic, partition)
        self._positions[topic, partition] = max(offset, 0)
        self._consumer.incremental_assign([TopicPartition(topic, partition, offset)])

    def _find_leader(self, topic: str, partition: int) -> None:
        """Ask the leader something, since a library that does not know it sits out half a second at assignment."""
        with suppress(UnreachableError):  # then it is found later
            self.bounds(topic, partition, _LEADER_SECONDS)

    def unassign(self, topic: str, partition: int) -> None:
        """Stop reading a partition."""
        if self._positions.pop((topic, partition), None) is not None:
            self._consumer.incremental_unassign([TopicPartition(topic, partition)])
            self._silenced = {each for each in self._silenced if each[:2] != (topic, partition)}

    def read(self, limit: int, timeout: float) -> list[Record]:
        """Return what has arrived, waiting for the first record only."""
        deadline = self._clock.monotonic() + timeout * 1000
        while True:
            if self._failed:
                raise self._failed.popleft()
            left = max(0.0, (deadline - self._clock.monotonic()) / 1000)
            # The library waits for a batch to fill; asking for one record, then for the rest at once, does not.
            messages = self._consumer.consume(1, left)
            if messages and limit > 1:
                messages += self._consumer.consume(limit - 1, 0)
            records = [record for message in messages if (record := self._taken(message)) is not None]
            if records or (not self._failed and self._clock.monotonic() >= deadline):
                return records

    def position(self, topic: str, partition: int) -> int:
        """Behind the last record returned, or where the library said that it had come to the end (the LSO)."""
        return self._positions.get((topic, partition), 0)

    def bounds(self, topic: str, partition: int, timeout: float) -> tuple[int, int]:
        """Return (first offset, last stable offset); also raises `UnreachableError` for a missing topic."""
        try:
            low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout)
        except KafkaException as error:
            raise UnreachableError(f"{topic}[{partition}] did not tell its bounds: {cause(error).str()}") from error
        self._led.add((topic, partition))
        return low, high

    def offset_at(self, topic: str, partition: int, timestamp: int, timeout: float) -> int:
        """Ask the leader's time index; what is appended meanwhile is not passed over."""
        deadline = self._clock.monotonic() + timeout * 1000
        end = self.bounds(topic, partition, timeout)[1]
        wanted = TopicPartition(topic, partition, max(timestamp, 0))  # what is below 0 has meanings of its own
        left = max(0.0, (deadline - self._clock.monotonic()) / 1000)
        try:
            found = self._consumer.offsets_for_times([wanted], left)[0]
        except KafkaException as error:
            raise UnreachableError(f"{topic}[{partition}] did not look up a time: {cause(error).str()}") from error
        if found.error is not None:
            raise UnreachableError(f"{topic}[{partition}] did not look up a time: {found.error.str()}")
        return end if found.offset == OFFSET_END else found.offset

    def partitions(self, topic: str, timeout: float) -> int:
        """Count a topic's partitions by its metadata, which a consumer may ask for without creating the topic."""
        try:
            found = self._consumer.list_topics(topic, timeout).topics[topic]
        except KafkaException as error:
            raise UnreachableError(f"{topic} did not tell its partitions: {cause(error).str()}") from error
        if found.error is not None and found.error.code() not in MISSING:
            if is_unreachable(found.error):
                raise UnreachableError(f"{topic} did not tell its partitions: {found.error.str()}")
            raise ConfigurationError(f"topic {topic} cannot be used: {found.error.str()}; ask for its ACLs")
        return len(found.partitions)

    def close(self) -> None:
        """Release the connection."""
        if not self._closed:
            self._closed = True
            self._consumer.close()

    def _taken(self, message: Message) -> Record | None:
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        error = message.error()
        if topic is None or partition is None or offset is None:
            if error is not None:
                self._say_once("", -1, error)
            return None
        position = self._positions.get((topic, partition))
        if position is None or (error is None and offset < position):
            return None  # fetched before the assignment changed
        if error is not None:
            self._heard(topic, partition, offset, error)
            return None
        self._positions[topic, partition] = offset + 1
        return record_of(message, topic, partition, offset)

    def _heard(self, topic: str, partition: int, offset: int, error: KafkaError) -> None:
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  its public name
            self._positions[topic, partition] = max(self._positions[topic, partition], offset)
        elif error.code() in OUT_OF_RANGE:
            self.unassign(topic, partition)
            self._failed.append(OffsetOutOfRangeError(topic, partition, offset))
        elif error.code() in UNREADABLE:
            position = self._positions[topic, partition]
            self._positions[topic, partition] = skip_batch(
                self._connection, self._consumer, TopicPartition(topic, partition, offset), position, error
            )
        else:
            self._say_once(topic, partition, error)  # the library goes on trying

    def _say_once(self, topic: str, partition: int, error: KafkaError) -> None:
        if (topic, partition, error.code()) not in self._silenced:
            self._silenced.add((topic, partition, error.code()))
            _log.warning("reading %s[%d]: %s", topic, partition, error.str())
