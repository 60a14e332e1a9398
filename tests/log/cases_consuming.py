"""Cases: the members of a group that read, and what the group remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kadence.errors import KadenceError, UnreachableError
from tests.log.bench import begun, case, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from kadence.log.port import Log, Record
    from tests.log.bench import Bench

_PARTITIONS = 4
_ALL = frozenset(range(_PARTITIONS))


class Consuming:
    """A consumer as its owner uses it: with what it read, in order, and what was taken from it."""

    def __init__(self, log: Log, group: str, topic: str) -> None:
        self.consumer = log.consume(group, topic, self._revoked)
        self.read: list[Record] = []
        self.revocations: list[tuple[frozenset[int], bool]] = []
        self.at_revocation: Callable[[], None] = lambda: None

    def _revoked(self, partitions: frozenset[int], lost: bool) -> None:  # noqa: FBT001  as the port calls it
        self.revocations.append((partitions, lost))
        if not lost:
            assert partitions <= self.consumer.assigned(), "told after the loss"
        self.at_revocation()

    def poll(self, limit: int = 100) -> list[Record]:
        found = self.consumer.poll(limit, 0.1)
        assert len(found) <= limit
        assert {record.partition for record in found} <= self.consumer.assigned()
        self.read += found
        return found

    @property
    def values(self) -> list[bytes | None]:
        return [record.value for record in self.read]

    def commit_read(self, partitions: Collection[int] = _ALL) -> None:
        """Commit all that was read of these; again where the group is busy, as the port has it."""
        done = {record.partition: record.offset + 1 for record in self.read if record.partition in partitions}

        def told() -> bool:
            try:
                self.consumer.commit(done)
            except UnreachableError:
                self.poll()
                return False
            return True

        wait_until(told)


def polled_until(done: Callable[[], bool], *members: Consuming) -> None:
    """Poll the members in turn until ``done``."""

    def step() -> bool:
        for member in members:
            member.poll()
        return done()

    wait_until(step)


def filled(bench: Bench, values: Iterable[bytes], topic: str | None = None) -> str:
    """A topic (a new one) with these values in each of its partitions."""
    topic = topic or bench.topic(partitions=_PARTITIONS)
    appender = bench.log.appender()
    for partition in _ALL:
        appender.append_all(topic, partition, [(b"k", value) for value in values])
    return topic


@case("a group reads everything once, and goes on from what was committed")
def goes_on(bench: Bench) -> None:
    topic, group = filled(bench, [b"0", b"1", b"2"]), bench.name("group")
    first = Consuming(bench.log, group, topic)
    polled_until(lambda: len(first.read) == 3 * _PARTITIONS, first)
    for partition in _ALL:
        assert [(r.offset, r.value) for r in first.read if r.partition == partition] == [
            (0, b"0"), (1, b"1"), (2, b"2"),
        ]  # fmt: skip
    assert first.poll() == []
    first.consumer.commit({0: 1, 1: 3, 2: 0})  # and nothing of partition 3
    first.consumer.leave()
    first.consumer.leave()
    assert first.revocations == [(_ALL, False)]
    assert first.consumer.assigned() == frozenset()
    second = Consuming(bench.other, group, topic)
    polled_until(lambda: len(second.read) == 8, second)
    assert second.poll() == []
    assert sorted((r.partition, r.offset) for r in second.read) == [
        (0, 1), (0, 2), (2, 0), (2, 1), (2, 2), (3, 0), (3, 1), (3, 2),
    ]  # fmt: skip
    second.consumer.leave()


@case("a poll returns at most what was asked for, and the rest later")
def limited(bench: Bench) -> None:
    topic = filled(bench, [b"%d" % number for number in range(10)])
    member = Consuming(bench.log, bench.name("group"), topic)

    def complete() -> bool:
        member.poll(3)
        return len(member.read) == 40

    wait_until(complete)
    for partition in _ALL:
        assert [r.offset for r in member.read if r.partition == partition] == list(range(10))
    member.consumer.leave()


@case("members share the partitions, those that move are told before, and a commit then holds")
def shared(bench: Bench) -> None:
    topic, group = filled(bench, [b"before"]), bench.name("group")
    first, second = Consuming(bench.log, group, topic), Consuming(bench.other, group, topic)
    polled_until(lambda: len(first.read) == _PARTITIONS, first)
    first.at_revocation = lambda: first.commit_read(first.revocations[-1][0])
    polled_until(lambda: len(second.consumer.assigned()) == 2, first, second)
    assert first.consumer.assigned() | second.consumer.assigned() == _ALL
    assert first.revocations == [(second.consumer.assigned(), False)]
    filled(bench, [b"after"], topic)
    polled_until(lambda: len(first.read) + len(second.read) >= 2 * _PARTITIONS, first, second)
    assert [member.poll() for member in (first, second)] == [[], []]
    assert sorted(first.values + second.values) == [b"after"] * 4 + [b"before"] * 4  # type: ignore[type-var]
    assert {r.partition for r in second.read} == second.consumer.assigned()
    first.consumer.leave()
    polled_until(lambda: second.consumer.assigned() == _ALL, second)
    assert [second.poll() for _ in range(5)] == [[]] * 5  # all of it was committed by one that left, as it was told
    second.consumer.leave()


@case("what a revoked member says of partitions that are gone is not heard")
def not_ours(bench: Bench) -> None:
    topic, group = filled(bench, [b"v"]), bench.name("group")
    first, second = Consuming(bench.log, group, topic), Consuming(bench.other, group, topic)
    polled_until(lambda: len(first.read) == _PARTITIONS, first)
    polled_until(lambda: len(second.read) == 2, first, second)
    first.consumer.commit(dict.fromkeys(second.consumer.assigned(), 1))
    second.consumer.leave()
    polled_until(lambda: len(first.read) == _PARTITIONS + 2, first)
    first.consumer.leave()


@case("an owner that raises when it is told gives the partitions up all the same")
def owner_raises(bench: Bench) -> None:
    topic, group = filled(bench, [b"v"]), bench.name("group")
    first, second = Consuming(bench.log, group, topic), Consuming(bench.other, group, topic)
    polled_until(lambda: len(first.read) == _PARTITIONS, first)

    def fail() -> None:
        raise KadenceError("of the owner's own")

    first.at_revocation = fail
    with pytest.raises(KadenceError):
        polled_until(lambda: False, first, second)
    polled_until(lambda: len(second.consumer.assigned()) == 2, first, second)
    assert not first.consumer.assigned() & second.consumer.assigned()
    filled(bench, [b"next"], topic)
    polled_until(lambda: first.values.count(b"next") + second.values.count(b"next") == _PARTITIONS, first, second)
    with pytest.raises(KadenceError):
        first.consumer.leave()
    polled_until(lambda: second.consumer.assigned() == _ALL, second)
    second.consumer.leave()


@case("a paused partition brings nothing, and goes on without loss or repetition")
def paused(bench: Bench) -> None:
    topic, group = filled(bench, [b"%d" % number for number in range(5)]), bench.name("group")
    member = Consuming(bench.log, group, topic)
    polled_until(lambda: len(member.read) >= 1, member)
    member.consumer.pause([0, 1, 99])
    seen = {p: sum(r.partition == p for r in member.read) for p in (0, 1)}
    filled(bench, [b"5", b"6"], topic)
    polled_until(lambda: sum(r.partition > 1 for r in member.read) == 14, member)
    assert member.poll() == []
    assert {p: sum(r.partition == p for r in member.read) for p in (0, 1)} == seen
    member.consumer.resume([1, 2])
    polled_until(lambda: sum(r.partition > 0 for r in member.read) == 21, member)
    assert sum(r.partition == 0 for r in member.read) == seen[0]
    member.consumer.resume([0])
    polled_until(lambda: len(member.read) >= 28, member)
    assert member.poll() == []
    for partition in _ALL:
        assert [r.offset for r in member.read if r.partition == partition] == list(range(7))
    member.consumer.leave()


@case("partitions that are paused and resumed all the time lose and repeat nothing")
def paused_often(bench: Bench) -> None:
    topic = filled(bench, [b"%d" % number for number in range(50)])
    member = Consuming(bench.log, bench.name("group"), topic)
    polled_until(lambda: member.consumer.assigned() == _ALL, member)
    for turn in range(24):
        member.consumer.pause([turn % 4, (turn + 1) % 4])
        assert {r.partition for r in member.poll(7)}.isdisjoint({turn % 4, (turn + 1) % 4})
        member.consumer.resume([turn % 4])
        member.poll(3)
        member.consumer.resume(_ALL)
    polled_until(lambda: len(member.read) >= 200, member)
    assert member.poll() == []
    for partition in _ALL:
        assert [r.offset for r in member.read if r.partition == partition] == list(range(50))
    member.consumer.leave()


@case("a partition that was paused, went and came back is read")
def pause_forgotten(bench: Bench) -> None:
    topic, group = filled(bench, [b"old"]), bench.name("group")
    first = Consuming(bench.log, group, topic)
    polled_until(lambda: len(first.read) == _PARTITIONS, first)
    first.commit_read()
    first.consumer.pause(_ALL)
    second = Consuming(bench.other, group, topic)
    polled_until(lambda: len(second.consumer.assigned()) == 2, first, second)
    moved = second.consumer.assigned()
    second.consumer.leave()
    polled_until(lambda: first.consumer.assigned() == _ALL, first)
    filled(bench, [b"new"], topic)
    polled_until(lambda: len(first.read) == _PARTITIONS + 2, first)
    assert first.poll() == []  # those that stayed are still paused
    assert {r.partition for r in first.read if r.value == b"new"} == moved
    first.consumer.resume(_ALL)
    polled_until(lambda: len(first.read) == _PARTITIONS * 2, first)
    first.consumer.leave()


@case("a group is not given what is not committed, nor what was aborted")
def committed_only(bench: Bench) -> None:
    topic, name = bench.topic(), bench.name("id")
    bench.log.appender().append(topic, 0, b"k", b"before")
    writer = begun(bench.log, name, (topic, 0, b"k", b"inside"))
    bench.log.appender().append(topic, 0, b"k", b"plain")
    member = Consuming(bench.log, bench.name("group"), topic)
    polled_until(lambda: member.values == [b"before"], member)
    assert [member.poll() for _ in range(3)] == [[], [], []]
    writer.commit()
    polled_until(lambda: member.values == [b"before", b"inside", b"plain"], member)
    begun(bench.log, name, (topic, 0, b"k", b"aborted"))
    bench.log.appender().append(topic, 0, b"k", b"last")
    assert member.poll() == []
    bench.log.writer(name)
    polled_until(lambda: member.values == [b"before", b"inside", b"plain", b"last"], member)
    member.consumer.leave()


@case("a group whose committed offset has passed out of the log begins at what is there")
def retained(bench: Bench) -> None:
    topic, group = bench.topic(), bench.name("group")
    appender = bench.log.appender()
    appender.append_all(topic, 0, [(b"k", b"%d" % number) for number in range(6)])
    first = Consuming(bench.log, group, topic)
    polled_until(lambda: len(first.read) == 6, first)
    first.consumer.commit({0: 1})
    first.consumer.leave()
    bench.retain(topic, 0, 4)
    second = Consuming(bench.log, group, topic)
    polled_until(lambda: second.values == [b"4", b"5"], second)
    second.consumer.leave()
