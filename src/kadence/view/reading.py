"""Reading partitions from their beginning up to where they end now: all of it, or an error.

Silence is no answer: a slow broker is as silent as a log that has ended. The reader's own position is one, as it passes
the markers and aborted records at the end of a log, too, which are never delivered.
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
_LOOK: Final = 0.1


class Deadline:
    """A point in monotonic time by which all the waiting has to be over."""

    __slots__ = ("_clock", "_end")

    def __init__(self, clock: Clock, timeout: float) -> None:
        """``timeout`` seconds from now."""
        self._clock = clock
        self._end = clock.monotonic() + int(timeout * 1000)

    def left(self, doing: str = "the log was not read to its end in time") -> float:
        """Seconds left. Raises `UnreachableError`, which says what was being done, when there are none."""
        left = self._end - self._clock.monotonic()
        if left <= 0:
            raise UnreachableError(f"{doing}; try again or allow a longer timeout")
        return left / 1000


def read_through(
    reader: LogReader,
    topic: str,
    partitions: Collection[int],
    deadline: Deadline,
    *,
    since: int | None = None,
    ends: dict[int, int] | None = None,
) -> Iterator[Record]:
    """Yield every committed record that the partitions hold now, in offset order per partition.

    ``since``: only those with that broker time (ms) or a later one. ``ends`` is told up to which offset (exclusive)
    each partition was read. Raises `UnreachableError` where the end is not reached before ``deadline``: what was
    yielded until then is not all.
    """
    # All ends are asked for before anything is read: a broker answers a connection's requests in order, and a fetch
    # that waits for records would hold up each question by a tenth of a second.
    bounds = {partition: reader.bounds(topic, partition, deadline.left()) for partition in partitions}
    if ends is not None:
        ends.update({partition: end for partition, (_, end) in bounds.items()})
    starts = {
        partition: EARLIEST if since is None else reader.offset_at(topic, partition, since, deadline.left())
        for partition, (start, end) in bounds.items()
        if end > start
    }
    waiting = {partition: bounds[partition][1] for partition, start in starts.items() if start < bounds[partition][1]}
    last = dict(waiting)
    for partition in waiting:
        reader.assign(topic, partition, starts[partition])
    while waiting:
        left = deadline.left(_told(reader, topic, waiting))
        for record in reader.read(_BATCH, min(left, _LOOK)):
            here = record.topic == topic and record.offset < last.get(record.partition, 0)
            if here and (since is None or record.timestamp >= since):
                yield record
        for partition in [one for one, end in waiting.items() if reader.position(topic, one) >= end]:
            del waiting[partition]
            reader.unassign(topic, partition)


def _told(reader: LogReader, topic: str, ends: dict[int, int]) -> str:
    partition = min(ends)
    others = f", one of {len(ends)} partitions," if len(ends) > 1 else ""
    return (
        f"{topic}[{partition}]{others} was not read to its end in time: offset {reader.position(topic, partition)} of "
        f"{ends[partition]} was reached, and a part is not shown for the whole"
    )
