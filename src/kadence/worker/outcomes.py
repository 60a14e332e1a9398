"""The outcomes of owned shards: brought by the tail's reader, taken by the shards' threads.

A shard takes them in order from where its cursor stands. It may ask whether it has heard of everything that there is:
that is answered by the log's end and the reader's position, never by silence.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from kadence.errors import UnreachableError
from kadence.log.port import EARLIEST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kadence.log.port import LogReader, Record

logger = logging.getLogger(__name__)

_ANSWER_SECONDS: Final = 5.0
_FULL: Final = 20_000
"""Outcomes that wait for one shard before its partition is left alone for a while."""


class _Place:
    """One shard's outcomes, from one takeover to the next."""

    __slots__ = ("asked", "begin", "end", "heard", "moving", "parked", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Record] = deque()
        self.moving = True  # what is being read now is from the place before
        self.parked: int | None = None
        self.begin: int | None = None
        self.asked: int | None = None
        self.end: tuple[int, int] | None = None
        self.heard: int | None = None


class Outcomes:
    """Safe for the feeding thread, which alone uses the reader, and the shards' threads."""

    def __init__(self, reader: LogReader, topic: str) -> None:
        """Nothing is read before a shard asks."""
        self.topic = topic
        self._reader = reader
        self._lock = threading.Lock()
        self._places: dict[int, _Place] = {}
        self._requests: deque[tuple[int, int | None]] = deque()

    # --- the feeding thread ------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Before each read: begin and stop reading as asked, and ask the log for its ends."""
        with self._lock:
            for shard, place in self._places.items():
                if place.parked is not None and len(place.waiting) < _FULL // 2:
                    self._requests.append((shard, place.parked))
                    place.parked = None
        while self._requests:  # one that fails stays the first, or nobody would ever hear of that shard's outcomes
            shard, offset = self._requests[0]
            if offset is None:
                self._reader.unassign(self.topic, shard)
            else:
                self._reader.assign(self.topic, shard, offset)
            self._requests.popleft()
        with self._lock:
            moving = {shard for shard, _ in self._requests}
            for shard, place in self._places.items():
                place.moving = shard in moving
        self._ask_ends()

    def _ask_ends(self) -> None:
        with self._lock:
            asked = [(shard, place, place.asked) for shard, place in self._places.items() if place.asked is not None]
        for shard, place, at in asked:
            try:
                _, end = self._reader.bounds(self.topic, shard, _ANSWER_SECONDS)
            except UnreachableError as error:
                logger.info("shard %d: %s; it is asked again", shard, error)
                return
            with self._lock:
                place.asked, place.end = None, (at, end)

    def take_in(self, records: Iterable[Record]) -> set[int]:
        """After each read: put outcomes where their shards find them; returns those shards for which there is news."""
        news: set[int] = set()
        with self._lock:
            for record in records:
                place = self._places.get(record.partition)
                if place is not None and not self._moves(place):
                    place.waiting.append(record)
                    news.add(record.partition)
            for shard, place in self._places.items():
                if self._is_heard(shard, place):
                    news.add(shard)
                if len(place.waiting) >= _FULL and place.parked is None:
                    place.parked = place.waiting[-1].offset + 1
                    self._reader.unassign(self.topic, shard)
        return news

    def _moves(self, place: _Place) -> bool:
        """Whether a shard's outcomes will be read from elsewhere: what was being read of them is from the old place.

        Handed over it would look as if the shard were past what it has not been given yet.
        """
        return place.moving

    def _is_heard(self, shard: int, place: _Place) -> bool:
        """Whether a shard's outcomes have been read as far as they went when it asked."""
        if place.end is None or place.moving or place.parked is not None:
            return False
        at, end = place.end
        if self._reader.position(self.topic, shard) < end:
            return False
        place.end, place.heard = None, at
        return True

    def begin_anew(self, shard: int) -> None:
        """Read a shard's outcomes from the log's start, and let the shard know where that is."""
        self._reader.assign(self.topic, shard, EARLIEST)
        begin, _ = self._reader.bounds(self.topic, shard, _ANSWER_SECONDS)
        with self._lock:
            place = self._places.get(shard)
            if place is not None and not place.moving:
                place.begin = begin

    # --- the shards' threads -----------------------------------------------------------------------------

    def follow(self, shard: int, offset: int) -> None:
        """Bring the outcomes of a shard from ``offset`` on."""
        with self._lock:
            self._places[shard] = _Place()
            self._requests.append((shard, offset))

    def leave(self, shard: int) -> None:
        """Stop bringing the outcomes of a shard."""
        with self._lock:
            if self._places.pop(shard, None) is not None:
                self._requests.append((shard, None))

    def lost_below(self, shard: int) -> int | None:
        """Where the outcomes of a shard go on, told once, if those that it would read next are lost; else None."""
        with self._lock:
            place = self._places.get(shard)
            if place is None:
                return None
            begin, place.begin = place.begin, None
            return begin

    def take(self, shard: int, limit: int) -> list[Record]:
        """Take up to ``limit`` outcomes of a shard, in order."""
        with self._lock:
            place = self._places.get(shard)
            if place is None:
                return []
            waiting = place.waiting
            return [waiting.popleft() for _ in range(min(limit, len(waiting)))]

    def ask(self, shard: int, now: int) -> None:
        """Ask whether every outcome that the log has at ``now`` (wall time, ms) is read; `heard` tells."""
        with self._lock:
            place = self._places.get(shard)
            if place is not None and place.asked is None and place.end is None:
                place.asked = now

    def heard(self, shard: int) -> int | None:
        """When it was asked (ms), told once, if all the outcomes of then were read and taken; else None."""
        with self._lock:
            place = self._places.get(shard)
            if place is None or place.waiting:
                return None
            heard, place.heard = place.heard, None
            return heard
