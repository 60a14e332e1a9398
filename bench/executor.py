"""How many runs of an empty async handler an executor ends per second, beside what a bare client would.

The yardstick is what anyone would write with confluent-kafka alone, and it keeps its promises: consume, await one
coroutine, produce one outcome per record that says as much as the executor's, and commit what is delivered. Both are
given the same backlog, in a process each, and are measured alike: by the broker's time of their outcomes, from the
first to the last.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import Consumer, KafkaError, Message, Producer

from kadence import App
from kadence.clock import SystemClock
from kadence.domain.duration import format_time
from kadence.domain.partition import partition_for
from kadence.log.kafka import KafkaLog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.cluster.stage import Stage

RUNS: Final = 200_000
ROUNDS: Final = 3
_JOBS: Final = 100
_SHARDS: Final = 12
_BATCH: Final = 500

app = App("bench", defaults={"breaker": {"failures": 0}})
unasked = App("bench", defaults={"breaker": {"failures": 0}}, run_paused_backlog=True)
"""The same, but that it does not look whether the job of a run that waited is paused: nor does the bare client."""


async def handler() -> None:
    """Nothing, which is what is left when everything else is measured."""


for _number in range(_JOBS):
    for _app in (app, unasked):
        _app.job(f"job-{_number:03d}", at="2100-01-01T00:00:00Z")(handler)


def measure(stage: Stage, kind: str) -> tuple[float, float]:
    """(the runs per second of an executor of this kind, the yardstick's)."""
    stage.topics(_SHARDS, read=[])
    backlog(stage.bootstrap_servers, stage.namespace)
    return _rate(stage, kind), _rate(stage, "yardstick")


def _rate(stage: Stage, kind: str) -> float:
    """Runs per second, by the broker's time of their outcomes; these are read afterwards, so as to disturb nobody."""
    before = _ends(stage)
    command = [sys.executable, "-m", "bench.executor", kind, stage.bootstrap_servers, stage.namespace]
    with subprocess.Popen(command, cwd=Path(__file__).parents[1]) as process:  # noqa: S603
        pause, clock = threading.Event(), SystemClock()
        deadline = clock.monotonic() + 300_000
        while sum(_ends(stage).values()) - sum(before.values()) < RUNS:
            if process.poll() is not None or clock.monotonic() > deadline:
                message = f"the {kind} did not end all runs"
                raise AssertionError(message)
            pause.wait(0.2)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    times = sorted(_times(stage, before))
    return len(times) / max(times[-1] - times[0], 1) * 1000


def _ends(stage: Stage) -> dict[int, int]:
    """Where each partition of the outcomes ends."""
    reader = KafkaLog(stage.bootstrap_servers).reader()
    try:
        return {number: reader.bounds(f"{stage.namespace}.outcomes", number, 30)[1] for number in range(_SHARDS)}
    finally:
        reader.close()


def _times(stage: Stage, begins: Mapping[int, int]) -> Iterator[int]:
    """The broker's time of each outcome from there on."""
    reader, topic = KafkaLog(stage.bootstrap_servers).reader(), f"{stage.namespace}.outcomes"
    for number, begin in begins.items():
        end = reader.bounds(topic, number, 30)[1]
        reader.assign(topic, number, begin)
        while reader.position(topic, number) < end:
            yield from (one.timestamp for one in reader.read(10_000, 1.0))
        reader.unassign(topic, number)
    reader.close()


def backlog(servers: str, namespace: str) -> None:
    """Executions of a hundred jobs, as a worker writes them."""
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 20, "compression.type": "lz4"})
    begin = SystemClock().wall() // 1000 * 1000
    for number in range(RUNS):
        job, time = f"job-{number % _JOBS:03d}", format_time(begin + number // _JOBS * 1000)
        headers: list[tuple[str, str | bytes | None]] = [
            ("ce_specversion", b"1.0"),
            ("ce_type", b"kadence.execution.v1"),
            ("ce_source", f"/kadence/{namespace}".encode()),
            ("content-type", b"application/json"),
            ("kadence-app", b"bench"),
            ("ce_id", f"{job}@{time}".encode()),
            ("ce_subject", job.encode()),
            ("ce_time", time.encode()),
        ]
        partition = partition_for(job.encode(), _SHARDS)
        while True:
            try:
                producer.produce(f"{namespace}.executions", b"null", job.encode(), partition, headers=headers)
            except BufferError:
                producer.poll(0.1)
            else:
                break
    producer.flush(60)


async def yardstick(servers: str, namespace: str, stop: asyncio.Event) -> None:
    """The bare client."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": f"{namespace}.yardstick",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    failed: list[KafkaError] = []

    def reported(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failed.append(error)

    producer = Producer(
        {
            "bootstrap.servers": servers,
            "enable.idempotence": True,
            "linger.ms": 5,
            "compression.type": "lz4",
            "on_delivery": reported,
        }
    )
    consumer.subscribe([f"{namespace}.executions"])
    clock, executor = SystemClock(), f"{socket.gethostname()}-{os.getpid()}"
    committed = clock.monotonic()
    while not stop.is_set():
        for message in consumer.consume(_BATCH, 0.1):
            headers: dict[str, Any] = dict(message.headers() or [])
            began = datetime.now(UTC)  # noqa: TID251  as anyone would write it
            await handler()
            outcome = {
                "id": headers["ce_id"].decode(),
                "status": "succeeded",
                "started_at": began.isoformat(timespec="milliseconds"),
                "finished_at": datetime.now(UTC).isoformat(timespec="milliseconds"),  # noqa: TID251  the same
                "executor": executor,
            }
            producer.produce(
                f"{namespace}.outcomes", json.dumps(outcome).encode(), message.key(), message.partition() or 0
            )
        producer.poll(0)
        if clock.monotonic() - committed > 1_000:  # noqa: PLR2004  as often as the executor
            committed = clock.monotonic()
            producer.flush()
            if not failed and consumer.assignment():
                consumer.commit(asynchronous=False)
        await asyncio.sleep(0)
    consumer.close()


async def _yardstick(servers: str, namespace: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await yardstick(servers, namespace, stop)


def main() -> None:
    """Be one of the two processes."""
    kind, servers, namespace = sys.argv[1:]
    if kind == "yardstick":
        asyncio.run(_yardstick(servers, namespace))
        return
    from kadence.executor.executor import Executor  # noqa: PLC0415
    from kadence.settings import Settings  # noqa: PLC0415

    Executor(
        app if kind == "executor" else unasked, Settings(bootstrap_servers=servers, namespace=namespace), health=False
    ).run()


if __name__ == "__main__":
    main()
