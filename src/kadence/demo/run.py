"""``kadence demo``: a broker, a worker and a few lively jobs in one process, and their executions as they commit."""

from __future__ import annotations

import json
import shutil
import sys
import threading
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Final

from kadence.client import Client
from kadence.clock import SystemClock
from kadence.demo.mock_broker import EMBEDDED_BROKER, MockBroker
from kadence.domain.duration import format_time
from kadence.domain.spec import compact_json
from kadence.log.kafka import KafkaLog
from kadence.log.port import LATEST
from kadence.log.topics import DEFAULT_NAMESPACE, EVERY_TOPIC, namespace_option
from kadence.settings import Settings
from kadence.wire.control import key_of
from kadence.worker.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kadence.log.port import Log, Record

NAMESPACE: Final = "kadence-demo"
"""Where the demo plays on a cluster of yours, unless told otherwise."""
SHARDS: Final = 4
"""Few, for the demo's own broker: every shard has a producer with threads of its own."""
JOBS: Final[Mapping[str, Mapping[str, object]]] = {
    "heartbeat": {"schedule": {"every": "2s"}, "tags": ["critical"], "description": "every two seconds"},
    "invoices": {"schedule": {"cron": "*/5 * * * * *"}, "payload": {"month": "2026-11"}, "tags": ["billing"]},
    "cleanup": {"schedule": {"every": "10s", "offset": "1s"}, "jitter": "3s", "tags": ["batch"]},
}
_SHOWN: Final = {
    "job.paused": "paused",
    "job.resumed": "resumed",
    "job.errored": "errored",
    "record.rejected": "rejected",
}
_TAKE_AWAY_SECONDS: Final = 10.0
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

    There it keeps to a namespace of its own unless told otherwise, and deletes its jobs at the end; the topics stay.
    Raises `kadence.errors.KadenceError` where the cluster cannot be used.
    """
    stop = stop or threading.Event()
    namespace = namespace or (DEFAULT_NAMESPACE if bootstrap_servers is None else NAMESPACE)
    with ExitStack() as stack:
        if bootstrap_servers is None:
            broker = stack.enter_context(MockBroker())
            servers, embedded = broker.bootstrap_servers, True
            broker.create_topic(EMBEDDED_BROKER, 1)
            broker.create_topic(f"{namespace}.control", 1)
            for name in ("state", "executions", "outcomes", "events", "dead_letters"):
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
            for topic in ("executions", "events"):
                reader.assign(f"{namespace}.{topic}", partition, LATEST)
        if not embedded:
            stack.callback(_take_away, say, log, servers, namespace)
        for name, spec in JOBS.items():
            appender.append(f"{namespace}.control", 0, key_of("job", name), compact_json(spec))
        clock = SystemClock()
        ends = None if duration is None else clock.monotonic() + int(duration * 1000)
        with suppress(KeyboardInterrupt):
            while not stop.is_set() and (ends is None or clock.monotonic() < ends):
                for line in map(_line, reader.read(1_000, 0.2)):
                    if line is not None:
                        say(line)
        say("The demo ends.")


def _take_away(say: Callable[[str], None], log: Log, servers: str, namespace: str) -> None:
    """Leave no jobs behind on somebody's cluster, and say what stays. The worker still runs, and sees to it."""
    names = ", ".join(JOBS)
    with Client(log=log, namespace=namespace) as client:
        deletions = [command for name in JOBS for command in client.deletion(name)]
        done = client.submit(deletions, wait=_TAKE_AWAY_SECONDS)
    if all(one.in_force for one in done):
        say(f"Its jobs are deleted: {names}.")
    else:
        say(f"Its jobs ({names}) will be deleted once a worker runs; that is recorded.")
    say(f"The topics of namespace {namespace} stay, with what was executed.")
    if namespace == NAMESPACE:
        suffixes = "|".join(plan.suffix for plan in EVERY_TOPIC)
        say("To delete them, once no demo runs any more:")
        say(f"  kafka-topics.sh --bootstrap-server {servers} --delete --topic '{namespace}\\.({suffixes})'")


def _introduce(say: Callable[[str], None], servers: str, namespace: str, worker: Worker, *, embedded: bool) -> None:
    say(f"kadence demo: {'an embedded broker' if embedded else 'the cluster'} at {servers}, {len(JOBS)} jobs")
    if embedded:
        say(_NOTICE)
    if worker.port is not None:
        say(f"metrics: http://127.0.0.1:{worker.port}/metrics")
    say("Pause a job from a second terminal, by any Kafka client or by the CLI:")
    say(f"""  echo 'pause/heartbeat|{{"paused":true}}' | kcat -P -b {servers} -t {namespace}.control -K '|'""")
    program = "kadence" if shutil.which("kadence") else sys.argv[0]  # `make demo` runs it out of a virtual environment
    where = f"--bootstrap-servers {servers}" + namespace_option(namespace)
    say(f"  {program} {where} pause heartbeat --reason 'a first try'")
    say(f"  {program} {where} resume heartbeat")
    say("Executions as they commit (Ctrl-C ends):")


def _line(record: Record) -> str | None:
    """An execution with its id and payload, or one of the events that answer to what somebody at this desk wrote."""
    headers = {name: value.decode() for name, value in record.headers}
    what, told = headers.get("ce_id", "?"), (record.value or b"").decode("utf-8", "replace")
    if record.topic.endswith(".events"):
        kind = headers.get("ce_type", "").removeprefix("kadence.").removesuffix(".v1")
        if kind not in _SHOWN:
            return None
        event = json.loads(told)
        what = event.get("key") or (record.key or b"").decode("utf-8", "replace")
        told = f"{_SHOWN[kind]}{': ' if event.get('reason') else ''}{event.get('reason') or ''}"
    return f"{format_time(record.timestamp):<25} {what:<40} {told}"
