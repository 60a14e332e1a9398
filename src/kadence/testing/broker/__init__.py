"""A real Apache Kafka for tests and desks: jars by Maven, one or three KRaft nodes as Java processes (POSIX).

Importable without Java; `java_available` says whether a cluster can be started here. As a program:
``python -m kadence.testing.broker [--nodes 3] [--port 9092]``.
"""

from __future__ import annotations

from kadence.testing.broker.cluster import AUTHORIZER, Cluster, server_properties
from kadence.testing.broker.jars import classpath, default_cache, java_available, kafka_version
from kadence.testing.broker.node import Node, known_brokers

__all__ = [
    "AUTHORIZER",
    "Cluster",
    "Node",
    "classpath",
    "default_cache",
    "java_available",
    "kafka_version",
    "known_brokers",
    "server_properties",
]
