"""A few jobs as they are now, again and again: what `snapshot` reads anew each time is followed here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kadence.domain.job import NO_OFFSET
from kadence.domain.partition import partition_for
from kadence.errors import OffsetOutOfRangeError
from kadence.log.port import EARLIEST
from kadence.log.topics import ANSWER_SECONDS, CONTROL, STATE, shard_count
from kadence.view.evidence import ShardRecords, Wanted, take_state
from kadence.view.jobs import view_job
from kadence.view.reading import Deadline
from kadence.wire.state import CURSOR

if TYPE_CHECKING:
    from collections.abc import Collection

    from kadence.clock import Clock
    from kadence.log.port import Log, LogReader, Record
    from kadence.view.model import JobView

_BATCH: Final = 5_000
_LOOK: Final = 0.05


class LiveView:
    """Follows the state of some jobs from the first `catch_up` on. Used by one thread at a time."""

    def __init__(self, log: Log, namespace: str, jobs: Collection[str], clock: Clock) -> None:
        """Nothing is opened yet."""
        self._log = log
        self._namespace = namespace
        self._names = frozenset(jobs)
        self._clock = clock
        self._state = f"{namespace}.{STATE.suffix}"
        self._control = f"{namespace}.{CONTROL.suffix}"
        self._reader: LogReader | None = None
        self._asker: LogReader | None = None
        self._numbers = 0
        self._shards: dict[int, ShardRecords] = {}
        self._definitions: dict[str, list[Record]] = {}
        self._views: dict[str, JobView | None] = {}

    def catch_up(self, timeout: float) -> None:
        """Read all that the log holds at this moment, as far as it is about these jobs.

        Raises `UnreachableError` where that takes longer than ``timeout`` seconds (the next call goes on from there),
        and `ConfigurationError` where the topics are missing.
        """
        try:
            self._catch_up(Deadline(self._clock, timeout))
        except OffsetOutOfRangeError:
            self.close()  # a topic was made anew, or cut off: what was read is no ground to go on from
            raise

    def job(self, name: str) -> JobView | None:
        """One of the jobs as of the last `catch_up`; None where there is no definition of it.

        What is known by the clock alone, as its next due time, is as of its last change.
        """
        number = partition_for(name.encode(), self._numbers)
        shard = self._shards[number]
        # Without new records only a hold makes another job of it.
        if name not in self._views or shard.holds:
            self._views[name] = self._job(name, number, shard)
        return self._views[name]

    def _job(self, name: str, number: int, shard: ShardRecords) -> JobView | None:
        records = self._definitions.get(name, [])
        own = shard.jobs.get(name)
        in_force = NO_OFFSET if own is None else own.job.spec_offset
        wanted = None
        if records:
            wanted = Wanted(records[-1], next((one for one in records if one.offset == in_force), None))
        holds = tuple(shard.holds.values())
        at = self._clock.wall()
        return view_job(name, number, own, wanted, holds, shard.control, namespace=self._namespace, at=at)

    def close(self) -> None:
        """Let go of everything; the next `catch_up` begins anew. Idempotent."""
        for reader in (self._reader, self._asker):
            if reader is not None:
                reader.close()
        self._reader = self._asker = None
        self._shards.clear()
        self._definitions.clear()
        self._views.clear()

    def _catch_up(self, deadline: Deadline) -> None:
        reader = self._reader or self._open(deadline)
        # Not of the reader itself: a broker answers a connection's requests in order, and a fetch that waits for
        # records would hold up each question by a tenth of a second.
        asker = self._asker = self._asker or self._log.reader()
        places = [(self._control, 0), *((self._state, number) for number in self._shards)]
        ends = {place: asker.bounds(*place, deadline.left())[1] for place in places}
        newest: dict[tuple[int, bytes], Record] = {}
        try:
            while any(reader.position(*place) < end for place, end in ends.items()):
                for record in reader.read(_BATCH, min(deadline.left(), _LOOK)):
                    if record.topic == self._control:
                        self._define(record)
                    elif record.key is not None and self._concerns(record.key):
                        newest[record.partition, record.key] = record
        finally:  # what was read is not read again
            for record in newest.values():
                take_state(self._shards[record.partition], record, self._namespace)
                if record.key != CURSOR:
                    self._views.clear()

    def _open(self, deadline: Deadline) -> LogReader:
        self._numbers = shard_count(self._log, self._namespace, min(deadline.left(), ANSWER_SECONDS))
        self._shards = {partition_for(name.encode(), self._numbers): ShardRecords() for name in self._names}
        reader = self._reader = self._log.reader()
        reader.assign(self._control, 0, EARLIEST)
        for number in self._shards:
            reader.assign(self._state, number, EARLIEST)
        return reader

    def _concerns(self, key: bytes) -> bool:
        """Whether a state record is needed to tell what one of the jobs is."""
        kind, _, name = key.partition(b"/")
        return kind in {b"cursor", b"hold"} or (kind == b"job" and name.decode("utf-8", "replace") in self._names)

    def _define(self, record: Record) -> None:
        """Keep a definition; those older than the one in force say nothing any more."""
        kind, _, name = (record.key or b"").decode("utf-8", "replace").partition("/")
        if kind != "job" or name not in self._names:
            return
        own = self._shards[partition_for(name.encode(), self._numbers)].jobs.get(name)
        in_force = NO_OFFSET if own is None else own.job.spec_offset
        kept = [one for one in self._definitions.get(name, ()) if one.offset >= in_force]
        self._definitions[name] = [*kept, record]
        self._views.pop(name, None)
