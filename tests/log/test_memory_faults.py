"""What can go wrong at the edge of a process, one fault at a time."""

from __future__ import annotations

import pytest

from kadence.errors import FencedError, RefusedError, UncleanError, UnreachableError
from kadence.log.memory import MemoryLog
from kadence.log.memory.faults import (
    POSSIBLE,
    Crash,
    DuplicateEndTxn,
    Fault,
    Hold,
    LateEndTxn,
    Point,
    SimulatedCrash,
    SlowMarkers,
    UnknownCommit,
    Unreachable,
)
from kadence.log.memory.transactions import EndTxn, Markers
from kadence.log.memory.writer import MemoryWriter
from kadence.log.port import EARLIEST, LATEST, Log


class Once:
    """Brings one fault at the n-th visit (from 0) of one point, and remembers all points visited."""

    def __init__(self, point: Point, fault: Fault, visit: int = 0) -> None:
        self._point, self._fault, self._visit = point, fault, visit
        self.visited: list[tuple[Point, object]] = []

    def at(self, point: Point, who: object) -> Fault | None:
        self.visited.append((point, who))
        visits = sum(1 for seen, _ in self.visited if seen == self._point)
        return self._fault if point == self._point and visits == self._visit + 1 else None


class World:
    """A log of two topics with one settable clock, and two processes on it."""

    def __init__(self) -> None:
        self.now = 1_000
        self.cluster = MemoryLog(lambda: self.now, transaction_timeout=60_000)
        self.cluster.admin().create("t", 2, 1, {})
        self.one, self.two = self.cluster.start("one"), self.cluster.start("two")

    def values(self, partition: int = 0) -> list[bytes | None]:
        return [record.value for record in self.cluster.records("t", partition)]

    def begun(self, log: Log | None = None, value: bytes = b"old") -> MemoryWriter:
        writer = (log or self.one).writer("id")
        assert isinstance(writer, MemoryWriter)
        writer.begin()
        writer.send("t", 0, b"k", value)
        return writer


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(("after", "seen"), [(False, []), (True, [b"old"])])
def test_a_crash_at_commit_leaves_it_done_or_not(world: World, after: bool, seen: list[bytes]) -> None:  # noqa: FBT001
    writer = world.begun()
    world.cluster.faults = Once("writer.commit", Crash(after=after))
    with pytest.raises(SimulatedCrash):
        writer.commit()
    world.begun(world.two, b"new").commit()
    assert world.values() == [*seen, b"new"]


def test_a_dead_process_reaches_nothing_while_it_unwinds(world: World) -> None:
    member, writer = world.one.join("g", "t"), world.begun()
    member.poll(0)
    reader, appender, admin = world.one.reader(), world.one.appender(), world.one.admin()
    world.one.kill()
    writer.close()
    reader.close()
    member.leave()
    assert [one.process for one in world.cluster.members("g")] == ["one"]
    assert world.cluster.end("t", 0) == 1
    for call in (
        writer.commit,
        writer.begin,
        lambda: reader.read(1, 0),
        lambda: appender.append("t", 0, b"k", b"v"),
        lambda: admin.describe(["t"]),
        lambda: member.poll(0),
        lambda: world.one.writer("id"),
        world.one.reader,
    ):
        with pytest.raises(SimulatedCrash):
            call()
    world.cluster.start("one").writer("id")  # its next life


@pytest.mark.parametrize("applied", [False, True])
def test_an_unknown_commit_took_place_or_not(world: World, applied: bool) -> None:  # noqa: FBT001
    writer = world.begun()
    world.cluster.faults = Once("writer.commit", UnknownCommit(applied=applied))
    with pytest.raises(UncleanError):
        writer.commit()
    assert world.values() == ([b"old"] if applied else [])
    assert world.cluster.end("t", 0) == (2 if applied else 1)  # open until somebody ends it


def test_a_late_end_of_a_transaction_is_delivered_when_the_test_says_so(world: World) -> None:
    writer = world.begun()
    world.cluster.faults = Once("writer.commit", LateEndTxn())
    with pytest.raises(UncleanError):
        writer.commit()
    assert world.cluster.in_flight == (EndTxn("id", writer.epoch),)
    assert world.values() == []
    assert world.cluster.deliver_late()
    assert world.values() == [b"old"]
    with pytest.raises(IndexError):
        world.cluster.deliver_late()


def test_a_duplicate_end_tears_the_next_transaction_of_the_same_producer(world: World) -> None:
    writer = world.begun()
    world.cluster.faults = Once("writer.commit", DuplicateEndTxn())
    writer.commit()
    writer.begin()
    writer.send("t", 0, b"k", b"torn")
    assert world.cluster.deliver_late()
    assert world.values() == [b"old", b"torn"]
    writer.send("t", 1, b"k", b"later")  # a partition new to the transaction goes into another one
    writer.commit()
    assert world.values(1) == [b"later"]


def test_a_record_to_a_partition_of_a_torn_transaction_ends_the_writer(world: World) -> None:
    writer = world.begun()
    world.cluster.faults = Once("writer.commit", DuplicateEndTxn())
    writer.commit()
    writer.begin()
    writer.send("t", 0, b"k", b"torn")
    world.cluster.deliver_late()
    with pytest.raises(UncleanError):
        writer.send("t", 0, b"k", b"again")


def test_a_duplicate_end_that_comes_after_the_takeover_tears_nothing(world: World) -> None:
    writer = world.begun()
    world.cluster.faults = Once("writer.commit", DuplicateEndTxn())
    writer.commit()
    world.begun(world.two, b"new")
    assert not world.cluster.deliver_late()
    assert world.values() == [b"old"]


def test_slow_markers_hide_a_commit_until_they_come(world: World) -> None:
    writer = world.begun()
    world.cluster.faults = Once("writer.commit", SlowMarkers())
    assert writer.commit().offset == 0
    assert world.values() == []
    assert world.cluster.in_flight == (Markers("id", writer.epoch),)
    world.cluster.deliver_late()
    assert world.values() == [b"old"]


def test_a_takeover_waits_for_slow_markers(world: World) -> None:
    writer = world.begun()
    world.cluster.faults = Once("writer.commit", SlowMarkers())
    writer.commit()
    world.two.writer("id")
    assert world.values() == [b"old"]
    assert world.cluster.in_flight == ()


def test_records_held_back_come_after_those_of_other_partitions_and_in_their_own_order(world: World) -> None:
    writer = world.one.writer("id")
    world.cluster.faults = Once("writer.send", Hold(), visit=1)
    writer.begin()
    for partition, value in ((0, b"0"), (0, b"1"), (0, b"2"), (1, b"a")):
        writer.send("t", partition, b"k", value)
    assert (world.cluster.end("t", 0), world.cluster.end("t", 1)) == (1, 1)
    writer.flush()
    writer.commit()
    assert (world.values(0), world.values(1)) == ([b"0", b"1", b"2"], [b"a"])


@pytest.mark.parametrize(("applied", "end"), [(False, 0), (True, 1)])
def test_an_append_without_an_answer_arrived_or_not(world: World, applied: bool, end: int) -> None:  # noqa: FBT001
    world.cluster.faults = Once("appender.append", Unreachable(applied=applied))
    with pytest.raises(UnreachableError):
        world.one.appender().append("t", 0, b"k", b"v")
    assert world.cluster.end("t", 0) == end


@pytest.mark.parametrize("applied", [False, True])
def test_a_takeover_without_an_answer_may_have_fenced(world: World, applied: bool) -> None:  # noqa: FBT001
    writer = world.begun()
    world.cluster.faults = Once("writer.open", Unreachable(applied=applied))
    with pytest.raises(UnreachableError):
        world.two.writer("id")
    if applied:
        with pytest.raises(FencedError):
            writer.commit()
    else:
        writer.commit()


def test_a_flush_without_an_answer_ends_the_writer(world: World) -> None:
    writer = world.begun()
    world.cluster.faults = Once("writer.flush", Unreachable(applied=True))
    for _ in range(2):
        with pytest.raises(UncleanError):
            writer.flush()


def test_reading_and_polling_without_an_answer_bring_nothing(world: World) -> None:
    world.cluster.appender().append("t", 0, b"k", b"v")
    reader, member = world.one.reader(), world.one.join("g", "t")
    reader.assign("t", 0, EARLIEST)
    world.cluster.faults = Once("reader.read", Unreachable(applied=False))
    assert [len(reader.read(10, 0)) for _ in range(2)] == [0, 1]
    world.cluster.faults = Once("group.poll", Unreachable(applied=False))
    assert [len(member.poll(0)) for _ in range(2)] == [0, 1]


def test_a_partition_without_a_leader_delays_no_other(world: World) -> None:
    for partition in range(2):
        world.cluster.appender().append("t", partition, b"k", b"v")
    reader, writer = world.one.reader(), world.one.writer("id")
    for partition in range(2):
        reader.assign("t", partition, EARLIEST)
    world.cluster.set_available("t", 0, available=False)
    assert [record.partition for record in reader.read(10, 0)] == [1]
    with pytest.raises(UnreachableError):
        reader.bounds("t", 0, 0)
    with pytest.raises(UnreachableError):
        reader.assign("t", 0, LATEST)
    with pytest.raises(UnreachableError):
        world.one.appender().append("t", 0, b"k", b"v")
    writer.begin()
    writer.send("t", 0, b"k", b"v")
    with pytest.raises(UncleanError):
        writer.flush()
    world.cluster.set_available("t", 0, available=True)
    assert [record.partition for record in reader.read(10, 0)] == [0]


def test_a_fault_that_cannot_happen_at_a_point_is_a_mistake_of_the_test(world: World) -> None:
    world.cluster.faults = Once("reader.read", LateEndTxn())
    with pytest.raises(ValueError, match=r"cannot happen at reader\.read"):
        world.one.reader().read(1, 0)


def test_every_point_is_asked_about(world: World) -> None:
    world.cluster.faults = faults = Once("group.leave", Crash(after=True))
    admin, reader, member = world.one.admin(), world.one.reader(), world.one.join("g", "t")
    admin.create("u", 1, 1, {})
    admin.alter("u", {"retention.ms": "1"})
    admin.describe(["u"])
    admin.brokers()
    world.begun().flush()
    world.begun().commit()
    world.one.appender().append("t", 0, b"k", b"v")
    reader.assign("t", 0, EARLIEST)
    reader.read(1, 0)
    reader.bounds("t", 0, 0)
    consumer = world.one.consume("c", "t", lambda *_: None)
    consumer.poll(1, 0)
    consumer.commit({0: 1})
    member.poll(0)
    with pytest.raises(SimulatedCrash):
        member.leave()
    assert {point for point, _ in faults.visited} == set(POSSIBLE)
    assert {getattr(who, "process").name for _, who in faults.visited} == {"one"}  # noqa: B009 - `who` is an object
    assert world.cluster.members("g") == ()  # it died after its effect


def test_a_refusal_is_raised_by_whatever_comes_after_the_record(world: World) -> None:
    for name in ("send", "flush", "commit"):
        writer = world.begun()
        writer.send("missing", 0, b"k", b"v")
        with pytest.raises(RefusedError, match="missing"):
            writer.send("t", 0, b"k", b"v") if name == "send" else getattr(writer, name)()
