"""A Kafka cluster of one or three real nodes for tests and desks: everything on loopback, stopped by pid."""

from __future__ import annotations

import secrets
import shutil
import socket
import tempfile
from base64 import urlsafe_b64encode
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from kadence.errors import UnreachableError
from kadence.testing.broker.jars import classpath
from kadence.testing.broker.node import Node

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

AUTHORIZER: Final[Mapping[str, str]] = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}
"""Extra properties with which a test can forbid one topic by an ACL and leave everything else allowed.

For one node only: the nodes of a quorum would have to be super users, and on loopback so would every client.
"""

_PORTS: Final = range(20_000, 32_000)  # below the range from which the system picks ports for clients
_PORT_TRIES: Final = 5


class Cluster:
    """One or more KRaft nodes. ``with Cluster(3) as cluster: ... cluster.bootstrap_servers``."""

    def __init__(
        self,
        nodes: int = 1,
        *,
        properties: Mapping[str, str] | None = None,
        directory: Path | None = None,
        cache: Path | None = None,
        ports: Sequence[int] | None = None,
    ) -> None:
        """``properties`` add to and override `server_properties`; a given ``directory`` is kept."""
        self._count = nodes
        self._extra = dict(properties or {})
        self._owns_directory = directory is None
        self._directory = directory
        self._cache = cache
        self._fixed_ports = None if ports is None else list(ports)
        self.nodes: list[Node] = []

    @property
    def bootstrap_servers(self) -> str:
        """Every node's address, as clients take it."""
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def start(self, timeout: float = 90.0) -> Self:
        """Format, start, return once every node answers and knows the others. Raises `UnreachableError`."""
        jars = classpath(self._cache)
        for _ in range(_PORT_TRIES):
            with ExitStack() as undo:
                undo.callback(self.stop)  # whatever ends this early, a Ctrl-C included
                try:
                    self._start(jars, timeout)
                except UnreachableError as error:
                    # Between looking for a free port and binding it, somebody else may have taken it.
                    if self._fixed_ports is None and "Address already in use" in str(error):
                        continue
                    raise
                undo.pop_all()
                return self
        raise UnreachableError(f"no free ports for the test broker in {_PORTS}")

    def _start(self, jars: str, timeout: float) -> None:
        root = Path(self._directory or tempfile.mkdtemp(prefix="kadence-broker-")).resolve()
        self._directory = root
        taken = self._fixed_ports or []
        ports = [*taken, *_free_ports(2 * self._count - len(taken))]
        listeners, controllers = ports[: self._count], ports[self._count :]
        cluster_id = urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=").replace("-", "A")
        self.nodes = []
        for index, port in enumerate(listeners):
            home = root / f"node-{index + 1}"
            settings = server_properties(index + 1, port, controllers, home / "data") | self._extra
            self.nodes.append(Node(home, port, settings, jars))
        fresh = [node for node in self.nodes if not node.formatted]
        formatting = [(node, node.launch_format(cluster_id)) for node in fresh]
        for node, process in formatting:
            if process.wait(timeout) != 0:
                raise UnreachableError(f"the storage of the test broker was not formatted:\n{node.log_tail()}")
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            node.await_brokers(self._count, timeout)

    def restart(self, index: int, timeout: float = 60.0) -> None:
        """Start a node again, on its data and port, that was stopped or killed (stopped first if it runs)."""
        node = self.nodes[index]
        node.stop()
        node.launch()
        alive = sum(1 for each in self.nodes if each.pid is not None)
        node.await_brokers(alive, timeout)

    def stop(self) -> None:
        """End every node and delete the data, unless the directory was the caller's. Idempotent."""
        for node in self.nodes:  # killed: the data is thrown away, and a quorum cannot say goodbye one by one
            node.kill()
        if self._owns_directory and self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def server_properties(node: int, port: int, controllers: Sequence[int], data: Path) -> dict[str, str]:
    """Return what node ``node`` (from 1) is started with: Kafka's defaults, except where a test would wait.

    ``controllers`` are the controller ports of all nodes in order; with three nodes or more, internal topics
    are replicated three times.
    """
    replication = str(min(3, len(controllers)))
    voters = ",".join(f"{index}@127.0.0.1:{each}" for index, each in enumerate(controllers, start=1))
    return {
        "process.roles": "broker,controller",
        "node.id": str(node),
        "controller.quorum.voters": voters,
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controllers[node - 1]}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": str(data),
        # Internal topics: few partitions, since all are opened before the first group or transaction starts.
        "offsets.topic.replication.factor": replication,
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": replication,
        "transaction.state.log.min.isr": str(max(1, int(replication) - 1)),
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": replication,
        "share.coordinator.state.topic.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",
        # Compaction and retention while a test looks on.
        "log.cleaner.backoff.ms": "200",
        "log.cleaner.dedupe.buffer.size": "16777216",
        "log.retention.check.interval.ms": "500",
        "log.initial.task.delay.ms": "500",
        # A dead node is noticed in seconds, not in the default 9 s, which are for busy machines.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "300",
        "num.network.threads": "2",
        "num.io.threads": "4",
    }


def _free_ports(count: int) -> list[int]:
    """Distinct ports on which nothing listens on loopback right now."""
    choice = secrets.SystemRandom()  # not `random`, which test runners seed alike in parallel processes
    ports: list[int] = []
    while len(ports) < count:
        port = choice.choice(_PORTS)
        with socket.socket() as candidate:
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports
