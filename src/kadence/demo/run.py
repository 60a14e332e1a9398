"""``kadence demo``: a broker, a worker and a few lively jobs in one process, and their executions as they commit."""

from __future__ import annotations

import shutil
import sys
import threading
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Final

from kadence.clock import SystemClock
from kadence.demo.mock_broker import MockBroker
from kadence.domain.duration import format_time
from kadence.domain.spec import compact_json
from kadence.log.kafka import KafkaLog
from kadence.log.port import LATEST
from kadence.settings import Settings
from kadence.wire.control import key_of
from kadence.worker.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kadence.log.port import LogAppender, Record

SHARDS: Final = 4
"""Few, for the demo's own broker: every shard has a producer with threads of its own."""
JOBS: Final[Mapping[str, Mapping[str, object]]] = {
    "heartbeat": {"schedule": {"every": "2s"}, "tags": ["critical"], "description": "every two seconds"},
    "invoices": {"schedule": {"cron": "*/5 * * * * *"}, "payload": {"month": "2026-11"}, "tags": ["billing"]},
    "cleanup": {"schedule": {"every": "10s", "offset": "1s"}, "jitter": "3s", "tags": ["batch"]},
}
_NOTICE: Final = (
    "This broker lives in this process: it forgets everything when the demo ends, and it does not isolate\n"
    "transactions, so it shows how kadence works and proves nothing. For that, run it on a real cluster:\n"
    "  kadence demo --bootstrap-servers HOST:9092"
)


def run(
    bootstrap_servers: str | None,
    namespace: str | None,
    duration: float | None,
    say: Callable[[str], None] = print,
    stop: threading.Event | None = None,
) -> None:
    """Run the demo until Ctrl-C, ``stop``, or for ``duration`` seconds; on a cluster of yours if one is given.

    There it keeps to a namespace of its own unless told otherwise, and takes its jobs away at the end.
    Raises `kadence.errors.KadenceError` where the cluster cannot be used.
    """
    stop = stop or threading.Event()
    namespace = namespace or ("kadence" if bootstrap_servers is None else "kadence-demo")
    with ExitStack() as stack:
        if bootstrap_servers is None:
            broker = stack.enter_context(MockBroker())
            servers, embedded = broker.bootstrap_servers, True
            broker.create_topic(f"{namespace}.control", 1)
            for name in ("state", "executions", "outcomes", "events"):
                broker.create_topic(f"{namespace}.{name}", SHARDS)
            # This broker does not wake a waiting fetch, so that a long wait would delay everything.
            settings = Settings(
                bootstrap_servers=servers, namespace=namespace, shards=SHARDS, kafka={"fetch.wait.max.ms": "50"}
            )
        else:
            servers, embedded = bootstrap_servers, False
            settings = Settings(bootstrap_servers=servers, namespace=namespace, create_topics=True)
        worker = Worker(settings, broker_checks=not embedded)
        worker.start()
        stack.callback(worker.stop)
        _introduce(say, servers, namespace, worker, embedded=embedded)
        log = KafkaLog(servers, settings.kafka, client_id="kadence-demo")
        appender = log.appender()
        stack.callback(appender.close)
        reader = log.reader()
        stack.callback(reader.close)
        for partition in range(worker.shards):
            reader.assign(f"{namespace}.executions", partition, LATEST)
        if not embedded:
            stack.callback(_take_away, appender, namespace)
        for name, spec in JOBS.items():
            appender.append(f"{namespace}.control", 0, key_of("job", name), compact_json(spec))
        clock = SystemClock()
        ends = None if duration is None else clock.monotonic() + int(duration * 1000)
        with suppress(KeyboardInterrupt):
            while not stop.is_set() and (ends is None or clock.monotonic() < ends):
                for record in reader.read(1_000, 0.2):
                    say(_line(record))
        say("The demo ends.")


def _take_away(appender: LogAppender, namespace: str) -> None:
    """Leave no jobs behind on somebody's cluster; the topics stay."""
    for name in JOBS:
        appender.append(f"{namespace}.control", 0, key_of("job", name), None)


def _introduce(say: Callable[[str], None], servers: str, namespace: str, worker: Worker, *, embedded: bool) -> None:
    say(f"kadence demo: {'an embedded broker' if embedded else 'the cluster'} at {servers}, {len(JOBS)} jobs")
    if embedded:
        say(_NOTICE)
    if worker.port is not None:
        say(f"metrics: http://127.0.0.1:{worker.port}/metrics")
    say("Pause a job from a second terminal, by any Kafka client or by the CLI:")
    say(f"""  echo 'pause/heartbeat|{{"paused":true}}' | kcat -P -b {servers} -t {namespace}.control -K '|'""")
    program = "kadence" if shutil.which("kadence") else sys.argv[0]  # `make demo` runs it out of a virtual environment
    where = f"--bootstrap-servers {servers}" + ("" if namespace == "kadence" else f" --namespace {namespace}")
    say(f"  {program} {where} pause heartbeat --reason 'a first try'")
    say(f"  {program} {where} resume heartbeat")
    say("Executions as they commit (Ctrl-C ends):")


def _line(record: Record) -> str:
    headers = dict(record.headers)
    payload = (record.value or b"").decode("utf-8", "replace")
    return f"{format_time(record.timestamp):<25} {headers.get('ce_id', b'?').decode():<40} {payload}"
