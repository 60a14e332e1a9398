"""Every metric moves on a live worker, on a real broker, and promtool has nothing to say about its page."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from typing import TYPE_CHECKING, Final
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families
from typing_extensions import override

from kadence.client import Client
from kadence.clock import SystemClock
from kadence.domain.duration import format_time
from kadence.log.kafka import KafkaLog
from kadence.settings import Settings
from kadence.wire import outcome
from kadence.worker.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kadence.testing.broker import Cluster

pytestmark = pytest.mark.broker

NAMES: Final = {
    "kadence_executions_total",
    "kadence_lateness_seconds_count",
    "kadence_due_times_missed_total",
    "kadence_due_times_dropped_total",
    "kadence_jobs",
    "kadence_job_state",
    "kadence_job_transitions_total",
    "kadence_job_next_due_timestamp_seconds",
    "kadence_jobs_overdue",
    "kadence_control_records_total",
    "kadence_control_applied_offset",
    "kadence_shards_owned",
    "kadence_shard_cursor_timestamp_seconds",
    "kadence_takeover_duration_seconds_count",
    "kadence_transactions_total",
    "kadence_clock_skew_seconds",
}


class FastClock(SystemClock):
    """Three seconds ahead of the broker's, so that there is a skew to show."""

    @override
    def wall(self) -> int:
        return super().wall() + 3_000


def samples(page: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Metric name to labels to value."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def spec(every: str, **more: object) -> Mapping[str, object]:
    """A job that is due every so often."""
    return {"schedule": {"every": every}, **more}


def test_every_metric_moves_on_a_live_worker(broker: Cluster, namespace: str) -> None:
    # One execution per transaction: a crowd that is due ten times a second cannot keep up, and is overdue.
    settings = Settings(
        bootstrap_servers=broker.bootstrap_servers,
        namespace=namespace,
        create_topics=True,
        shards=1,
        metrics_host="127.0.0.1",
        metrics_port=0,
        max_transaction=1,
    )
    worker = Worker(settings, clock=FastClock())
    worker.start()
    try:
        page = scrape(worker)
        before = samples(page)
        with Client(settings=settings, timeout=60) as client:
            client.put("past", {"schedule": {"at": "2020-01-01T00:00:00Z"}})
            client.put("kept", spec("100ms"))
            client.pause("kept")
            client.put("fragile", spec("1s", breaker={"failures": 1}))
            client.trigger("kept")
            report_failure(broker, namespace)
            client.put_all({f"crowd-{number}": spec("100ms") for number in range(100)})
            moved: set[str] = set()
            for number in range(300):
                if number == 30:  # by now it was kept for longer than this clock is ahead
                    client.resume("kept", wait=False)
                page = scrape(worker)
                now = samples(page)
                moved |= {name for name in NAMES if now.get(name) != before.get(name)}
                if moved == NAMES:
                    break
                threading.Event().wait(0.2)
            assert moved == NAMES
        assert worker.not_live() is None
    finally:
        worker.stop()
    promtool = shutil.which("promtool")
    if promtool is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs promtool")
        pytest.skip("needs promtool")
    checked = subprocess.run([promtool, "check", "metrics"], input=page.encode(), capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def report_failure(broker: Cluster, namespace: str) -> None:
    """Say that a run of ``fragile``, due after it was created, has failed."""
    due = 4_000_000_000_000  # any due time after the creation counts
    appender = KafkaLog(broker.bootstrap_servers).appender()
    value = outcome.encode(f"fragile@{format_time(due)}", "failed", error=outcome.failure("ValueError", "no"))
    appender.append(f"{namespace}.outcomes", 0, b"fragile", value)
    appender.close()


def scrape(worker: Worker) -> str:
    """The page as Prometheus reads it."""
    with urlopen(f"http://127.0.0.1:{worker.port}/metrics", timeout=10) as answer:
        body: bytes = answer.read()
    return body.decode()
