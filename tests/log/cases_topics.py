"""Cases: producers' receipts and partitions, topics and their settings, compaction."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from kadence.domain.partition import partition_for
from kadence.errors import RefusedError
from tests.log.bench import FILLER, begun, bounds_of, case, records_of, values_of

if TYPE_CHECKING:
    from tests.log.bench import Bench


@case("receipts carry the offset and the broker's time of the record")
def receipts(bench: Bench) -> None:
    topic = bench.topic()
    appender = bench.log.appender()
    known = [appender.append(topic, 0, b"k", b"one")]
    known.append(begun(bench.log, bench.name("id"), (topic, 0, b"k", b"two")).commit())
    known += appender.append_all(topic, 0, [(b"k", b"three"), (b"k", b"four")])
    found = [(record.offset, record.timestamp) for record in records_of(bench, topic)]
    assert [(receipt.offset, receipt.timestamp) for receipt in known] == found
    offsets = [offset for offset, _ in found]  # the commit's marker may come before or after the last two
    assert offsets == sorted(set(offsets))
    assert offsets[:2] == [0, 1]
    assert all(timestamp > 1_500_000_000_000 for _, timestamp in found)


@case("the receipt of a commit is that of the record sent last")
def last_receipt(bench: Bench) -> None:
    topic = bench.topic(partitions=2)
    bench.log.appender().append_all(topic, 1, [(b"k", b"v")] * 5)
    sends = [(topic, 0, b"k", b"a"), (topic, 0, b"k", b"b"), (topic, 1, b"k", b"last")]
    assert begun(bench.log, bench.name("id"), *sends).commit().offset == 5


@case("many appends are receipted in order")
def append_many(bench: Bench) -> None:
    topic = bench.topic()
    records = [(b"%d" % number, b"v%d" % number) for number in range(500)]
    receipts = bench.log.appender().append_all(topic, 0, records)
    assert [receipt.offset for receipt in receipts] == list(range(500))
    assert [(record.key, record.value) for record in records_of(bench, topic)] == records


@case("partition -1 is Java's murmur2 of the key")
def murmur2(bench: Bench) -> None:
    topic = bench.topic(partitions=7)
    keys = [b"", b"a", b"invoices", "zürich".encode(), b"job/nightly-backup", bytes(range(50))]
    appender, writer = bench.log.appender(), bench.log.writer(bench.name("id"))
    writer.begin()
    for key in keys:
        appender.append(topic, -1, key, b"plain")
        writer.send(topic, -1, key, b"transactional")
    writer.commit()
    appender.append_all(topic, -1, [(key, b"many") for key in keys])
    found = {
        (record.key, record.value, partition)
        for partition in range(7)
        for record in records_of(bench, topic, partition)
        if record.key != FILLER
    }
    values = (b"plain", b"transactional", b"many")
    assert found == {(key, value, partition_for(key, 7)) for key in keys for value in values}


@case("a plain append is refused by name where the topic is missing or takes less")
def append_refused(bench: Bench) -> None:
    appender = bench.log.appender()
    small = bench.topic(max_message_bytes="2000")
    for target in (bench.name("missing"), small):
        with pytest.raises(RefusedError) as refusal:
            appender.append(target, 0, b"k", random.Random(7).randbytes(20_000))
        assert refusal.value.topic == target
    assert appender.append(small, 0, b"k", b"v").offset == 0  # a refusal does not harm the appender


@case("a missing topic is absent from what is described")
def missing(bench: Bench) -> None:
    topic = bench.topic(partitions=3)
    facts = bench.log.admin().describe([topic, bench.name("missing")])
    assert list(facts) == [topic]
    assert (facts[topic].name, facts[topic].partitions, facts[topic].replication) == (topic, 3, 1)
    assert facts[topic].writable
    assert facts[topic].error is None
    assert facts[topic].config["message.timestamp.type"] == "LogAppendTime"
    assert bench.log.admin().describe([topic], config=False)[topic].topic_id == facts[topic].topic_id


@case("creating a topic that exists changes nothing, altering one leaves its other settings")
def create_and_alter(bench: Bench) -> None:
    admin, topic = bench.log.admin(), bench.name("topic")
    admin.create(topic, 2, -1, {"retention.ms": "86400000", "max.message.bytes": "4000"})
    first = admin.describe([topic])[topic]
    admin.create(topic, 5, -1, {})
    admin.alter(topic, {"max.message.bytes": "5000"})
    found = admin.describe([topic])[topic]
    assert (found.topic_id, found.partitions) == (first.topic_id, 2)
    assert (found.config["retention.ms"], found.config["max.message.bytes"]) == ("86400000", "5000")
    assert found.config["cleanup.policy"] == "delete"  # the broker's own defaults are told too
    assert admin.brokers() == 1
    admin.close()


@case("a topic made anew has another id and is empty")
def recreated(bench: Bench) -> None:
    topic = bench.topic()
    bench.log.appender().append(topic, 0, b"k", b"v")
    first = bench.log.admin().describe([topic])[topic]
    bench.recreate(topic)
    second = bench.log.admin().describe([topic])[topic]
    assert first.topic_id != second.topic_id
    assert second.partitions == first.partitions
    assert bounds_of(bench, topic) == (0, 0)


@case("compaction keeps the last value of each key, at its offset")
def compaction(bench: Bench) -> None:
    topic, name = bench.compacted(), bench.name("id")
    sends = [(topic, 0, key, value) for key, value in ((b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"c", b"1"))]
    begun(bench.log, name, *sends).commit()
    begun(bench.log, name, (topic, 0, b"b", b"aborted")).close()
    begun(bench.log, name, (topic, 0, b"c", b"2")).commit()
    bench.compact_until(topic, lambda: len(_kept(bench, topic)) == 3)
    assert _kept(bench, topic) == [(1, b"b", b"1"), (2, b"a", b"2"), (7, b"c", b"2")]
    assert bounds_of(bench, topic)[0] == 0


@case("compaction drops an old tombstone with the values it deleted")
def tombstones(bench: Bench) -> None:
    topic = bench.compacted()
    appender = bench.log.appender()
    appender.append_all(topic, 0, [(b"a", b"1"), (b"b", b"1"), (b"a", None), (b"c", b"1"), (b"c", b"2")])
    bench.compact_until(topic, lambda: b"a" not in {key for _, key, _ in _kept(bench, topic)})
    assert _kept(bench, topic) == [(1, b"b", b"1"), (4, b"c", b"2")]


def _kept(bench: Bench, topic: str) -> list[tuple[int, bytes | None, bytes | None]]:
    records = records_of(bench, topic)
    return [(record.offset, record.key, record.value) for record in records if record.key != FILLER]


@case("a record below a compacted gap's end is reached from inside the gap")
def gap(bench: Bench) -> None:
    topic = bench.compacted()
    appender = bench.log.appender()
    appender.append_all(topic, 0, [(b"a", b"%d" % number) for number in range(5)])
    bench.compact_until(topic, lambda: len(_kept(bench, topic)) == 1)
    reader = bench.log.reader()
    reader.assign(topic, 0, 2)
    assert reader.read(1, 20.0)[0].offset == 4
    assert values_of(bench, topic)[0] == b"4"
