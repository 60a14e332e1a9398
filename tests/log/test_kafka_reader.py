"""What only a real broker can put in front of a reader."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import TYPE_CHECKING

import confluent_kafka
import pytest
from confluent_kafka import Producer

from kadence.errors import OffsetOutOfRangeError, UnreachableError
from kadence.log.kafka import KafkaLog
from kadence.log.port import EARLIEST, LATEST
from tests.log.acl import AclOperation, ResourceType, forbid

if TYPE_CHECKING:
    from kadence.log.kafka.reader import KafkaReader
    from kadence.log.port import Record
    from kadence.testing.broker import Cluster

pytestmark = pytest.mark.broker


@pytest.fixture
def log(broker: Cluster) -> KafkaLog:
    return KafkaLog(broker.bootstrap_servers)


@pytest.fixture
def topic(log: KafkaLog, namespace: str) -> str:
    log.admin().create(f"{namespace}.control", 2, 1, {"message.timestamp.type": "LogAppendTime"})
    return f"{namespace}.control"


def read(reader: KafkaReader, count: int) -> list[Record]:
    records: list[Record] = []
    while len(records) < count:
        found = reader.read(100, 30)
        assert found, f"{records} and nothing more"
        records += found
    return records


@pytest.mark.parametrize("offset", [7, 5_000_000])
def test_an_offset_that_is_not_there_is_an_error_and_other_partitions_read_on(
    log: KafkaLog, topic: str, offset: int
) -> None:
    log.appender().append(topic, 1, b"k", b"v")
    reader = log.reader()
    reader.assign(topic, 1, EARLIEST)
    reader.assign(topic, 0, offset)
    seen: list[Record] = []

    def read_on() -> None:
        while True:
            seen.extend(reader.read(10, 10))

    with pytest.raises(OffsetOutOfRangeError) as raised:
        read_on()
    assert (raised.value.topic, raised.value.partition, raised.value.offset) == (topic, 0, offset)
    assert [record.value for record in seen or read(reader, 1)] == [b"v"]
    reader.assign(topic, 0, EARLIEST)
    log.appender().append(topic, 0, b"k", b"again")
    assert [record.value for record in read(reader, 1)] == [b"again"]
    reader.close()


@pytest.mark.parametrize("count", [1, 30])
def test_a_batch_that_inflates_past_the_limit_is_skipped_and_nothing_else_is(
    broker: Cluster, log: KafkaLog, topic: str, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    appender = log.appender()
    appender.append(topic, 0, b"k", b"before")
    settings = {"compression.type": "zstd", "message.max.bytes": 50_000_000, "batch.size": 50_000_000}
    bomber = Producer({"bootstrap.servers": broker.bootstrap_servers, "linger.ms": 500, **settings})
    for _ in range(count):
        bomber.produce(topic, bytes(12_000_000 // count), partition=0)
    bomber.flush(30)
    appender.append_all(topic, 0, [(b"k", b"after"), (b"k", b"and on")])
    small = {"receive.message.max.bytes": "10000000", "fetch.max.bytes": "1000000"}
    reader = KafkaLog(broker.bootstrap_servers, small).reader()
    reader.assign(topic, 0, EARLIEST)
    found = [(record.offset, record.value) for record in read(reader, 3)]
    reader.close()
    assert found == [(0, b"before"), (count + 1, b"after"), (count + 2, b"and on")]
    assert f"offsets 1 to {count} cannot be read and are skipped" in caplog.text


def test_a_header_whose_name_is_not_utf_8_costs_the_record_its_headers_only(
    broker: Cluster, log: KafkaLog, topic: str
) -> None:
    produce_with_header(broker.bootstrap_servers, topic, b"\xff\xfe", b"value", 50)  # few enough did no harm
    log.appender().append(topic, 0, b"k", b"next", [("fine", b"1")])
    reader = log.reader()
    reader.assign(topic, 0, EARLIEST)
    *garbage, fine = read(reader, 51)
    reader.close()
    assert {(record.value, record.headers) for record in garbage} == {(b"value", ())}
    assert fine.headers == (("fine", b"1"),)


def test_a_reader_needs_no_right_to_any_group(broker: Cluster, topic: str, namespace: str) -> None:
    log = KafkaLog(broker.bootstrap_servers, client_id=namespace)
    forbid(
        broker.bootstrap_servers, ResourceType.GROUP, f"{namespace}.reader", AclOperation.READ, AclOperation.DESCRIBE
    )
    log.appender().append(topic, 0, b"k", b"v")
    reader = log.reader()
    reader.assign(topic, 0, EARLIEST)
    assert [record.value for record in read(reader, 1)] == [b"v"]
    reader.close()


def test_latest_and_bounds_of_a_topic_that_is_not_there_are_unreachable(log: KafkaLog, namespace: str) -> None:
    reader = log.reader()
    with pytest.raises(UnreachableError, match="missing"):
        reader.bounds(f"{namespace}.missing", 0, 5)
    with pytest.raises(UnreachableError, match="missing"):
        reader.assign(f"{namespace}.missing", 0, LATEST)
    reader.close()


def produce_with_header(bootstrap_servers: str, topic: str, name: bytes, value: bytes, count: int) -> None:
    """What kcat can write and Python's binding cannot: by librdkafka's own C functions, from the same wheel."""
    libraries = Path(confluent_kafka.__file__).parent.with_name("confluent_kafka.libs")
    library = ctypes.CDLL(str(next(libraries.glob("librdkafka-*"))))
    pointer = ctypes.c_void_p
    for function in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_headers_new"):
        getattr(library, function).restype = pointer
    errors = ctypes.create_string_buffer(512)
    settings = pointer(library.rd_kafka_conf_new())
    library.rd_kafka_conf_set(settings, b"bootstrap.servers", bootstrap_servers.encode(), errors, 512)
    producer = pointer(library.rd_kafka_new(0, settings, errors, 512))
    end, to_topic, to_partition, with_value, with_flags, with_headers = 0, 1, 3, 4, 7, 10
    copied = 2
    for _ in range(count):
        headers = pointer(library.rd_kafka_headers_new(ctypes.c_size_t(1)))
        library.rd_kafka_header_add(headers, name, ctypes.c_ssize_t(len(name)), b"v", ctypes.c_ssize_t(1))
        failed = library.rd_kafka_producev(
            producer,
            to_topic, topic.encode(),
            to_partition, ctypes.c_int32(0),
            with_value, value, ctypes.c_size_t(len(value)),
            with_flags, copied,
            with_headers, headers,
            end,
        )  # fmt: skip
        assert failed == 0
    assert library.rd_kafka_flush(producer, 30_000) == 0
    library.rd_kafka_destroy(producer)
