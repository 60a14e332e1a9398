"""Reading partitions from their beginning up to where they end now.

A reader says what it read, not where it stands, and the last offsets of a partition may hold control markers or
aborted records that are never delivered. So the end counts as reached with the last offset that can be a record;
where that one never comes, after a silence in which the partition's leader still answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kadence.errors import UnreachableError
from kadence.log.port import EARLIEST

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from kadence.clock import Clock
    from kadence.log.port import LogReader, Record

_BATCH: Final = 5_000
_SILENCE: Final = 2_000
_MARKER: Final = 1


class Deadline:
    """A point in monotonic time by which all the waiting has to be over."""

    __slots__ = ("_clock", "_end")

    def __init__(self, clock: Clock, timeout: float) -> None:
        """``timeout`` seconds from now."""
        self._clock = clock
        self._end = clock.monotonic() + int(timeout * 1000)

    def left(self) -> float:
        """Seconds left. Raises `UnreachableError` when there are none."""
        left = self._end - self._clock.monotonic()
        if left <= 0:
            raise UnreachableError("the log was not read to its end in time; try again or allow a longer timeout")
        return left / 1000


def read_through(
    reader: LogReader, topic: str, partitions: Collection[int], deadline: Deadline, clock: Clock, *, marked: bool
) -> Iterator[Record]:
    """Yield every committed record that the partitions hold now, in offset order per partition.

    ``marked``: only transactions write here, so that the last offset is a marker or was aborted. Raises
    `UnreachableError` where the end is not reached before ``deadline``.
    """
    # All ends are asked for before anything is read: a broker answers a connection's requests in order, and a fetch
    # that waits for records would hold up each question by a tenth of a second.
    bounds = {partition: reader.bounds(topic, partition, deadline.left()) for partition in partitions}
    ends = {partition: end for partition, (start, end) in bounds.items() if end > start}
    for partition in ends:
        reader.assign(topic, partition, EARLIEST)
    last = dict.fromkeys(ends, -1)
    waiting = set(ends)
    heard = clock.monotonic()
    while waiting:
        records = reader.read(_BATCH, min(deadline.left(), _SILENCE / 1000))
        for record in records:
            if record.topic == topic and record.offset < ends.get(record.partition, 0):
                last[record.partition] = record.offset
                yield record
        if records:
            heard = clock.monotonic()
        elif clock.monotonic() - heard >= _SILENCE:
            for partition in waiting:
                reader.bounds(topic, partition, deadline.left())
            break
        waiting = {one for one in waiting if last[one] + 1 + (_MARKER if marked else 0) < ends[one]}
    for partition in ends:
        reader.unassign(topic, partition)
