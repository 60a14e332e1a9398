"""What Prometheus is told of an executor. One thread counts; a scrape may mix moments that lie some µs apart."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from kadence.wire.outcome import STATUSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXECUTOR: Final = "this executor only: sum()"
"""How HELP ends."""
_BUCKETS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0)
_BOUNDS: Final = (*map(str, _BUCKETS), "+Inf")


class ExecutorMetrics(Collector):
    """Counts of one executor. `ended` is for the loop's thread alone, `skipped` for the consumer's."""

    def __init__(self) -> None:
        """Every series is there from the start, with 0."""
        self._runs = dict.fromkeys((status for status in STATUSES if status != "started"), 0)
        self._skipped = dict.fromkeys(("duplicate", "foreign", "unreadable"), 0)
        self._durations = [0] * len(_BOUNDS)
        self._sum = 0.0
        self._in_hand: Callable[[], tuple[int, int]] = _nothing

    def watch(self, in_hand: Callable[[], tuple[int, int]]) -> None:
        """``in_hand`` gives how many runs are at work and how many are queued, at each scrape."""
        self._in_hand = in_hand

    def ended(self, status: str, ran: int | None) -> None:
        """A firing has its final outcome. ``ran``: for how long its handler did (ms); None: it was not called."""
        self._runs[status] += 1
        if ran is not None:
            self._durations[bisect_left(_BUCKETS, ran / 1000) if ran else 0] += 1
            self._sum += ran / 1000

    def skipped(self, reason: str) -> None:
        """A record was passed over without an outcome: ``duplicate``, ``foreign`` or ``unreadable``."""
        self._skipped[reason] += 1

    @override
    def collect(self) -> Iterator[Metric]:
        """The hook of the Prometheus client."""
        runs = CounterMetricFamily("kadence_executor_runs", f"Final outcomes of firings; {EXECUTOR}", labels=["status"])
        for status, count in self._runs.items():
            runs.add_metric([status], count)
        yield runs
        skipped = CounterMetricFamily(
            "kadence_executor_skipped", f"Records passed over without an outcome; {EXECUTOR}", labels=["reason"]
        )
        for reason, count in self._skipped.items():
            skipped.add_metric([reason], count)
        yield skipped
        running, queued = self._in_hand()
        yield GaugeMetricFamily("kadence_executor_running", f"Handlers at work; {EXECUTOR}", running)
        yield GaugeMetricFamily("kadence_executor_queued", f"Runs read from the log that wait; {EXECUTOR}", queued)
        yield HistogramMetricFamily(
            "kadence_executor_run_duration_seconds",
            f"From a handler's call to its end; {EXECUTOR}",
            list(zip(_BOUNDS, accumulate(self._durations), strict=True)),
            self._sum,
        )


def _nothing() -> tuple[int, int]:
    return 0, 0
