"""Instants at which a shard has to look at a run, or at a job's breaker. A heap; whoever looks decides what is due."""

from __future__ import annotations

import heapq
from typing import NamedTuple


class Entry(NamedTuple):
    """At ``instant`` (ms) look at a run of job ``name``; an empty ``run``: at the job itself."""

    instant: int
    name: str
    run: str


class Agenda:
    """Entries in order of time. One may be stale: what it is about has moved on, or is entered again for later."""

    __slots__ = ("_heap",)

    def __init__(self) -> None:
        """Empty."""
        self._heap: list[Entry] = []

    def add(self, instant: int, name: str, run: str = "") -> None:
        """Ask for a look at an instant."""
        heapq.heappush(self._heap, Entry(instant, name, run))

    def next(self) -> int | None:
        """The instant of the earliest entry, or None."""
        return self._heap[0].instant if self._heap else None

    def pop(self, until: int) -> Entry | None:
        """Take the earliest entry whose instant has come at ``until`` (ms), or None."""
        return heapq.heappop(self._heap) if self._heap and self._heap[0].instant <= until else None
