"""A broker that also listens behind a proxy, for what happens to a commit on its way."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from kadence.testing.broker import AUTHORIZER, Cluster, java_available
from tests.conftest import BROKER_CACHE
from tests.log.bench_kafka import KafkaBench
from tests.log.bench_memory import MemoryBench
from tests.log.endtxn_proxy import EndTxnProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.log.bench import Bench


@pytest.fixture(scope="session")
def make_kafka_bench() -> Iterator[Callable[[], KafkaBench]]:
    """What makes a bench on one real node, with a second listener that is advertised at a proxy's port."""
    if not java_available():
        if os.environ.get("CI"):
            pytest.fail("CI needs Java and Maven for a real broker")
        pytest.skip("needs Java and Maven for a real broker")
    port, controller, proxied, hidden = _free_ports(4)
    properties = dict(AUTHORIZER) | {
        "listeners": f"PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{hidden},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{proxied}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
        # A commit held back is delivered before its transaction times out at the coordinator.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "3600000",
    }
    with (
        Cluster(1, properties=properties, cache=BROKER_CACHE, ports=[port, controller]) as node,
        EndTxnProxy(proxied, hidden) as proxy,
    ):
        yield lambda: KafkaBench(node.bootstrap_servers, f"127.0.0.1:{proxied}", proxy)


@pytest.fixture
def bench(request: pytest.FixtureRequest, implementation: str) -> Iterator[Bench]:
    """A bench of the ``implementation`` that the test is parametrized with."""
    if implementation == "memory":
        yield MemoryBench()
        return
    kafka: KafkaBench = request.getfixturevalue("make_kafka_bench")()
    yield kafka
    kafka.close()


def _free_ports(count: int) -> list[int]:
    """Distinct loopback ports that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]
