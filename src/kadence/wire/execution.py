"""Execution records: CloudEvents 1.0 over Kafka, binary mode.

What does not change per fire is built once per target.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from kadence.domain.firing import due_text, firing_id, run_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kadence.domain.decision import Fire
    from kadence.domain.spec import Target

TYPE: Final = "kadence.execution.v1"
ANY_PARTITION: Final = -1
"""Let the log choose by murmur2 of the key, as Java's default partitioner does."""

Headers = list[tuple[str, bytes]]


@lru_cache(maxsize=65_536)
def _constant(namespace: str, target: Target, is_json: bool) -> tuple[tuple[str, bytes], ...]:  # noqa: FBT001  a cache key
    own = [(name, value.encode()) for name, value in target.headers]
    found = [("ce_specversion", b"1.0"), ("ce_type", TYPE.encode()), ("ce_source", f"/kadence/{namespace}".encode())]
    if is_json and not any(name.lower() == "content-type" for name, _ in own):
        found.append(("content-type", b"application/json"))
    return (*found, *own)


class Encoder:
    """Encodes the fires of one shard."""

    def __init__(self, namespace: str, shard: int) -> None:
        """``shard`` is also the partition of the namespace's executions topic."""
        self._namespace = namespace
        self._shard = shard
        self._topic = f"{namespace}.executions"

    def encode(self, fire: Fire, now: int) -> tuple[str, int, bytes, bytes, Sequence[tuple[str, bytes]]]:
        """(topic, partition, key, value, headers) of one execution decided at ``now`` (ms)."""
        name, spec = fire.name, fire.spec
        target, text = spec.target, due_text(fire.time)
        id_ = run_id(name, fire.time, fire.command)
        is_json = spec.payload.is_json or fire.payload is not None
        headers: Headers = [
            *_constant(self._namespace, target, is_json),
            ("ce_id", id_.encode() if fire.n == 1 else firing_id(id_, fire.n).encode()),
            ("ce_subject", name.encode()),
            ("ce_time", text.encode()),
        ]
        if fire.cause != "schedule":
            headers.append(("ce_cause", fire.cause.encode()))
            if fire.attempt > 1:
                headers.append(("ce_attempt", b"%d" % fire.attempt))
        if spec.expires_after is not None and (expires := fire.expires(now)) is not None:
            headers.append(("ce_expirytime", due_text(expires).encode()))
        key = (target.key or name).encode()
        value = spec.payload.data if fire.payload is None else fire.payload
        if target.topic is None or target.topic == self._topic:
            return self._topic, self._shard, key, value, headers
        return target.topic, ANY_PARTITION, key, value, headers
