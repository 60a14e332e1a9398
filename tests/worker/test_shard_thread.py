"""Threads that follow one another on the same shard of one process, and what wakes them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import pytest

from kadence.clock import SystemClock
from kadence.log.memory import MemoryLog
from kadence.metrics import Metrics
from kadence.wire import outcome
from kadence.worker.environment import Environment
from kadence.worker.shard_thread import ShardThread
from kadence.worker.tail import Tail
from kadence.worker.targets import Targets
from tests.sim.bench import OUTCOMES
from tests.sim.machine import NAMESPACE
from tests.sim.world import create_topics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kadence.errors import KadenceError
    from kadence.log.memory import MemoryProcess
    from kadence.log.memory.writer import MemoryWriter

_PATIENCE: Final = 30.0


class Gate:
    """A process's log; whoever takes a transactional id over waits at the gate while it is shut."""

    def __init__(self, process: MemoryProcess) -> None:
        self._process = process
        self.open = threading.Event()
        self.open.set()
        self.waiting = threading.Semaphore(0)
        self.reader, self.appender, self.admin = process.reader, process.appender, process.admin

    def writer(self, transactional_id: str) -> MemoryWriter:
        self.waiting.release()
        assert self.open.wait(_PATIENCE)
        return self._process.writer(transactional_id)


class Bench:
    """One shard on a memory log in real time, its tail fed by a thread."""

    def __init__(self) -> None:
        clock = SystemClock()
        self.cluster = MemoryLog(clock.wall)
        create_topics(self.cluster, 1)
        self.log = Gate(self.cluster.start("worker"))
        self.client = self.cluster.start("client").appender()
        admin = self.log.admin()
        self.failures: list[KadenceError] = []
        self.environment = Environment(
            log=self.log,  # type: ignore[arg-type]  # nobody joins a group here
            clock=clock,
            namespace=NAMESPACE,
            shards=1,
            worker="worker",
            control_topic_id=lambda: admin.describe([f"{NAMESPACE}.control"])[f"{NAMESPACE}.control"].topic_id,
            tail=Tail(self.log.reader(), NAMESPACE, 1),
            targets=Targets(admin, clock),
            appender=self.log.appender(),
            metrics=Metrics(),
            nonce=iter(map(str, range(1_000))).__next__,
        )
        self._ended = threading.Event()
        self._feeder = threading.Thread(target=self._feed)
        self._feeder.start()

    def _feed(self) -> None:
        while not self._ended.is_set():
            self.environment.tail.poll(0.05)

    def thread(self, predecessor: ShardThread | None = None) -> ShardThread:
        thread = ShardThread(self.environment, 0, self.failures.append, predecessor)
        thread.start()
        return thread

    def until(self, what: Callable[[], bool]) -> None:
        clock, pause = SystemClock(), threading.Event()
        deadline = clock.monotonic() + _PATIENCE * 1000
        while not what():
            assert clock.monotonic() < deadline
            pause.wait(0.005)

    def close(self) -> None:
        self.log.open.set()
        self._ended.set()
        self._feeder.join()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def test_a_thread_begins_when_its_predecessor_has_let_go_and_keeps_what_is_its_own(bench: Bench) -> None:
    bench.log.open.clear()
    first = bench.thread()
    assert bench.log.waiting.acquire(timeout=_PATIENCE), "the first takes the shard over"
    first.signal_stop()  # revoked, and given back at once, while it is still at it
    second = bench.thread(first)
    assert not bench.log.waiting.acquire(timeout=0.05), "the second does not begin meanwhile"
    bench.log.open.set()
    bench.until(lambda: second.problem is None)
    assert first.problem is not None

    bench.client.append(OUTCOMES, 0, b"a", outcome.encode("a@2026-01-01T00:00:00Z", "failed"))
    book = second.book
    assert book is not None
    bench.until(lambda: book.cursor.outcomes == 1)  # the first, as it ended, did not take the outcomes away
    second.signal_stop()
    second.join(_PATIENCE)
    assert not bench.failures


def test_news_wakes_a_shard_that_was_taken_over_again(bench: Bench) -> None:
    woken = threading.Event()
    tail = bench.environment.tail
    tail.listen(0, woken.set)
    tail.outcomes.follow(0, 0)
    tail.outcomes.leave(0)  # as a runner does when it throws everything away
    tail.outcomes.follow(0, 0)
    bench.client.append(f"{NAMESPACE}.control", 0, b"pause/a", b'{"paused": true}')
    assert woken.wait(_PATIENCE)
    tail.unlisten(0)
    woken.clear()
    bench.client.append(f"{NAMESPACE}.control", 0, b"pause/a", b'{"paused": false}')
    end = bench.cluster.end(f"{NAMESPACE}.control", 0)
    bench.until(lambda: tail.position == end)
    assert not woken.is_set()
