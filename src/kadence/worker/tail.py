"""The control tail: every worker reads all of control, owned or not, and so stands ready to take any shard over.

Un-owned records stay raw bytes. Per shard the tail keeps the newest record per key below that shard's cursor (the
level: what is wanted) and every record from the cursor on (to be applied one by one); a newer bad record must not
hide an older good one that no shard has applied yet. Cursors are learned from the state topic as they are written.
The same reader brings the outcomes of owned shards. Fed by one thread, read by the shards' threads.
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
from kadence.errors import OffsetOutOfRangeError, UnreachableError
from kadence.log.port import EARLIEST, LATEST
from kadence.wire import state
from kadence.wire.control import split_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from kadence.log.port import LogReader, Record

logger = logging.getLogger(__name__)

BATCH: Final = 5_000
_ANSWER_SECONDS: Final = 5.0
_MARKS: Final = 10_000
"""Barriers on control that are remembered, the newest."""
_FULL: Final = 20_000
"""Outcomes that wait for one shard before its partition is left alone for a while."""


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
    """Reads control (all of it), cursors (all shards, from now on) and outcomes (of shards that ask)."""

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
        self._outcomes = f"{namespace}.outcomes"
        self._on_cursor = on_cursor
        self._lock = threading.Lock()
        self._shelves = [_Shelf() for _ in range(shards)]
        self._position = 0
        self._nonces: dict[str, int] = {}
        self._waiting: dict[int, deque[Record]] = {}
        self._parked: dict[int, int] = {}
        self._begins: dict[int, int] = {}
        self._asked: dict[int, int] = {}
        self._ends: dict[int, tuple[int, int]] = {}
        self._heard: dict[int, int] = {}
        self._requests: deque[tuple[int, int | None]] = deque()
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
        self._serve_requests()
        self._ask_ends()
        try:
            records = self._reader.read(BATCH, timeout)
        except OffsetOutOfRangeError as error:
            if error.topic != self._outcomes:
                raise
            logger.warning("%s; retention has passed what was read; going on from the log's start", error)
            self._begin_outcomes_anew(error.partition)
            return 0
        woken: set[int] = set()
        with self._lock:
            moving = self._moving()
            for record in records:
                if record.topic == self._control:
                    woken.update(self._file(record))
                elif record.topic == self._state:
                    self._learn(record)
                elif record.partition in self._waiting and record.partition not in moving:
                    self._waiting[record.partition].append(record)
                    woken.add(record.partition)
            woken.update(self._note_ends(moving))
            listeners = [self._listeners[shard] for shard in woken if shard in self._listeners]
        self._park_full()
        for listener in listeners:
            listener()
        return len(records)

    def _ask_ends(self) -> None:
        """Ask where the outcomes of those shards end that want to know when they have heard everything."""
        with self._lock:
            asked, self._asked = self._asked, {}
        for shard, at in asked.items():
            try:
                _, end = self._reader.bounds(self._outcomes, shard, _ANSWER_SECONDS)
            except UnreachableError as error:
                logger.info("shard %d: %s; it is asked again", shard, error)
                return
            with self._lock:
                self._ends[shard] = at, end

    def _note_ends(self, moving: set[int]) -> set[int]:
        """Shards whose outcomes were read as far as they went when they asked."""
        told: set[int] = set()
        for shard, (at, end) in list(self._ends.items()):
            if shard in moving or shard in self._parked or shard not in self._waiting:
                continue
            if self._reader.position(self._outcomes, shard) >= end:
                del self._ends[shard]
                self._heard[shard] = at
                told.add(shard)
        return told

    def _begin_outcomes_anew(self, shard: int) -> None:
        """Read a shard's outcomes from the log's start, and let the shard know where that is."""
        self._reader.assign(self._outcomes, shard, EARLIEST)
        begin, _ = self._reader.bounds(self._outcomes, shard, _ANSWER_SECONDS)
        with self._lock:
            if shard in self._waiting and shard not in self._moving():
                self._begins[shard] = begin

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

    def _serve_requests(self) -> None:
        with self._lock:
            requests, self._requests = self._requests, deque()
            for parked, resume_at in list(self._parked.items()):
                if len(self._waiting.get(parked, ())) < _FULL // 2:
                    del self._parked[parked]
                    requests.append((parked, resume_at))
        for shard, offset in requests:
            if offset is None:
                self._reader.unassign(self._outcomes, shard)
            else:
                self._reader.assign(self._outcomes, shard, offset)

    def _moving(self) -> set[int]:
        """Shards whose outcomes will be read from elsewhere: what was being read of them is from the old place.

        Handed over it would look as if the shard were past what it has not been given yet.
        """
        return {shard for shard, _ in self._requests}

    def _park_full(self) -> None:
        for shard, waiting in list(self._waiting.items()):
            if len(waiting) >= _FULL and shard not in self._parked:
                self._parked[shard] = waiting[-1].offset + 1
                self._reader.unassign(self._outcomes, shard)

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

    def follow_outcomes(self, shard: int, offset: int) -> None:
        """Bring the outcomes of a shard from ``offset`` on."""
        with self._lock:
            self._waiting[shard] = deque()
            self._parked.pop(shard, None)
            self._begins.pop(shard, None)
            self._forget_ends(shard)
            self._requests.append((shard, offset))

    def leave_outcomes(self, shard: int) -> None:
        """Stop bringing the outcomes of a shard."""
        with self._lock:
            if self._waiting.pop(shard, None) is not None:
                self._parked.pop(shard, None)
                self._forget_ends(shard)
                self._requests.append((shard, None))

    def _forget_ends(self, shard: int) -> None:
        for known in (self._asked, self._ends, self._heard):
            known.pop(shard, None)

    def ask_outcomes(self, shard: int, now: int) -> None:
        """Ask whether every outcome that the log has at ``now`` (wall time, ms) is read; `outcomes_heard` tells."""
        with self._lock:
            if shard in self._waiting and shard not in self._ends:
                self._asked.setdefault(shard, now)

    def outcomes_heard(self, shard: int) -> int | None:
        """When it was asked (ms), told once, if all the outcomes of then were read and taken; else None."""
        with self._lock:
            return None if self._waiting.get(shard) else self._heard.pop(shard, None)

    def outcomes_begin(self, shard: int) -> int | None:
        """Where the outcomes of a shard go on, told once, if those that it would read next are lost; else None."""
        with self._lock:
            return self._begins.pop(shard, None)

    def outcomes(self, shard: int, limit: int) -> list[Record]:
        """Take up to ``limit`` outcomes of a shard, in order."""
        with self._lock:
            waiting = self._waiting.get(shard, deque())
            return [waiting.popleft() for _ in range(min(limit, len(waiting)))]

    def close(self) -> None:
        """Release the reader."""
        self._reader.close()
