"""What a process finds out about target topics, how often it looks, and what it believes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from typing_extensions import override

from kadence.errors import UnreachableError
from kadence.log.memory import MemoryLog
from kadence.worker.targets import EVERY, EVERY_WHILE_LOST, GLANCE_EVERY, REFUSALS_FORGOTTEN, Targets
from tests.sim.times import BrokerTime, MachineClock

if TYPE_CHECKING:
    from collections.abc import Collection

    from kadence.log.port import TopicInfo

TOPIC: Final = "billing"


class Asked:
    """An admin client that remembers what it was asked, and can be cut off."""

    def __init__(self, log: MemoryLog) -> None:
        self._admin = log.admin()
        self.questions: list[tuple[str, bool]] = []
        self.reachable = True

    def describe(self, topics: Collection[str], *, timeout: float = 10.0, config: bool = True) -> dict[str, TopicInfo]:
        if not self.reachable:
            raise UnreachableError("nobody answers")
        self.questions += [(topic, config) for topic in sorted(topics)]
        return self._admin.describe(topics, timeout=timeout, config=config)


class Bench:
    def __init__(self) -> None:
        self.time = BrokerTime()
        self.log = MemoryLog(self.time)
        self.log.set_brokers(3)
        self.log.admin().create(TOPIC, 2, 3, {"min.insync.replicas": "2"})
        self.admin = Asked(self.log)
        self.targets = Targets(self.admin, MachineClock(self.time))  # type: ignore[arg-type]  # describe is all it asks
        self.targets.ensure([TOPIC])

    def after(self, ms: int) -> str | None:
        """What is known of the topic some time later."""
        self.time.advance(ms)
        self.targets.refresh()
        return self.targets.problem(TOPIC)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_topic_is_looked_at_whole_every_minute_and_glanced_at_in_between(bench: Bench) -> None:
    assert bench.after(GLANCE_EVERY - 1) is None
    assert bench.admin.questions == [(TOPIC, True)]
    for _ in range(EVERY // GLANCE_EVERY):
        bench.after(GLANCE_EVERY)
    whole = [config for _, config in bench.admin.questions]
    assert whole.count(True) == 2
    assert whole.count(False) == EVERY // GLANCE_EVERY - 1
    bench.targets.ensure([TOPIC])
    assert len(bench.admin.questions) == len(whole), "what is known is not asked for again"


def test_a_partition_without_a_leader_is_noticed_at_a_glance_and_so_is_its_return(bench: Bench) -> None:
    bench.log.set_available(TOPIC, 1, available=False)
    before = bench.targets.version
    assert bench.after(GLANCE_EVERY) == "cannot be written: 1 of its 2 partitions have no leader"
    assert bench.targets.version > before
    bench.log.set_available(TOPIC, 1, available=True)
    assert bench.after(EVERY_WHILE_LOST) is None


def test_fewer_replicas_in_sync_than_a_write_needs_are_a_problem(bench: Bench) -> None:
    bench.log.admin().alter(TOPIC, {"min.insync.replicas": "4"})
    assert bench.after(GLANCE_EVERY) is None, "a glance does not see settings"
    assert bench.after(EVERY) == "cannot be written: a partition has 3 replicas in sync, min.insync.replicas is 4"
    bench.log.admin().alter(TOPIC, {"min.insync.replicas": "2"})
    assert bench.after(EVERY_WHILE_LOST) is None


def test_a_deleted_topic_and_a_lost_right_are_noticed_at_a_glance(bench: Bench) -> None:
    bench.log.restrict(TOPIC, writable=False)
    assert bench.after(GLANCE_EVERY) == "may not be written: this worker lacks the WRITE permission"
    bench.log.restrict(TOPIC)
    assert bench.after(EVERY_WHILE_LOST) is None
    bench.log.delete(TOPIC)
    assert bench.after(GLANCE_EVERY) == "does not exist"


def test_a_cluster_that_does_not_answer_changes_nothing_that_is_known(bench: Bench) -> None:
    bench.admin.reachable = False
    assert bench.after(EVERY) is None
    bench.targets.ensure(["unknown"])
    assert bench.targets.problem("unknown") == "could not be looked up: nobody answers"
    bench.admin.reachable = True
    bench.after(EVERY_WHILE_LOST)
    assert bench.targets.problem("unknown") == "does not exist"


def test_a_topic_that_refuses_although_it_looks_well_is_believed_later_each_time(bench: Bench) -> None:
    waits = []
    for _ in range(6):
        bench.targets.refused(TOPIC, "the broker's own rule")
        refused = bench.time.now
        while bench.targets.problem(TOPIC) is not None:
            bench.after(EVERY_WHILE_LOST)
        waits.append(bench.time.now - refused)
    assert waits == [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]
    bench.after(REFUSALS_FORGOTTEN)
    bench.targets.refused(TOPIC, "the broker's own rule")
    assert bench.after(EVERY_WHILE_LOST) is None, "one refusal in a long while is forgiven soon"


def test_where_the_broker_cannot_be_asked_every_target_is_taken_as_it_is() -> None:
    time = BrokerTime()

    class Mute(Asked):
        @override
        def describe(
            self, topics: Collection[str], *, timeout: float = 10.0, config: bool = True
        ) -> dict[str, TopicInfo]:
            raise AssertionError

    targets = Targets(Mute(MemoryLog(time)), MachineClock(time), enabled=False)  # type: ignore[arg-type]  # as above
    targets.ensure([TOPIC])
    time.advance(EVERY)
    targets.refresh()
    assert targets.problem(TOPIC) is None
