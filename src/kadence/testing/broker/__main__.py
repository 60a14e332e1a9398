"""``python -m kadence.testing.broker``: run a real broker at a desk until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from kadence.errors import KadenceError
from kadence.testing.broker.cluster import Cluster
from kadence.testing.broker.jars import default_cache


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
        with cluster:
            print(f"Kafka is up at {cluster.bootstrap_servers} (Ctrl-C stops it)", flush=True)  # noqa: T201
            while True:
                signal.pause()
    except KeyboardInterrupt:
        return 0
    except KadenceError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1


if __name__ == "__main__":
    sys.exit(main())
