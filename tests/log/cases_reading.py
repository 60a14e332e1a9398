"""Cases: offsets, bounds, positions and what a reader is given."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from kadence.errors import OffsetOutOfRangeError
from kadence.log.port import EARLIEST, LATEST
from tests.log.bench import begun, bounds_of, case, read_records, read_values, records_of, wait_until

if TYPE_CHECKING:
    from kadence.log.port import LogReader, Record
    from tests.log.bench import Bench


@case("an empty partition begins and ends at 0")
def empty(bench: Bench) -> None:
    topic = bench.topic()
    reader = bench.log.reader()
    reader.assign(topic, 0, EARLIEST)
    assert reader.read(10, 0.0) == []
    assert reader.bounds(topic, 0, 10.0) == (0, 0)


@case("a marker as last offset is not waited for, and the end lies beyond it")
def marker_last(bench: Bench) -> None:
    topic = bench.topic()
    receipt = begun(bench.log, bench.name("id"), (topic, 0, b"k", b"one")).commit()
    wait_until(lambda: bounds_of(bench, topic) == (0, receipt.offset + 2))
    reader = bench.log.reader()
    reader.assign(topic, 0, EARLIEST)
    assert read_values(reader, 1) == [b"one"]
    assert reader.read(10, 0.3) == []
    for start in (receipt.offset + 1, receipt.offset + 2):  # at the marker, and after it
        reader.assign(topic, 0, start)
        assert reader.read(10, 0.3) == []
    bench.log.appender().append(topic, 0, b"k", b"two")
    assert [(record.offset, record.value) for record in read_records(reader, 1)] == [(2, b"two")]


@case("at the end a reader's position has passed markers and aborted records")
def position_at_the_end(bench: Bench) -> None:
    topic = bench.topic(partitions=2)
    identity = bench.name("id")
    begun(bench.log, identity, (topic, 0, b"k", b"one"), (topic, 1, b"k", b"one")).commit()
    writer = begun(bench.log, identity, *[(topic, 0, b"k", b"%d" % number) for number in range(5)])
    writer.flush()
    bench.log.writer(identity)  # ends what its predecessor left open
    wait_until(lambda: bounds_of(bench, topic) == (0, 8))
    reader = bench.log.reader()
    assert reader.position(topic, 0) == 0
    for partition in range(2):
        reader.assign(topic, partition, EARLIEST)
    found: list[Record] = []

    def read_on() -> tuple[int, int]:
        found.extend(reader.read(10, 0.1))
        return reader.position(topic, 0), reader.position(topic, 1)

    wait_until(lambda: read_on() == (8, 2))
    assert [record.value for record in found] == [b"one", b"one"]


@case("a reader's position stays below what an open transaction hides")
def position_under_an_open_transaction(bench: Bench) -> None:
    topic = bench.topic()
    bench.log.appender().append(topic, 0, b"k", b"before")
    writer = begun(bench.log, bench.name("id"), (topic, 0, b"k", b"inside"))
    writer.flush()
    bench.log.appender().append(topic, 0, b"k", b"after")
    reader = bench.log.reader()
    reader.assign(topic, 0, EARLIEST)
    assert read_values(reader, 1) == [b"before"]
    assert reader.read(10, 0.3) == []
    assert reader.position(topic, 0) == 1
    writer.commit()
    assert read_values(reader, 2) == [b"inside", b"after"]
    wait_until(lambda: bool(reader.read(10, 0.1)) or reader.position(topic, 0) == 4)


@case("LATEST is resolved at once: what is appended afterwards is seen")
def latest(bench: Bench) -> None:
    topic = bench.topic()
    appender = bench.log.appender()
    appender.append(topic, 0, b"k", b"before")
    for number in range(5):
        reader = bench.log.reader()
        reader.assign(topic, 0, LATEST)
        appender.append(topic, 0, b"k", b"%d" % number)
        assert read_values(reader, 1) == [b"%d" % number]
        reader.close()


@case("LATEST under an open transaction is the LSO, so its records are seen when it commits")
def latest_open(bench: Bench) -> None:
    topic = bench.topic()
    bench.log.appender().append(topic, 0, b"k", b"before")
    writer = begun(bench.log, bench.name("id"), (topic, 0, b"k", b"inside"))
    reader = bench.log.reader()
    reader.assign(topic, 0, LATEST)
    writer.commit()
    assert read_values(reader, 1) == [b"inside"]


@case("an offset beyond the end is out of range, and the partition is unassigned then")
def beyond(bench: Bench) -> None:
    topic = bench.topic(partitions=2)
    bench.log.appender().append(topic, 0, b"k", b"zero")
    bench.log.appender().append(topic, 1, b"k", b"one")
    reader = bench.log.reader()
    reader.assign(topic, 0, 7)
    assert _out_of_range(reader) == (topic, 0, 7)
    reader.assign(topic, 1, EARLIEST)
    assert read_values(reader, 1) == [b"one"]
    reader.assign(topic, 0, 1)  # the end itself is no error
    assert reader.read(10, 0.3) == []


@case("an offset that retention has passed is out of range")
def retained(bench: Bench) -> None:
    topic = bench.topic()
    bench.log.appender().append_all(topic, 0, [(b"k", b"%d" % number) for number in range(5)])
    bench.retain(topic, 0, 3)
    wait_until(lambda: bounds_of(bench, topic) == (3, 5))
    reader = bench.log.reader()
    reader.assign(topic, 0, 2)
    assert _out_of_range(reader) == (topic, 0, 2)
    reader.assign(topic, 0, EARLIEST)
    assert read_values(reader, 2) == [b"3", b"4"]


def _out_of_range(reader: LogReader) -> tuple[str, int, int]:
    """Read until the reader says what it cannot be given."""
    with pytest.raises(OffsetOutOfRangeError) as caught:
        wait_until(lambda: bool(reader.read(10, 1.0)))
    assert reader.read(10, 0.3) == []
    return caught.value.topic, caught.value.partition, caught.value.offset


@case("records of a partition come in order, whoever wrote them")
def order(bench: Bench) -> None:
    topic = bench.topic(partitions=3)
    appender, writer = bench.log.appender(), bench.log.writer(bench.name("id"))
    for batch in range(10):
        for partition in range(3):
            appender.append(topic, partition, b"plain", b"%d" % batch)
        writer.begin()
        for number in range(30):
            writer.send(topic, number % 3, b"transaction", b"%d" % number)
        writer.commit()
    reader = bench.log.reader()
    for partition in range(3):
        reader.assign(topic, partition, EARLIEST)
    records = read_records(reader, 330)
    for partition in range(3):
        own = [record for record in records if record.partition == partition]
        assert [record.offset for record in own] == sorted({record.offset for record in own})
        assert [record.value for record in own] == [
            value
            for batch in range(10)
            for value in (b"%d" % batch, *[b"%d" % number for number in range(30) if number % 3 == partition])
        ]


@case("a read returns at most what was asked for")
def limit(bench: Bench) -> None:
    topic = bench.topic(partitions=2)
    for partition in range(2):
        bench.log.appender().append_all(topic, partition, [(b"k", b"v")] * 10)
    reader = bench.log.reader()
    for partition in range(2):
        reader.assign(topic, partition, EARLIEST)
    counts: list[int] = []

    def drained() -> bool:
        counts.append(len(reader.read(3, 1.0)))
        return sum(counts) >= 20

    wait_until(drained)
    assert max(counts) <= 3
    assert sum(counts) == 20


@case("an unassigned partition is not read, an assigned one can be rewound")
def rewind(bench: Bench) -> None:
    topic = bench.topic(partitions=2)
    for partition in range(2):
        bench.log.appender().append_all(topic, partition, [(b"k", b"%d" % partition)] * 3)
    reader = bench.log.reader()
    reader.assign(topic, 0, EARLIEST)
    assert read_values(reader, 2) == [b"0"] * 2
    reader.assign(topic, 1, EARLIEST)
    reader.unassign(topic, 0)
    assert read_values(reader, 3) == [b"1"] * 3
    assert reader.read(10, 0.3) == []
    reader.assign(topic, 0, 1)
    assert [(record.partition, record.offset) for record in read_records(reader, 2)] == [(0, 1), (0, 2)]
    reader.close()
    reader.close()


@case("a reader that waits is given what is appended meanwhile")
def waiting(bench: Bench) -> None:
    topic = bench.topic()
    reader, appender = bench.log.reader(), bench.other.appender()
    reader.assign(topic, 0, EARLIEST)
    late = threading.Timer(0.3, appender.append, (topic, 0, b"k", b"v"))
    late.start()
    assert [record.value for record in reader.read(10, 20.0)] == [b"v"]
    late.join()


@case("keys, values and headers come back as they went, absent and empty told apart")
def bytes_as_sent(bench: Bench) -> None:
    topic = bench.topic()
    headers = [("ce_id", b"a@b"), ("twice", b""), ("twice", bytes(range(256)))]
    appender = bench.log.appender()
    appender.append(topic, 0, None, b"")
    appender.append(topic, 0, b"", None, headers)
    writer = bench.log.writer(bench.name("id"))
    writer.begin()
    writer.send(topic, 0, b"k", b"v", headers)
    writer.commit()
    sent = [(record.key, record.value, record.headers) for record in records_of(bench, topic)]
    assert sent == [(None, b"", ()), (b"", None, tuple(headers)), (b"k", b"v", tuple(headers))]
