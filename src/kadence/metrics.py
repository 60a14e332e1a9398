"""What Prometheus is told. Counts are plain numbers under one lock; metric families are made when somebody scrapes.

So a commit of 10,000 executions costs one pass in C over their causes and one bucket search per firing instant, and
every series that can be known beforehand is there from the start, with 0. The gauges over jobs: `metrics_jobs`.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from itertools import accumulate, product
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from typing_extensions import override

from kadence.domain.job import State
from kadence.metrics_jobs import OWNED, JobGauges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from kadence.clock import Clock
    from kadence.domain.book import Book
    from kadence.domain.decision import Decision

_EVERY: Final = "every replica: max()"

_LATENESS_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
_TAKEOVER_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)

_CAUSES: Final = [(cause,) for cause in ("schedule", "catch_up", "backfill", "trigger", "retry", "probe")]
_MISSED: Final = [(reason,) for reason in ("latest", "past", "skip", "window")]
_RUN_BUCKETS: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0)
_DROPPED: Final = [(reason,) for reason in ("deleted", "errored", "held", "overlap", "paused")]
_ENDED: Final = [(status,) for status in ("succeeded", "failed", "timed_out", "cancelled", "expired", "lost")]
_STATUSES: Final = [(status,) for status in ("started", "succeeded", "failed", "cancelled", "expired", "snoozed")]
_RESULTS: Final = [(result,) for result in ("committed", "fenced", "refused", "unclean")]
_KINDS: Final = ("job", "pause", "hold", "trigger", "skip", "backfill")
_RECORDS: Final = [*product(_KINDS, ("applied", "rejected")), ("unknown", "rejected"), ("outcome", "rejected")]
_TRANSITIONS: Final = [
    *product((state.value for state in State), ("created", "probe", "resume", "target", "until")),
    ("paused", "pause"),
    ("paused", "hold"),
    ("running", "release"),
    ("errored", "failures"),
    ("finished", "schedule"),
    ("deleted", "deleted"),
]


class _Counts:
    """One counter metric: its labels and what was counted for each of their values."""

    def __init__(self, name: str, text: str, labels: Sequence[str], known: Iterable[tuple[str, ...]]) -> None:
        self.values: Counter[tuple[str, ...]] = Counter(dict.fromkeys(known, 0))
        self._header = (name, f"{text}; {OWNED}", tuple(labels))

    def family(self) -> Metric:
        """The metric as it stands."""
        name, text, labels = self._header
        family = CounterMetricFamily(name, text, labels=labels)
        for values, count in sorted(self.values.items()):
            family.add_metric(values, count)
        return family


class _Histogram:
    """One histogram that takes any number of equal observations at once. Values in seconds."""

    def __init__(self, name: str, text: str, bounds: Sequence[float]) -> None:
        self._header = (name, f"{text}; {OWNED}")
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float, count: int = 1) -> None:
        """Add ``count`` observations of one value."""
        self._counts[bisect_left(self._bounds, seconds)] += count
        self._sum += seconds * count

    def family(self) -> Metric:
        """The metric as it stands."""
        name, text = self._header
        bounds = [*map(str, self._bounds), "+Inf"]
        return HistogramMetricFamily(name, text, list(zip(bounds, accumulate(self._counts), strict=True)), self._sum)


class Metrics(Collector):
    """The metrics of one process, in a registry of their own. Any thread may call any method."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._lock = threading.Lock()
        self._executions = _Counts("kadence_executions", "Executions committed", ["cause"], _CAUSES)
        self._missed = _Counts(
            "kadence_due_times_missed",
            "Due times older than their job's grace that catch-up leaves out, by policy",
            ["reason"],
            _MISSED,
        )
        self._dropped = _Counts(
            "kadence_due_times_dropped", "Due times not run because of what kept the job", ["reason"], _DROPPED
        )
        self._transitions = _Counts(
            "kadence_job_transitions", "Changes of jobs, by what they became and why", ["to", "reason"], _TRANSITIONS
        )
        self._records = _Counts(
            "kadence_control_records",
            "Records decided; an applied hold counts once per shard, kind outcome is a report that cannot be read",
            ["kind", "result"],
            _RECORDS,
        )
        self._transactions = _Counts("kadence_transactions", "Transactions ended", ["result"], _RESULTS)
        self._lateness = _Histogram(
            "kadence_lateness_seconds",
            "From the firing instant (due time and jitter delay) to the broker's append of the commit's cursor, "
            "catch-up included",
            _LATENESS_BUCKETS,
        )
        self._takeovers = _Histogram(
            "kadence_takeover_duration_seconds", "From a shard's assignment until it can decide", _TAKEOVER_BUCKETS
        )
        self._runs = _Counts("kadence_runs", "Runs that ended, by how", ["status"], _ENDED)
        self._unapplied = _Counts(
            "kadence_outcomes_unapplied",
            "Outcomes that changed nothing: late, a duplicate, or of a run that is not known",
            ["status"],
            _STATUSES,
        )
        self._trips = _Counts("kadence_breaker_trips", "Jobs taken out of service by their failures", (), [()])
        self._letters = _Counts("kadence_dead_letters", "Runs kept as dead letters", (), [()])
        self._durations = _Histogram(
            "kadence_run_duration_seconds", "From start to end of runs that told of both", _RUN_BUCKETS
        )
        self._skew = 0.0
        self._applied = 0
        self._cursors: dict[int, int] = {}
        self.registry.register(self)

    def decided(self, decision: Decision, appended: int) -> None:
        """A decision was committed. ``appended``: broker time (ms) of its cursor, not before any of its executions."""
        causes = Counter(map(attrgetter("cause"), decision.fires))
        with self._lock:
            for cause, count in causes.items():
                self._executions.values[cause,] += count
            for instant, count in decision.instants.items():
                self._lateness.observe(max(appended - instant, 0) / 1000, count)
            for reason, count in decision.missed.items():
                self._missed.values[reason,] += count
            for reason, count in decision.dropped.items():
                self._dropped.values[reason,] += count
            for (to, reason), count in decision.transitions.items():
                self._transitions.values[str(to), reason] += count
            self._records.values.update(decision.records)
            for status, count in decision.ended.items():
                self._runs.values[str(status),] += count
            for status, count in decision.unapplied.items():
                self._unapplied.values[status,] += count
            self._trips.values[()] += decision.trips
            self._letters.values[()] += len(decision.letters)
            for taken in decision.durations:
                self._durations.observe(taken / 1000)

    def transaction(self, result: str) -> None:
        """A transaction ended: ``committed``, ``fenced``, ``refused`` or ``unclean``."""
        with self._lock:
            self._transactions.values[result,] += 1

    def takeover(self, seconds: float) -> None:
        """A shard was taken over in this time."""
        with self._lock:
            self._takeovers.observe(seconds)

    def skew(self, ms: int) -> None:
        """This host's clock is this far from the broker's (ms), in either direction."""
        with self._lock:
            self._skew = abs(ms) / 1000

    def control_applied(self, offset: int) -> None:
        """The control topic is applied up to here; an older offset, of a shard that lags, changes nothing."""
        with self._lock:
            self._applied = max(self._applied, offset)

    def shard_cursor(self, shard: int, through_ms: int) -> None:
        """The cursor of a shard, owned or not, stands at this instant (ms)."""
        with self._lock:
            self._cursors[shard] = through_ms

    def watch(self, books: Callable[[], list[Book]], clock: Clock) -> None:
        """Report on the jobs of these books (the owned shards', as they are at each scrape). Once per process."""
        self.registry.register(JobGauges(books, clock))

    def render(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)

    def negotiate(self, accept: str) -> tuple[bytes, str]:
        """Everything in the format that an ``Accept`` header asks for (OpenMetrics or text), and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    @override
    def collect(self) -> Iterator[Metric]:
        """The hook of the Prometheus client."""
        with self._lock:
            families = [part.family() for part in vars(self).values() if isinstance(part, (_Counts, _Histogram))]
            cursors, applied, skew = sorted(self._cursors.items()), self._applied, self._skew
        yield from families
        yield GaugeMetricFamily(
            "kadence_control_applied_offset",
            f"Every control record below this offset that concerns this worker's shards is decided; {_EVERY}",
            applied,
        )
        yield GaugeMetricFamily(
            "kadence_clock_skew_seconds", f"Distance of this host's clock from the broker's; {_EVERY}", skew
        )
        cursor = GaugeMetricFamily(
            "kadence_shard_cursor_timestamp_seconds",
            f"Every due time before this is decided, as far as this worker knows; {_EVERY}",
            labels=["shard"],
        )
        for shard, through in cursors:
            cursor.add_metric([str(shard)], through / 1000)
        yield cursor
