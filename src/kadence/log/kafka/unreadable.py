"""Where a batch ends that cannot be taken apart, so that a reader can go on behind it and skip nothing else.

A batch that inflates past ``receive.message.max.bytes``, or is damaged, is fetched whole whichever of its offsets
is asked for, and reported under its first one. The library would fetch it for ever and does not say how long it
is. But two offsets that give the same report lie in the same batch, which is enough to find its end by doubling
and then halving steps.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from confluent_kafka import TopicPartition

from kadence.log.kafka.errors import UNREADABLE
from kadence.log.kafka.fetching import without_group

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError

    from kadence.log.kafka.connection import Connection

_PROBE_SECONDS: Final = 2.0

_log = logging.getLogger("kadence.kafka")


def skip_batch(
    connection: Connection, consumer: Consumer, base: TopicPartition, position: int, error: KafkaError
) -> int:
    """Let ``consumer`` go on behind the batch for which it would report ``error`` for ever; returns that offset.

    ``base`` is what it reported, ``position`` the first offset that it has not returned (0 where that is unknown).
    """
    topic, partition, first = base.topic, base.partition, max(base.offset, position)
    probe = without_group(connection)
    try:
        end = end_of_batch(probe, topic, partition, base.offset, first)
    finally:
        probe.close()
    if end > first:
        _log.error(
            "%s[%d]: offsets %d to %d cannot be read and are skipped: %s",
            topic,
            partition,
            first,
            end - 1,
            error.str(),
        )
    consumer.seek(TopicPartition(topic, partition, end))
    return end


def end_of_batch(consumer: Consumer, topic: str, partition: int, base: int, inside: int) -> int:
    """Return the first offset, ``inside`` or later, that is not in the unreadable batch that begins at ``base``.

    ``consumer`` is for this alone: its assignment is replaced. If the leader goes away meanwhile the answer may be
    too small, never too large; reading from there reports the batch again.
    """
    if not _in_batch(consumer, topic, partition, inside, base):
        return inside  # an old report of a batch that is behind us
    step = 1
    while _in_batch(consumer, topic, partition, inside + step, base):
        inside, step = inside + step, step * 2
    outside = inside + step
    while outside - inside > 1:
        middle = (inside + outside) // 2
        if _in_batch(consumer, topic, partition, middle, base):
            inside = middle
        else:
            outside = middle
    return outside


def _in_batch(consumer: Consumer, topic: str, partition: int, offset: int, base: int) -> bool:
    consumer.assign([TopicPartition(topic, partition, offset)])
    for message in consumer.consume(1, _PROBE_SECONDS):
        error = message.error()
        return error is not None and error.code() in UNREADABLE and message.offset() == base
    return False
