"""What the in-process log does beyond the conformance cases: clocks, sessions, compaction's limits, threads."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadence.errors import FencedError
from kadence.log.memory import MemoryLog
from kadence.log.memory.group import balance
from kadence.log.port import EARLIEST, Assigned, Revoked


class World:
    """A log of one compacted topic, with a settable clock."""

    def __init__(self) -> None:
        self.now = 1_000
        self.cluster = MemoryLog(lambda: self.now, transaction_timeout=60_000)
        settings = {"cleanup.policy": "compact", "delete.retention.ms": "100", "min.compaction.lag.ms": "10"}
        self.cluster.admin().create("t", 4, 1, settings)
        self.append = self.cluster.appender().append

    def offsets(self) -> list[int]:
        return [record.offset for record in self.cluster.records("t", 0)]

    def compact(self) -> list[int]:
        self.cluster.roll("t", 0)
        self.cluster.compact("t", 0)
        return self.offsets()


@pytest.fixture
def world() -> World:
    return World()


def test_records_are_stamped_by_the_clock_of_the_log(world: World) -> None:
    world.now = 5_000
    assert world.append("t", 0, b"k", b"v").timestamp == 5_000


def test_a_transaction_open_too_long_is_aborted_and_its_writer_fenced(world: World) -> None:
    writer = world.cluster.writer("id")
    writer.begin()
    writer.send("t", 0, b"k", b"v")
    world.now += 60_000
    assert world.cluster.expire_transactions() == ()
    world.now += 1
    assert world.cluster.expire_transactions() == ("id",)
    assert world.cluster.end("t", 0) == 2
    with pytest.raises(FencedError):
        writer.commit()


def test_a_transaction_expires_by_the_clock_when_anyone_reads(world: World) -> None:
    writer = world.cluster.writer("id")
    writer.begin()
    writer.send("t", 0, b"k", b"v")
    world.append("t", 0, b"k", b"plain")
    reader = world.cluster.reader()
    reader.assign("t", 0, EARLIEST)
    assert reader.read(10, 0) == []
    world.now += 60_001
    assert [record.value for record in reader.read(10, 0)] == [b"plain"]


def test_an_idle_writer_does_not_expire(world: World) -> None:
    writer = world.cluster.writer("id")
    world.now += 1_000_000
    writer.begin()
    writer.send("t", 0, b"k", b"v")
    writer.commit()
    assert world.offsets() == [0]


def test_compaction_leaves_the_active_segment_alone(world: World) -> None:
    world.append("t", 0, b"k", b"1")
    world.cluster.roll("t", 0)
    world.append("t", 0, b"k", b"2")
    world.now += 11
    world.cluster.compact("t", 0)
    assert world.offsets() == [0, 1]


def test_compaction_stops_at_the_lag_and_at_an_open_transaction(world: World) -> None:
    world.append("t", 0, b"k", b"1")
    world.append("t", 0, b"k", b"2")
    world.now += 10
    world.append("t", 0, b"k", b"3")
    assert world.compact() == [1, 2]  # 3 is too young, so it does not make 2 old either
    writer = world.cluster.writer("id")
    writer.begin()
    writer.send("t", 0, b"other", b"inside")
    world.append("t", 0, b"k", b"4")
    world.now += 11
    world.compact()
    writer.commit()
    assert world.offsets() == [2, 3, 4]


def test_a_tombstone_outlives_its_values_by_its_retention(world: World) -> None:
    world.append("t", 0, b"k", b"1")
    world.append("t", 0, b"k", None)
    world.now += 11
    assert world.compact() == [1]
    world.now += 100
    assert world.compact() == [1]
    world.now += 1
    assert world.compact() == []


def test_a_member_that_does_not_poll_keeps_its_old_view(world: World) -> None:
    first, second = world.cluster.join("g", "t"), world.cluster.join("g", "t")
    assert first.poll(0) == [Assigned(frozenset(range(4)))]
    assert [second.poll(0) for _ in range(3)] == [[], [], []]
    assert first.poll(0) == [Revoked(frozenset({2, 3}))]
    assert second.poll(0) == [Assigned(frozenset({2, 3}))]


def test_a_member_whose_session_lapsed_learns_it_at_its_next_poll(world: World) -> None:
    first, second = world.cluster.start("one").join("g", "t"), world.cluster.start("two").join("g", "t")
    first.poll(0)
    world.now += 10_000
    second.poll(0)
    assert world.cluster.lose_silent("g", 9_000) == ("one-1",)
    assert second.poll(0) == [Assigned(frozenset(range(4)))]
    assert first.poll(0) == [Revoked(frozenset(range(4)), lost=True)]
    assert first.poll(0) == []
    assert second.poll(0) == [Revoked(frozenset({2, 3}))]
    assert first.poll(0) == [Assigned(frozenset({2, 3}))]
    world.cluster.lose("g", "two")
    assert [member.process for member in world.cluster.members("g")] == ["one"]


def test_a_topic_that_grows_is_shared_out_again(world: World) -> None:
    member = world.cluster.join("g", "later")
    assert member.poll(0) == []
    world.cluster.admin().create("later", 3, 1, {})
    assert member.poll(0) == [Assigned(frozenset(range(3)))]


def test_what_may_not_be_described_is_said_to_be_so(world: World) -> None:
    world.cluster.restrict("t", writable=False)
    assert not world.cluster.admin().describe(["t"])["t"].writable
    world.cluster.restrict("t", error="TOPIC_AUTHORIZATION_FAILED")
    assert world.cluster.admin().describe(["t"])["t"].error == "TOPIC_AUTHORIZATION_FAILED"


def test_a_poll_and_a_read_that_wait_are_woken(world: World) -> None:
    member, reader = world.cluster.join("g", "later"), world.cluster.reader()
    reader.assign("later", 0, EARLIEST)

    def write() -> None:
        world.cluster.admin().create("later", 1, 1, {})
        world.append("later", 0, b"k", b"v")

    thread = threading.Timer(0.05, write)
    thread.start()
    assert member.poll(20) == [Assigned(frozenset({0}))]
    assert [record.value for record in reader.read(1, 20)] == [b"v"]
    thread.join()


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=20), st.integers(0, 13))
def test_partitions_are_shared_out_evenly_and_wholly(steps: list[tuple[bool, int]], partitions: int) -> None:
    shares: dict[str, set[int]] = {}
    for joins, number in steps:
        if joins:
            shares.setdefault(f"m{number}", set())
        else:
            shares.pop(f"m{number}", None)
        before, shares = shares, balance(shares, partitions)
        if shares:
            assert sorted(p for share in shares.values() for p in share) == list(range(partitions))
            counts = [len(share) for share in shares.values()]
            assert max(counts) - min(counts) <= 1
        for name, share in shares.items():
            kept = len(share & before[name])
            assert kept == min(len(before[name]), len(share))  # nobody gives up more than the balance asks for
