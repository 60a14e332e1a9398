"""``make bench``: the figures of a worker on a real broker on this machine, as Markdown.

``python -m bench.figures [failover] [pause] [rate] [executor]``; all of them without arguments. Times of events are
broker times, and of signals this machine's clock, which is the broker's, too.
"""

from __future__ import annotations

import os
import sys
import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING

from bench import executor, failover, pause, rate
from kadence.testing.broker import Cluster, kafka_version
from tests.cluster.stage import Stage
from tests.conftest import BROKER_CACHE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def percentiles(values: Sequence[float]) -> tuple[float, float]:
    """(p50, p99) of at least two values."""
    cuts = quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98]


def main() -> None:
    """Measure what was asked for, or everything, and print a table."""
    wanted = sys.argv[1:] or ["failover", "pause", "rate", "executor"]
    with Cluster(1, properties={"group.min.session.timeout.ms": "1000"}, cache=BROKER_CACHE) as cluster:
        _say(f"Apache Kafka {kafka_version()}, one node; {os.cpu_count()} cores for broker, workers and reader.\n")
        if wanted != ["executor"]:
            _say("| figure | n | p50 | p99 |\n|---|---:|---:|---:|")
        if "failover" in wanted:
            for signal in failover.SIGNALS:
                with _stage(cluster) as stage:
                    _row(f"{signal} to the new owner's first execution", failover.measure(stage, signal))
        if "pause" in wanted:
            with _stage(cluster) as stage:
                _row("pause record sent to its acknowledgement seen", pause.measure(stage))
        if "rate" in wanted:
            for jobs in (1, 10_000):
                with _stage(cluster) as stage:
                    _row(f"lateness at {jobs:,} due per second for {rate.SECONDS} s", rate.measure(stage, jobs))
        if "executor" in wanted:
            _compare(cluster)


def _compare(cluster: Cluster) -> None:
    """The executor and its yardstick, in turn, so that both meet the same moods of the machine."""
    _say("\n| runs of an empty async handler | executor | bare client | ratio |\n|---|---:|---:|---:|")
    for kind, told in (("unasked", "as they come"), ("executor", "a backlog, whose jobs are looked at")):
        for _ in range(executor.ROUNDS):
            with _stage(cluster) as stage:
                ours, bare = executor.measure(stage, kind)
                _say(f"| {executor.RUNS:,}, {told} | {ours:,.0f}/s | {bare:,.0f}/s | {ours / bare:.2f} |")


@contextmanager
def _stage(cluster: Cluster) -> Iterator[Stage]:
    with tempfile.TemporaryDirectory() as directory:
        stage = Stage(cluster.bootstrap_servers, f"b{uuid.uuid4().hex[:12]}", Path(directory))
        try:
            yield stage
        finally:
            stage.close()


def _row(name: str, milliseconds: Sequence[int]) -> None:
    middle, worst = percentiles(milliseconds)
    _say(f"| {name} | {len(milliseconds):,} | {middle:,.0f} ms | {worst:,.0f} ms |")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
