"""The oracle's eyes: a plain consumer that reads whole topics, read committed, and knows nothing of kadence's code."""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from kadence.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class Seen:
    """One record. ``timestamp`` is broker time in ms; ``text`` of a header is ``headers[name]``."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: str
    value: bytes | None
    headers: dict[str, str]

    @property
    def json(self) -> Any:  # noqa: ANN401  whatever the record says
        return None if self.value is None else json.loads(self.value)

    @property
    def id(self) -> str:
        return self.headers["ce_id"]

    @property
    def due(self) -> int:
        """The due time in ms, read from the execution's id."""
        return instant(self.id.partition("#")[0].rpartition("@")[2])


def instant(text: str) -> int:
    """RFC 3339 to ms."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


class Reading:
    """Everything that a set of topics holds, from the beginning and as it comes."""

    def __init__(self, bootstrap_servers: str, topics: Sequence[str]) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": f"oracle-{uuid.uuid4().hex}",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 20,
                "enable.partition.eof": True,
            }
        )
        self._ends: dict[tuple[str, int], int] = {}  # of each partition, where the consumer last ran dry
        self.records: dict[str, list[Seen]] = defaultdict(list)
        for topic in topics:
            self.add(topic)

    def add(self, topic: str) -> None:
        """Read this topic too."""
        clock = SystemClock()
        deadline = clock.monotonic() + 30_000
        while not _served(found := self._consumer.list_topics(topic, timeout=15).topics[topic]):
            assert clock.monotonic() < deadline, f"{topic} is not served: {found.error}"
        new = {(topic, number) for number in found.partitions} - self._ends.keys()
        self._ends |= dict.fromkeys(new, -1)
        self._consumer.incremental_assign([TopicPartition(*each, OFFSET_BEGINNING) for each in sorted(new)])

    def poll(self, timeout: float) -> bool:
        """Take in what has arrived, waiting for the first record only; whether there was any."""
        messages = self._consumer.consume(1, timeout)
        if messages:
            messages += self._consumer.consume(5_000, 0)
        found = False
        for message in messages:
            error = message.error()
            if error is None:
                seen = _seen(message)
                self.records[seen.topic].append(seen)
                found = True
            elif error.code() == KafkaError._PARTITION_EOF:
                self._ends[message.topic() or "", message.partition() or 0] = message.offset() or 0
        return found

    def behind(self) -> Callable[[], bool]:
        """What tells whether some of what is committed at this moment has not been read yet."""
        marks = {
            place: self._consumer.get_watermark_offsets(TopicPartition(*place), timeout=15)[1] for place in self._ends
        }
        return lambda: any(self._ends[place] < mark for place, mark in marks.items())

    def close(self) -> None:
        self._consumer.close()


def _served(topic: Any) -> bool:  # noqa: ANN401  the client's description of a topic
    return bool(topic.partitions) and all(one.leader >= 0 for one in topic.partitions.values())


def _seen(message: Any) -> Seen:  # noqa: ANN401  the client's message, whose stubs allow None everywhere
    headers = {name: value.decode() for name, value in message.headers() or []}
    key = (message.key() or b"").decode("utf-8", "replace")
    place = (message.topic(), message.partition(), message.offset(), message.timestamp()[1])
    return Seen(*place, key, message.value(), headers)
