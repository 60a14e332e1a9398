"""What a conformance case is written against, and the list it joins.

A case is a function of a `Bench`, and tells one story through the port alone. The bench makes topics and
names that no other case has, and does what no client of kadence can: let the log cleaner pass, let retention
pass, recreate a topic, and interfere with a commit on its way.
"""

from __future__ import annotations

import threading
from enum import Enum
from typing import TYPE_CHECKING, Protocol, TypeAlias

from kadence.clock import SystemClock
from kadence.log.port import EARLIEST, Revoked

if TYPE_CHECKING:
    from collections.abc import Callable

    from kadence.log.port import Log, LogReader, LogWriter, Membership, Record

WAIT_S = 30.0
"""How long a case waits for what must come; long, because it is only ever waited out by a failure."""

FILLER = b"filler"
"""The key of records that a bench appends to move the log cleaner along."""


class Trouble(Enum):
    """What happens to the commits of `Bench.frail` from now on."""

    NONE = "none"
    REQUEST_LOST = "EndTxn never arrives"
    REQUEST_HELD = "EndTxn arrives when the bench delivers it"
    ANSWER_LOST = "EndTxn arrives, its answer does not"


class Bench(Protocol):
    """One implementation under test."""

    log: Log
    other: Log
    """The same cluster, as another process has it."""
    frail: Log
    """The same cluster, as a process has it whose commits meet `trouble`."""

    def name(self, kind: str) -> str:
        """A name no other case has, for a topic that does not exist, a group, a transactional id."""

    def topic(self, partitions: int = 1, **config: str) -> str:
        """A new topic, stamped by the broker; ``max_message_bytes="2000"`` for max.message.bytes."""

    def compacted(self) -> str:
        """A new compacted topic of one partition, cleaned without delay; tombstones are kept for 1 ms."""

    def compact_until(self, topic: str, done: Callable[[], bool]) -> None:
        """Let the cleaner pass over partition 0 until ``done``; appends records under `FILLER`."""

    def retain(self, topic: str, partition: int, start: int) -> None:
        """Let retention remove what is before ``start``."""

    def recreate(self, topic: str) -> None:
        """Delete a topic and make it anew."""

    def trouble(self, trouble: Trouble) -> None:
        """From now on the commits of `frail` meet this."""

    def deliver(self) -> None:
        """Let the EndTxn requests held back arrive; returns once the broker has dealt with them."""


Case: TypeAlias = "Callable[[Bench], None]"

CASES: dict[str, Case] = {}
"""Every case by its sentence. Filled by the modules that `tests.log.cases` imports."""


def case(sentence: str) -> Callable[[Case], Case]:
    """Put a case on the list."""

    def register(function: Case) -> Case:
        if sentence in CASES:
            raise ValueError(f"two cases are called {sentence!r}")
        CASES[sentence] = function
        return function

    return register


# --- steps that stories share ---


def wait_until(done: Callable[[], bool]) -> None:
    """Look again and again until ``done``, for `WAIT_S` at most."""
    clock, never = SystemClock(), threading.Event()
    deadline = clock.monotonic() + WAIT_S * 1000
    while not done():
        assert clock.monotonic() < deadline, "what was waited for did not come"
        never.wait(0.02)


def read_values(reader: LogReader, count: int) -> list[bytes | None]:
    """The values of the next ``count`` records."""
    return [record.value for record in read_records(reader, count)]


def read_records(reader: LogReader, count: int) -> list[Record]:
    """The next ``count`` records, over all partitions assigned."""
    records: list[Record] = []

    def complete() -> bool:
        records.extend(reader.read(count - len(records), 1.0))
        return len(records) >= count

    wait_until(complete)
    return records


def records_of(bench: Bench, topic: str, partition: int = 0) -> list[Record]:
    """Every committed record of a partition: what precedes a record appended now, which is not part of it."""
    appender = bench.log.appender()
    last = appender.append(topic, partition, FILLER, b"the end")
    appender.close()
    reader = bench.log.reader()
    reader.assign(topic, partition, EARLIEST)
    records: list[Record] = []

    def complete() -> bool:
        records.extend(reader.read(1000, 1.0))
        return bool(records) and records[-1].offset >= last.offset

    wait_until(complete)
    reader.close()
    return [record for record in records if record.offset < last.offset]


def values_of(bench: Bench, topic: str, partition: int = 0) -> list[bytes | None]:
    """The values of every committed record of a partition."""
    return [record.value for record in records_of(bench, topic, partition)]


def bounds_of(bench: Bench, topic: str, partition: int = 0) -> tuple[int, int]:
    """(first offset held, LSO)."""
    reader = bench.log.reader()
    try:
        return reader.bounds(topic, partition, WAIT_S)
    finally:
        reader.close()


def begun(log: Log, transactional_id: str, *sends: tuple[str, int, bytes, bytes]) -> LogWriter:
    """A new holder of the id with an open transaction, these records flushed into it."""
    writer = log.writer(transactional_id)
    writer.begin()
    for topic, partition, key, value in sends:
        writer.send(topic, partition, key, value)
    writer.flush()
    return writer


def poll_until(done: Callable[[], bool], *members: Following) -> None:
    """Poll the members in turn until ``done``."""

    def step() -> bool:
        for member in members:
            member.poll()
        return done()

    wait_until(step)


class Following:
    """A membership that is polled, with what its owner knows: what it owns and what was revoked."""

    def __init__(self, membership: Membership) -> None:
        self.membership = membership
        self.owned: frozenset[int] = frozenset()
        self.revocations: list[Revoked] = []

    def poll(self) -> None:
        for change in self.membership.poll(0.1):
            if isinstance(change, Revoked):
                self.owned -= change.partitions
                self.revocations.append(change)
            else:
                assert not self.owned & change.partitions, "assigned what was not revoked"
                self.owned |= change.partitions
