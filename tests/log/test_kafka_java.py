"""Java's own producer, which knows nothing of kadence, agrees with it about partitions."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from kadence.domain.partition import partition_for
from kadence.log.kafka import KafkaLog
from kadence.log.port import EARLIEST
from kadence.testing.broker import classpath
from tests.conftest import BROKER_CACHE

if TYPE_CHECKING:
    from kadence.testing.broker import Cluster

pytestmark = pytest.mark.broker

PARTITIONS = 12
KEYS = [
    "21",
    "foobar",
    "abc",
    "a-little-bit-long-string",
    "billing.invoices",
    "über.job",
    *(f"job-{number}" for number in range(50)),
]


def test_javas_console_producer_puts_a_key_where_partition_for_says(broker: Cluster, namespace: str) -> None:
    topic = f"{namespace}.executions"
    log = KafkaLog(broker.bootstrap_servers)
    log.admin().create(topic, PARTITIONS, 1, {})
    subprocess.run(
        [
            *("java", "-Dfile.encoding=UTF-8", "-cp", classpath(BROKER_CACHE)),
            *("org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server", broker.bootstrap_servers),
            *("--topic", topic, "--reader-property", "parse.key=true", "--reader-property", "key.separator=|"),
        ],
        input="".join(f"{key}|value\n" for key in KEYS).encode(),
        check=True,
        timeout=60,
    )
    reader = log.reader()
    for partition in range(PARTITIONS):
        reader.assign(topic, partition, EARLIEST)
    found: dict[str, int] = {}
    while len(found) < len(KEYS):
        records = reader.read(100, 30)
        assert records
        found.update({(record.key or b"").decode(): record.partition for record in records})
    reader.close()
    assert found == {key: partition_for(key.encode(), PARTITIONS) for key in KEYS}
