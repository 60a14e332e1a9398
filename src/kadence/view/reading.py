"""Reading partitions from their beginning up to where they end now: all of it, or an error.

The last offsets of a partition may hold control markers or aborted records that are never delivered, and a reader
does not say where it stands. Silence is no answer either: a slow broker is as silent as a log that has ended. So a
partition counts as read to its end
- with the last offset that can be a record, or with any record from behind the end;
- where that one never comes, by an echo: the reader goes back to the last record that it was given. The leader, asked
  anew, sends that one with whatever follows it, up to a MiB in one answer. If it brings nothing new, nothing is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kadence.errors import UnreachableError
from kadence.log.port import EARLIEST

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from kadence.clock import Clock
    from kadence.log.port import LogReader, Record

_BATCH: Final = 5_000
_SILENCE: Final = 1_000
_MARKER: Final = 1


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


@dataclass(slots=True)
class _Place:
    """How far one partition was read: ``end`` is where it ended at the start, ``last`` the newest record's offset.

    ``asked``: that record was asked for a second time; ``answered``: it came.
    """

    end: int
    last: int = -1
    asked: bool = False
    answered: bool = False
    silent: bool = False

    def take(self, offset: int) -> bool:
        """Note a record; whether it is one to hand on."""
        if offset <= self.last:
            self.answered = self.answered or (self.asked and offset == self.last)
            return False
        self.last, self.asked, self.answered = offset, False, False
        return offset < self.end

    def reached(self, beyond: int) -> bool:
        """Whether nothing is left to read; the last ``beyond`` offsets hold no record."""
        return self.silent or self.last + 1 + beyond >= self.end


def read_through(
    reader: LogReader, topic: str, partitions: Collection[int], deadline: Deadline, clock: Clock, *, marked: bool
) -> Iterator[Record]:
    """Yield every committed record that the partitions hold now, in offset order per partition.

    ``marked``: only transactions write here, so that the last offset is a marker or was aborted. Raises
    `UnreachableError` where the end is not reached before ``deadline``: what was yielded until then is not all.
    """
    # All ends are asked for before anything is read: a broker answers a connection's requests in order, and a fetch
    # that waits for records would hold up each question by a tenth of a second.
    bounds = {partition: reader.bounds(topic, partition, deadline.left()) for partition in partitions}
    waiting = {partition: _Place(end) for partition, (start, end) in bounds.items() if end > start}
    for partition in waiting:
        reader.assign(topic, partition, EARLIEST)
    heard = clock.monotonic()
    while waiting:
        records = reader.read(_BATCH, min(deadline.left(_told(topic, waiting)), _SILENCE / 1000))
        for record in records:
            place = waiting.get(record.partition) if record.topic == topic else None
            if place is not None and place.take(record.offset):
                yield record
        if records:
            heard = clock.monotonic()
        elif clock.monotonic() - heard >= _SILENCE:
            _ask_again(reader, topic, waiting)
            heard = clock.monotonic()
        for partition in [one for one, place in waiting.items() if place.reached(_MARKER if marked else 0)]:
            del waiting[partition]
            reader.unassign(topic, partition)


def _ask_again(reader: LogReader, topic: str, waiting: Mapping[int, _Place]) -> None:
    """Nothing has come for a while: believe it of those that have given their echo since, ask the others for one."""
    for partition, place in waiting.items():
        if place.answered:
            place.silent = True
        elif place.last >= 0 and not place.asked:
            place.asked = True
            reader.assign(topic, partition, place.last)


def _told(topic: str, waiting: Mapping[int, _Place]) -> str:
    partition, place = next(iter(waiting.items()))
    others = f", one of {len(waiting)} partitions," if len(waiting) > 1 else ""
    return (
        f"{topic}[{partition}]{others} was not read to its end in time: "
        f"offset {place.last + 1} of {place.end} was reached, and a part is not shown for the whole"
    )
