"""What of one partition is finished, and so how far its offset may be committed. Pure."""

from __future__ import annotations

from collections import deque


class Ledger:
    """The records of one partition that are in hand: taken in the order of the log, finished in any order."""

    __slots__ = ("_end", "_finished", "_pending")

    def __init__(self) -> None:
        """Nothing is in hand."""
        self._pending: deque[int] = deque()
        self._finished: set[int] = set()
        self._end: int | None = None

    def __len__(self) -> int:
        """How many records are not finished."""
        return len(self._pending) - len(self._finished)

    def take(self, offset: int) -> None:
        """A record is in hand now. Its offset is above all that were taken before; offsets between may be missing."""
        self._pending.append(offset)
        self._end = offset + 1

    def finish(self, offset: int) -> None:
        """A record that was taken is finished. Again is no error."""
        pending, finished = self._pending, self._finished
        if not pending or offset < pending[0]:
            return
        if offset != pending[0]:
            finished.add(offset)
            return
        pending.popleft()
        while pending and pending[0] in finished:
            finished.remove(pending.popleft())

    @property
    def position(self) -> int | None:
        """Every record below this offset is finished; None before one was taken."""
        return self._pending[0] if self._pending else self._end
