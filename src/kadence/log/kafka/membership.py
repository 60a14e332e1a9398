"""Membership in the consumer group: the classic protocol, cooperative, for the assignment alone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from confluent_kafka import OFFSET_END, TopicPartition

from kadence.clock import SystemClock
from kadence.errors import ConfigurationError
from kadence.log.kafka.errors import UNJOINABLE
from kadence.log.port import Assigned, Revoked

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError

    from kadence.log.kafka.connection import Connection

GROUP_DEFAULTS: Final = {
    "session.timeout.ms": 10_000,
    "heartbeat.interval.ms": 500,  # members hear of a rebalance with their next heartbeat
    # The library heartbeats by itself; a process whose loop hangs loses its partitions by this.
    "max.poll.interval.ms": 30_000,
}
"""How soon the members of a group notice one another; the user's properties override it."""
_LOOK_EVERY: Final = 0.05

_log = logging.getLogger("kadence.kafka")


class KafkaMembership:
    """See `kadence.log.port.Membership`. `poll` also raises `ConfigurationError`: the group will not have us."""

    __slots__ = ("_changes", "_clock", "_consumer", "_group", "_left")

    def __init__(self, connection: Connection, group: str, topic: str) -> None:
        self._group = group
        self._changes: list[Assigned | Revoked] = []
        self._clock = SystemClock()
        self._left = False
        self._consumer: Consumer = connection.consumer(GROUP_DEFAULTS, member_of(group))
        self._consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)

    def poll(self, timeout: float) -> list[Assigned | Revoked]:
        """Serve the membership until something changes or ``timeout`` seconds have passed."""
        deadline = self._clock.monotonic() + timeout * 1000
        while True:
            left = max(0.0, (deadline - self._clock.monotonic()) / 1000)
            # The library goes on waiting for records after a rebalance, and none will come.
            message = self._consumer.poll(min(left, _LOOK_EVERY))
            if message is not None and (error := message.error()) is not None:
                self._heard(error)
            if self._changes or left == 0.0:
                changes, self._changes = self._changes, []
                return changes

    def leave(self) -> None:
        """Leave the group and release the connection."""
        if not self._left:
            self._left = True
            self._consumer.close()

    def _heard(self, error: KafkaError) -> None:
        if error.code() in UNJOINABLE:
            raise unjoinable(self._group, error)
        _log.info("consumer group %s: %s", self._group, error.str())

    # The callbacks tell the library what it has to be told and note the change; what it means is decided by
    # whoever polls. An exception in here would still assign.

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # Ours to run, not to read here: at the end, which takes no committed offset, and paused.
        consumer.incremental_assign([TopicPartition(each.topic, each.partition, OFFSET_END) for each in partitions])
        consumer.pause(partitions)
        # Also where there are none: a spare is to know that it has joined.
        self._changes.append(Assigned(numbers(partitions)))

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.incremental_unassign(partitions)
        if partitions:
            self._changes.append(Revoked(numbers(partitions)))

    def _lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.incremental_unassign(partitions)
        if partitions:
            self._changes.append(Revoked(numbers(partitions), lost=True))


def member_of(group: str) -> dict[str, str]:
    """Return the properties of a member of ``group``; all members must agree about how they share."""
    return {"group.id": group, "group.protocol": "classic", "partition.assignment.strategy": "cooperative-sticky"}


def unjoinable(group: str, error: KafkaError) -> ConfigurationError:
    """Say that ``group`` will not have us until somebody changes something."""
    return ConfigurationError(f"consumer group {group} cannot be joined: {error.str()}")


def numbers(partitions: list[TopicPartition]) -> frozenset[int]:
    """Return the partitions' numbers: a group has one topic."""
    return frozenset(each.partition for each in partitions)
