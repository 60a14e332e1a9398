"""Any client: a plain producer that writes raw records to the control topic."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaError, Producer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from confluent_kafka import Message


@dataclass(frozen=True, slots=True)
class Written:
    """Where a record stands and when the broker appended it (ms)."""

    offset: int
    timestamp: int


class RefusedByBrokerError(Exception):
    """The broker did not take a record."""


class Writing:
    """Writes to a namespace's topics and returns where each record went."""

    def __init__(self, bootstrap_servers: str, namespace: str) -> None:
        self.namespace = namespace
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "partitioner": "murmur2_random",
                "linger.ms": 2,
                "log_level": 2,  # a broker that a test takes away is no news
                "enable.idempotence": True,
            }
        )

    def raw(self, topic: str, key: bytes | None, value: bytes | None) -> Written:
        """One record of any bytes."""
        return self.all(topic, [(key, value)])[0]

    def all(self, topic: str, records: Sequence[tuple[bytes | None, bytes | None]]) -> list[Written]:
        """Many, in order."""
        places: list[Written] = []

        def took(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                raise RefusedByBrokerError(error.str())
            places.append(Written(message.offset() or 0, message.timestamp()[1]))

        for key, value in records:
            while True:
                try:
                    self._producer.produce(topic, value, key, on_delivery=took)
                except BufferError:
                    self._producer.poll(0.05)
                else:
                    break
        self._producer.flush(60)
        assert len(places) == len(records)
        return places

    def control(self, key: str, value: Mapping[str, Any] | None) -> Written:
        """One control record; None is a tombstone."""
        return self.raw(f"{self.namespace}.control", key.encode(), _bytes(value))

    def job(self, name: str, spec: Mapping[str, Any] | None) -> Written:
        return self.control(f"job/{name}", spec)

    def jobs(self, specs: Mapping[str, Mapping[str, Any]]) -> dict[str, Written]:
        records = [(f"job/{name}".encode(), _bytes(spec)) for name, spec in specs.items()]
        return dict(zip(specs, self.all(f"{self.namespace}.control", records), strict=True))

    def pause(self, name: str, **more: Any) -> Written:
        return self.control(f"pause/{name}", {"paused": True, **more})

    def resume(self, name: str, **more: Any) -> Written:
        return self.control(f"pause/{name}", {"paused": False, **more})

    def outcome(self, job: str, run: str, status: str, error: str | None = None) -> Written:
        """How a run went, as an executor would say it."""
        body: dict[str, object] = {"id": run, "status": status}
        if error is not None:
            body["error"] = {"type": "RuntimeError", "message": error}
        return self.raw(f"{self.namespace}.outcomes", job.encode(), _bytes(body))


def _bytes(value: Mapping[str, Any] | None) -> bytes | None:
    return None if value is None else json.dumps(value).encode()
