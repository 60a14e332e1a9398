"""The embeddable worker from start to stop, on the memory log."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Final

import pytest

from kadence.clock import SystemClock
from kadence.errors import ConfigurationError
from kadence.log.memory import MemoryLog
from kadence.log.topics import init_topics
from kadence.settings import Settings
from kadence.worker.worker import Worker
from tests.sim.machine import NAMESPACE
from tests.sim.world import create_topics

if TYPE_CHECKING:
    from collections.abc import Callable

_PATIENCE_MS: Final = 30_000


@pytest.fixture
def cluster() -> MemoryLog:
    cluster = MemoryLog(SystemClock().wall)
    create_topics(cluster, 2)
    return cluster


def _worker(cluster: MemoryLog, name: str, **settings: object) -> Worker:
    given = {"namespace": NAMESPACE, "worker_id": name, "metrics_host": "127.0.0.1", "metrics_port": 0, **settings}
    return Worker(Settings(**given), log=cluster.start(name))  # type: ignore[arg-type]  # checked by the settings


def _until(what: Callable[[], bool]) -> None:
    clock, pause = SystemClock(), threading.Event()
    deadline = clock.monotonic() + _PATIENCE_MS
    while not what():
        assert clock.monotonic() < deadline
        pause.wait(0.01)


def _threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("kadence")}


def test_a_worker_runs_inside_a_process_and_leaves_nothing_behind(cluster: MemoryLog) -> None:
    worker = _worker(cluster, "one")
    worker.start()
    _until(lambda: worker.not_ready() is None)
    assert worker.shards == 2
    assert worker.not_live() is None
    client = cluster.start("client").appender()
    client.append(f"{NAMESPACE}.control", 0, b"job/tick", b'{"schedule": {"every": "100ms"}}')
    _until(lambda: any(cluster.records(f"{NAMESPACE}.executions", shard) for shard in range(2)))
    worker.stop()
    worker.stop()  # again is no error
    assert cluster.members(f"{NAMESPACE}.workers") == ()
    assert _threads() == set()


def test_a_start_that_fails_gives_back_what_it_had_opened(cluster: MemoryLog) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        worker = _worker(cluster, "one", metrics_port=port)
        with pytest.raises(ConfigurationError, match=f"port {port} is taken"):
            worker.start()
    assert cluster.members(f"{NAMESPACE}.workers") == ()
    assert _threads() == set()


def test_a_start_without_topics_says_what_to_do_and_leaves_nothing_behind() -> None:
    worker = _worker(MemoryLog(SystemClock().wall), "one")
    with pytest.raises(ConfigurationError, match="kadence topics init"):
        worker.start()
    assert _threads() == set()


def test_a_worker_runs_without_a_topic_of_dead_letters_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    cluster = MemoryLog(SystemClock().wall)
    cluster.set_brokers(3)
    init_topics(cluster.admin(), NAMESPACE, 2)
    cluster.delete(f"{NAMESPACE}.dead_letters")
    worker = _worker(cluster, "one")
    worker.start()
    _until(lambda: worker.not_ready() is None)
    worker.stop()
    told = [record.getMessage() for record in caplog.records if "dead_letters does not exist" in record.getMessage()]
    assert told[0].endswith("create it with: kadence topics init")


def test_a_worker_under_which_the_control_topic_is_made_anew_is_not_ready_and_then_stops(
    cluster: MemoryLog, caplog: pytest.LogCaptureFixture
) -> None:
    worker = _worker(cluster, "one")
    worker.start()
    _until(lambda: worker.not_ready() is None)
    cluster.delete(f"{NAMESPACE}.control")
    _until(lambda: "it does not exist; create it with: kadence topics init" in (worker.not_ready() or ""))
    init_topics(cluster.start("operator").admin(), NAMESPACE, 2)
    _until(lambda: _threads() == set())
    assert "was made anew, restored or truncated while this worker ran; start the worker again" in caplog.text
    assert cluster.members(f"{NAMESPACE}.workers") == ()
