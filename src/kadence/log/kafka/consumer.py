"""A member of a consumer group that reads: the classic protocol, cooperative, committed by hand.

The library calls back within `Consumer.consume` and `Consumer.close`. An exception that left such a callback would
make `consume` drop the records it has at hand, of partitions that stay ours, too; so it is kept and raised later.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from kadence.clock import SystemClock
from kadence.errors import ConfigurationError, UnreachableError
from kadence.log.kafka.errors import FORBIDDEN, UNJOINABLE, UNREADABLE, cause
from kadence.log.kafka.fetching import FETCH_DEFAULTS, record_of
from kadence.log.kafka.membership import GROUP_DEFAULTS, member_of, numbers, unjoinable
from kadence.log.kafka.unreadable import skip_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from confluent_kafka import Consumer, Message

    from kadence.log.kafka.connection import Connection
    from kadence.log.port import Record

_DEFAULTS: Final = {
    **GROUP_DEFAULTS,
    **FETCH_DEFAULTS,
    # What is fetched ahead, of all partitions together. A batch more than that may be on its way.
    "queued.max.messages.kbytes": 16_384,
}
_LOOK_EVERY: Final = 0.1
_COMMIT_AGAIN_MS: Final = 3_000
_COMMIT_AGAIN_EVERY: Final = 0.05
_MAY_NOT: Final = FORBIDDEN | {KafkaError.TOPIC_AUTHORIZATION_FAILED}

_log = logging.getLogger("kadence.kafka")


class KafkaConsumer:
    """See `kadence.log.port.LogConsumer`."""

    __slots__ = (
        "_clock", "_connection", "_consumer", "_failures", "_group", "_held", "_joined", "_left", "_on_revoked",
        "_paused", "_positions", "_silenced", "_topic",
    )  # fmt: skip

    def __init__(
        self, connection: Connection, group: str, topic: str, on_revoked: Callable[[frozenset[int], bool], None]
    ) -> None:
        self._clock = SystemClock()
        self._connection = connection
        self._group = group
        self._topic = topic
        self._on_revoked = on_revoked
        self._left = False
        self._positions: dict[int, int] = {}  # of the partitions that are ours: what comes next, 0 before it is known
        self._paused: set[int] = set()
        self._held: deque[Record] = deque()  # taken from the library by a poll that raised
        self._failures: deque[BaseException] = deque()
        self._silenced: set[tuple[int, int]] = set()
        fixed = {**member_of(group), "auto.offset.reset": "earliest"}
        self._consumer: Consumer = connection.consumer(_DEFAULTS, fixed)
        self._joined = False

    def poll(self, limit: int, timeout: float) -> list[Record]:
        """Return what has arrived, waiting for the first record only."""
        if self._left:
            raise RuntimeError("this consumer has left its group")
        if not self._joined:
            # The library joins by itself from now on, and expects to be polled.
            self._joined = True
            self._consumer.subscribe(
                [self._topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
            )
        deadline = self._clock.monotonic() + timeout * 1000
        while True:
            waiting = any(record.partition not in self._paused for record in self._held)
            left = 0.0 if waiting else max(0.0, (deadline - self._clock.monotonic()) / 1000)
            # The library waits for a batch to fill; asking for one record, then for the rest at once, does not. It
            # also goes on waiting after a rebalance, whatever that brought.
            messages = self._consumer.consume(1, min(left, _LOOK_EVERY))
            if messages and limit > 1:
                messages += self._consumer.consume(limit - 1, 0)
            # Only now is it known what a rebalance in between has left us.
            self._held.extend(self._taken(messages))
            if self._failures:
                raise self._failures.popleft()
            records = self._released(limit)
            if records or self._clock.monotonic() >= deadline:
                return records

    def assigned(self) -> frozenset[int]:
        """Return what the group gave us and has not taken back."""
        return frozenset(self._positions)

    def pause(self, partitions: Collection[int]) -> None:
        """Stop fetching these; what was fetched ahead of them is dropped."""
        ours = self._positions.keys() & set(partitions) - self._paused
        if ours:
            self._consumer.pause(self._places(ours))
            self._paused |= ours

    def resume(self, partitions: Collection[int]) -> None:
        """Fetch these again from behind the last record returned."""
        ours = self._paused.intersection(partitions)
        if ours:
            self._consumer.resume(self._places(ours))
            self._paused -= ours

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit, again for 3 s at most where the group is about to rebalance."""
        places = [TopicPartition(self._topic, p, offset) for p, offset in offsets.items() if p in self._positions]
        deadline = self._clock.monotonic() + _COMMIT_AGAIN_MS
        pause = threading.Event()
        while places and (error := self._refusal(places)) is not None:
            if error.code() in _MAY_NOT:
                raise ConfigurationError(f"consumer group {self._group} cannot be committed to: {error.str()}")
            if error.code() != KafkaError.REBALANCE_IN_PROGRESS or self._clock.monotonic() >= deadline:
                raise UnreachableError(f"consumer group {self._group} did not take a commit: {error.str()}")
            pause.wait(_COMMIT_AGAIN_EVERY)

    def leave(self) -> None:
        """Leave the group and release the connection."""
        if self._left:
            return
        self._left = True
        self._consumer.close()
        self._held.clear()
        if self._failures:
            raise self._failures.popleft()

    def _refusal(self, places: list[TopicPartition]) -> KafkaError | None:
        """Commit once; why it, or one partition of it, was not accepted."""
        try:
            answers = self._consumer.commit(offsets=places, asynchronous=False)
        except KafkaException as error:
            return cause(error)
        return next((each.error for each in answers if each.error is not None), None)

    def _places(self, partitions: Iterable[int]) -> list[TopicPartition]:
        return [TopicPartition(self._topic, partition) for partition in partitions]

    def _released(self, limit: int) -> list[Record]:
        """Take up to ``limit`` records that are held, leaving those of paused partitions."""
        if len(self._held) <= limit and not self._paused:
            records = list(self._held)
            self._held.clear()
            return records
        records = [record for record in self._held if record.partition not in self._paused][:limit]
        returned = {(record.partition, record.offset) for record in records}
        self._held = deque(record for record in self._held if (record.partition, record.offset) not in returned)
        return records

    def _taken(self, messages: list[Message]) -> Iterator[Record]:
        topic, positions = self._topic, self._positions
        for message in messages:
            partition, offset, error = message.partition(), message.offset(), message.error()
            if error is not None:
                self._heard(-1 if partition is None else partition, offset, error)
            elif partition in positions and offset is not None:  # else it was taken away since it was fetched
                positions[partition] = offset + 1
                yield record_of(message, topic, partition, offset)

    def _heard(self, partition: int, offset: int | None, error: KafkaError) -> None:
        if error.code() in UNJOINABLE:
            self._failures.append(unjoinable(self._group, error))
        elif error.code() in UNREADABLE and offset is not None and partition in self._positions:
            base = TopicPartition(self._topic, partition, offset)
            position = self._positions[partition]
            self._positions[partition] = skip_batch(self._connection, self._consumer, base, position, error)
        elif (partition, error.code()) not in self._silenced:  # the library goes on trying
            self._silenced.add((partition, error.code()))
            _log.warning("consumer group %s, %s[%d]: %s", self._group, self._topic, partition, error.str())

    # --- the library's callbacks; nothing may be raised in here ---

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._positions |= dict.fromkeys(numbers(partitions), 0)
        consumer.incremental_assign(partitions)

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._tell(numbers(partitions), lost=False)
        self._forget(numbers(partitions))
        consumer.incremental_unassign(partitions)

    def _lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._forget(numbers(partitions))
        self._tell(numbers(partitions), lost=True)
        consumer.incremental_unassign(partitions)

    def _tell(self, partitions: frozenset[int], *, lost: bool) -> None:
        if not partitions:
            return
        try:
            self._on_revoked(partitions, lost)
        except BaseException as error:  # noqa: BLE001  raised by the poll, which then loses nothing by it
            self._failures.append(error)

    def _forget(self, partitions: frozenset[int]) -> None:
        # The library keeps the pause of a partition that it lets go.
        self.resume(partitions)
        for partition in partitions:
            self._positions.pop(partition, None)
        self._held = deque(record for record in self._held if record.partition not in partitions)
        self._silenced = {each for each in self._silenced if each[0] not in partitions}
