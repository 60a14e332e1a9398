"""Cases: where in a partition a broker time is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kadence.errors import UnreachableError
from tests.log.bench import WAIT_S, begun, bounds_of, case, wait_until

if TYPE_CHECKING:
    from kadence.log.port import LogAppender, Receipt
    from tests.log.bench import Bench


def _offset_at(bench: Bench, topic: str, timestamp: int, partition: int = 0) -> int:
    reader = bench.log.reader()
    try:
        return reader.offset_at(topic, partition, timestamp, WAIT_S)
    finally:
        reader.close()


def _apart(appender: LogAppender, topic: str, count: int) -> list[Receipt]:
    """Records appended at times at least 2 ms apart, which are all that the topic holds in between."""
    receipts = [appender.append(topic, 0, b"k", b"0")]

    def later() -> bool:
        receipt = appender.append(topic, 0, b"k", b"x")
        if receipt.timestamp >= receipts[-1].timestamp + 2:
            receipts.append(receipt)
        return len(receipts) == count

    wait_until(later)
    return receipts


@case("a time is found at its first record, between two at the later one, after the last at the end")
def offset_at(bench: Bench) -> None:
    topic = bench.topic()
    receipts = _apart(bench.log.appender(), topic, 3)
    for receipt in receipts[1:]:
        assert _offset_at(bench, topic, receipt.timestamp) == receipt.offset
    first, last = receipts[0], receipts[-1]
    for early in (0, -1, -2, first.timestamp - 1, first.timestamp):
        assert _offset_at(bench, topic, early) == 0
    assert receipts[1].offset < _offset_at(bench, topic, receipts[1].timestamp + 1) <= receipts[2].offset
    assert _offset_at(bench, topic, last.timestamp + 1) == last.offset + 1 == bounds_of(bench, topic)[1]
    assert _offset_at(bench, topic, last.timestamp + 10**9) == last.offset + 1


@case("in an empty partition every time is at its end")
def offset_at_empty(bench: Bench) -> None:
    topic = bench.topic()
    assert [_offset_at(bench, topic, time) for time in (0, 1_500_000_000_000)] == [0, 0]
    bench.log.appender().append_all(topic, 0, [(b"k", b"v")] * 3)
    bench.retain(topic, 0, 3)
    assert [_offset_at(bench, topic, time) for time in (0, 9_500_000_000_000)] == [3, 3]


@case("what an open transaction hides is not found by its time")
def offset_at_open(bench: Bench) -> None:
    topic = bench.topic()
    before = bench.log.appender().append(topic, 0, b"k", b"before")
    writer = begun(bench.log, bench.name("id"), (topic, 0, b"k", b"inside"))
    bench.log.appender().append(topic, 0, b"k", b"after")
    assert _offset_at(bench, topic, before.timestamp + 10**6) == 1
    assert _offset_at(bench, topic, before.timestamp) == 0
    writer.commit()
    wait_until(lambda: bounds_of(bench, topic) == (0, 4))
    assert _offset_at(bench, topic, before.timestamp + 10**9) == 4


@case("the time of a partition that is not there cannot be asked for")
def offset_at_missing(bench: Bench) -> None:
    reader = bench.log.reader()
    with pytest.raises(UnreachableError, match="missing"):
        reader.offset_at(bench.name("missing"), 0, 0, 5.0)
    reader.close()
