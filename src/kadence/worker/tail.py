"""The control tail: every worker reads all of control, owned or not, and so stands ready to take any shard over.

Un-owned records stay raw bytes. Per shard the tail keeps the newest record per key below that shard's cursor (the
level: what is wanted) and every record from the cursor on (to be applied one by one); a newer bad record must not
hide an older good one that no shard has applied yet. Cursors are learned from the state topic as they are written.
The same reader brings the outcomes of owned shards (`Tail.outcomes`). Fed by one thread, read by the shards' threads.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final

from kadence.domain.fields import InvalidError
from kadence.domain.partition import partition_for
from kadence.domain.stimulus import Rejected
from kadence.errors import OffsetOutOfRangeError
from kadence.log.port import EARLIEST, LATEST
from kadence.wire import state
from kadence.wire.control import split_key
from kadence.worker.outcomes import Outcomes

if TYPE_CHECKING:
    from collections.abc import Callable

    from kadence.log.port import LogReader, Record

logger = logging.getLogger(__name__)

BATCH: Final = 5_000
_MARKS: Final = 10_000
"""Barriers on control that are remembered, the newest."""


class _Shelf:
    """One shard's control records."""

    __slots__ = ("cursor", "level", "recent")

    def __init__(self) -> None:
        self.cursor = 0
        self.level: dict[bytes, Record] = {}
        self.recent: deque[Record] = deque()

    def settle(self, cursor: int) -> None:
        """The shard has applied everything below ``cursor``: of that, only the newest per key matters."""
        self.cursor = max(self.cursor, cursor)
        while self.recent and self.recent[0].offset < self.cursor:
            record = self.recent.popleft()
            key = record.key or b""
            if record.value is None:
                self.level.pop(key, None)
            else:
                self.level[key] = record


class Tail:
    """Reads control (all of it), cursors (all shards, from now on) and ``outcomes`` (of shards that ask)."""

    def __init__(
        self,
        reader: LogReader,
        namespace: str,
        shards: int,
        on_cursor: Callable[[int, state.CursorRecord], None] | None = None,
    ) -> None:
        """``on_cursor(shard, cursor)`` is told every cursor that any owner commits."""
        self._reader = reader
        self._control, self._state = f"{namespace}.control", f"{namespace}.state"
        self.outcomes = Outcomes(reader, f"{namespace}.outcomes")
        self._on_cursor = on_cursor
        self._lock = threading.Lock()
        self._shelves = [_Shelf() for _ in range(shards)]
        self._position = 0
        self._nonces: dict[str, int] = {}
        self._listeners: dict[int, Callable[[], None]] = {}
        reader.assign(self._control, 0, EARLIEST)
        for shard in range(shards):
            reader.assign(self._state, shard, LATEST)

    @property
    def position(self) -> int:
        """The control offset after the last record read."""
        return self._position

    # --- the feeding thread ------------------------------------------------------------------------------

    def poll(self, timeout: float) -> int:
        """Read once, waiting up to ``timeout`` seconds; returns how many records came.

        Raises `OffsetOutOfRangeError` for the control topic only: it was recreated or truncated under us.
        """
        self.outcomes.prepare()
        try:
            records = self._reader.read(BATCH, timeout)
        except OffsetOutOfRangeError as error:
            if error.topic != self.outcomes.topic:
                raise
            logger.warning("%s; retention has passed what was read; going on from the log's start", error)
            self.outcomes.begin_anew(error.partition)
            return 0
        woken = self.outcomes.take_in(record for record in records if record.topic == self.outcomes.topic)
        with self._lock:
            for record in records:
                if record.topic == self._control:
                    woken.update(self._file(record))
                elif record.topic == self._state:
                    self._learn(record)
            listeners = [self._listeners[shard] for shard in woken if shard in self._listeners]
        for listener in listeners:
            listener()
        return len(records)

    def _file(self, record: Record) -> range | tuple[int, ...]:
        """Put a control record on the shelf of each shard that it concerns."""
        self._position = record.offset + 1
        try:
            kind, name, _ = split_key(record.key)
        except InvalidError:
            kind, name = "", ""
        if kind == "barrier":
            nonce = state.barrier_nonce(record.value)
            if nonce is not None:
                self._nonces[nonce] = record.offset
                if len(self._nonces) > _MARKS:  # only takeovers under way ask for theirs
                    del self._nonces[next(iter(self._nonces))]
            return self._everyone()
        concerned: range | tuple[int, ...] = (0,)
        if kind == "hold":
            concerned = self._everyone()
        elif kind:
            concerned = (partition_for(name.encode(), len(self._shelves)),)
        for shard in concerned:
            self._shelves[shard].recent.append(record)
        return concerned

    def _everyone(self) -> range:
        return range(len(self._shelves))

    def _learn(self, record: Record) -> None:
        if record.key != state.CURSOR or record.value is None:
            return
        cursor = state.decode_cursor(record.value)
        if isinstance(cursor, Rejected):
            return
        self._shelves[record.partition].settle(cursor.control)
        if self._on_cursor is not None:
            self._on_cursor(record.partition, cursor)

    # --- the shards' threads -----------------------------------------------------------------------------

    def listen(self, shard: int, listener: Callable[[], None]) -> None:
        """Call ``listener`` (quickly, from the feeding thread) whenever something arrives for a shard."""
        with self._lock:
            self._listeners[shard] = listener

    def unlisten(self, shard: int) -> None:
        """Call nobody any more for a shard. It is a thing of its own: a listener outlives takeovers."""
        with self._lock:
            self._listeners.pop(shard, None)

    def offset_of(self, nonce: str) -> int | None:
        """Where on control the barrier with this nonce stands; None while the tail has not come to it."""
        return self._nonces.get(nonce)

    def level(self, shard: int, cursor: int) -> list[Record]:
        """The newest record per key below ``cursor`` of everything that concerns a shard, tombstones left out."""
        with self._lock:
            shelf = self._shelves[shard]
            shelf.settle(cursor)
            return list(shelf.level.values())

    def since(self, shard: int, offset: int, limit: int) -> tuple[list[Record], int]:
        """Records from ``offset`` on that concern a shard, and the offset up to which that is all of them."""
        with self._lock:
            recent = self._shelves[shard].recent
            found = list(islice((record for record in recent if record.offset >= offset), limit + 1))
            if len(found) > limit:
                return found[:limit], found[limit].offset
            return found, max(self._position, offset)

    def settle(self, shard: int, cursor: int) -> None:
        """The owner has committed ``cursor``."""
        with self._lock:
            self._shelves[shard].settle(cursor)

    def close(self) -> None:
        """Release the reader."""
        self._reader.close()
