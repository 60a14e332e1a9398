"""Waiting until the shards concerned have decided a control record, by their cursors.

The watch begins before the record is written, so whatever is committed about it is seen. A cursor is the last
record of its transaction: the state records that belong to it have been read when it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kadence.domain.job import NO_OFFSET
from kadence.domain.partition import partition_for
from kadence.domain.stimulus import Rejected
from kadence.log.topics import ANSWER_SECONDS
from kadence.wire import state

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from kadence.client.commands import Command
    from kadence.client.written import Fate
    from kadence.clock import Clock
    from kadence.log.port import LogReader, Receipt, Record

_BATCH: Final = 1_000
_LOOK_EVERY: Final = 1.0


def shards_of(command: Command, shards: int) -> range:
    """The shards that decide a command: a hold concerns all of them."""
    if command.kind == "hold":
        return range(shards)
    shard = partition_for(command.name.encode(), shards)
    return range(shard, shard + 1)


class Watch:
    """Reads the state partitions of some shards from the moment it is made."""

    def __init__(self, reader: LogReader, namespace: str, shards: Collection[int], namespace_shards: int) -> None:
        """Start at the end of each shard's partition. Raises `UnreachableError`."""
        self._reader = reader
        self._namespace = namespace
        self._shards = namespace_shards
        self._applied = dict.fromkeys(shards, 0)
        self._refused: dict[int, str] = {}
        self._records: dict[tuple[int, bytes], bytes | None] = {}
        topic = f"{namespace}.state"
        # All ends are asked for before any is read from: a broker answers a connection's requests in order, and a
        # fetch that waits for records would hold up each question by a tenth of a second.
        ends = {shard: reader.bounds(topic, shard, ANSWER_SECONDS)[1] for shard in shards}
        for shard, end in ends.items():
            reader.assign(topic, shard, end)

    def wait(self, commands: Sequence[Command], receipts: Sequence[Receipt], timeout: float, clock: Clock) -> None:
        """Return when every shard concerned has decided its commands, or after ``timeout`` seconds."""
        wanted: dict[int, int] = {}
        for command, receipt in zip(commands, receipts, strict=True):
            for shard in shards_of(command, self._shards):
                wanted[shard] = max(wanted.get(shard, -1), receipt.offset)
        deadline = clock.monotonic() + int(timeout * 1000)
        while any(self._applied[shard] <= offset for shard, offset in wanted.items()):
            left = (deadline - clock.monotonic()) / 1000
            if left <= 0:
                return
            for record in self._reader.read(_BATCH, min(left, _LOOK_EVERY)):
                self._see(record)

    def _see(self, record: Record) -> None:
        if record.key == state.CURSOR and record.value is not None:
            cursor = state.decode_cursor(record.value)
            if not isinstance(cursor, Rejected):
                self._applied[record.partition] = cursor.control
                self._refused.update(cursor.rejected)
        elif record.key is not None:
            self._records[record.partition, record.key] = record.value

    def fate(self, command: Command, receipt: Receipt) -> tuple[Fate, str | None]:
        """What became of a command, and the shard's word where it was rejected."""
        if receipt.offset in self._refused:
            return "rejected", self._refused[receipt.offset]
        decided = all(self._applied[shard] > receipt.offset for shard in shards_of(command, self._shards))
        return ("in_force" if decided else "recorded"), None

    def found(self, command: Command) -> bool | None:
        """Whether the job or hold of a decided command is there, or was, where the command took it away."""
        kind = "hold" if command.kind == "hold" else "job"
        keys = [(shard, f"{kind}/{command.name}".encode()) for shard in shards_of(command, self._shards)]
        if command.value is None:
            return any(key in self._records for key in keys)
        if command.kind == "pause":
            value = self._records.get(keys[0])
            record = None if value is None else state.decode_job(command.name, value, self._namespace)
            return record is not None and not isinstance(record, Rejected) and record.job.spec_offset != NO_OFFSET
        return True
