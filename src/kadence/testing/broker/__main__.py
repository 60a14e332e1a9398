"""``python -m kadence.testing.broker``: run a real broker at a desk until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kadence.errors import ConfigurationError, KadenceError
from kadence.testing.broker.cluster import Cluster
from kadence.testing.broker.jars import default_cache

if TYPE_CHECKING:
    from collections.abc import Iterable


def main() -> int:
    """Start the cluster that the arguments describe, print its address, and wait to be stopped."""
    parser = argparse.ArgumentParser(prog="kadence.testing.broker", description="Run a real Kafka broker on loopback.")
    parser.add_argument("--nodes", type=int, default=1, help="how many nodes (1 or 3)")
    parser.add_argument("--port", type=int, help="port of the first node; the others follow (default: free ones)")
    parser.add_argument("--data", type=Path, help="keep the data here (default: a temporary directory)")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="where the jars are kept")
    chosen = parser.parse_args()
    ports = None if chosen.port is None else range(chosen.port, chosen.port + chosen.nodes)
    cluster = Cluster(chosen.nodes, directory=chosen.data, cache=chosen.cache, ports=ports)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does, with a clean-up
    try:
        _refuse_taken(ports or ())
        with cluster:
            print(f"Kafka is up at {cluster.bootstrap_servers} (Ctrl-C stops it)", flush=True)  # noqa: T201
            while True:
                signal.pause()
    except KeyboardInterrupt:
        return 0
    except KadenceError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1


def _refuse_taken(ports: Iterable[int]) -> None:
    """Another broker on a port would answer in place of ours. Raises `ConfigurationError`."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Kafka does: ports just left are free
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise ConfigurationError(
                    f"port {port} is taken: {error.strerror}; choose another: PORT=19092"
                ) from None


if __name__ == "__main__":
    sys.exit(main())
