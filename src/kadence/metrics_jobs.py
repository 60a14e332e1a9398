"""Gauges over the jobs of the owned shards, read out of their books by the scraper's thread at each scrape.

Nothing is locked and nothing is written, so that a scrape cannot delay a due time. What is reported may mix moments
that lie some milliseconds apart.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from heapq import nsmallest
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Final, TypeVar

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from kadence.domain.job import Fitness, Operator, Stage, State, effective_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from kadence.clock import Clock
    from kadence.domain.book import Book
    from kadence.domain.job import Job
    from kadence.domain.spec import Timing
    from kadence.domain.timetable import Group

MAX_JOB_SERIES: Final = 1_000
"""Jobs that get series of their own, per process."""
OVERDUE: Final = 1_000
"""Milliseconds after its firing instant from which an undecided due time counts as overdue."""
OWNED: Final = "owned shards only: sum()"
"""How HELP ends for what one replica knows of its own shards."""

_CAPPED: Final = f"at most {MAX_JOB_SERIES} jobs per worker, the first by name, have one"
_OVERDUE_TEXT: Final = (
    f"Running jobs with a due time or a catch-up that should have been decided more than {OVERDUE // 1000} s ago"
)
_STATES: Final = tuple(State)

_by_name = attrgetter("name")
_Value = TypeVar("_Value")


class JobGauges(Collector):
    """How many jobs are in which state, what each of the first thousand is up to, and how many are late."""

    def __init__(self, books: Callable[[], list[Book]], clock: Clock) -> None:
        self._books = books
        self._clock = clock

    @override
    def collect(self) -> Iterator[Metric]:
        """The hook of the Prometheus client."""
        surveys = [_Survey(book, self._clock.wall()) for book in self._books()]
        states: Counter[State] = Counter()
        for survey in surveys:
            states.update(survey.states())
        count = GaugeMetricFamily("kadence_jobs", f"Jobs by effective state; {OWNED}", labels=["state"])
        for state in _STATES:
            count.add_metric([state.value], states[state])
        yield count
        yield _gauge("kadence_jobs_overdue", _OVERDUE_TEXT, sum(survey.overdue() for survey in surveys))
        yield _gauge("kadence_shards_owned", "Shards that this worker has taken over", len(surveys))
        dropped = max(states.total() - MAX_JOB_SERIES, 0)
        yield _gauge("kadence_job_labels_dropped", f"Jobs without series of their own: {_CAPPED}", dropped)
        yield from self._per_job(surveys)

    def _per_job(self, surveys: list[_Survey]) -> Iterator[Metric]:
        stated = GaugeMetricFamily(
            "kadence_job_state",
            f"1 for the state that a job is in, 0 for the others; {_CAPPED}; {OWNED}",
            labels=["job_name", "state"],
        )
        due = GaugeMetricFamily(
            "kadence_job_next_due_timestamp_seconds",
            f"Next due time of a running job; {_CAPPED}; {OWNED}",
            labels=["job_name"],
        )
        first_of_each = (
            (job.name, job, survey) for survey in surveys for job in nsmallest(MAX_JOB_SERIES, survey.jobs, _by_name)
        )
        failures = GaugeMetricFamily(
            "kadence_job_consecutive_failures",
            f"Runs that failed since the last success or resume; {_CAPPED}; {OWNED}",
            labels=["job_name"],
        )
        success = GaugeMetricFamily(
            "kadence_job_last_success_timestamp_seconds",
            "When a run of the job last succeeded (broker time), absent where none is known of; of a job whose runs "
            f"may overlap only what was reported since its shard was taken over; {_CAPPED}; {OWNED}",
            labels=["job_name"],
        )
        for name, job, survey in nsmallest(MAX_JOB_SERIES, first_of_each, itemgetter(0)):
            now = survey.state(job)
            for state in _STATES:
                stated.add_metric([name, state.value], float(state is now))
            streak = job.streak
            failures.add_metric([name], 0 if streak is None else len(streak.failed) + streak.probes)
            if job.last_success:
                success.add_metric([name], job.last_success / 1000)
            next_due = survey.next_due(job) if now is State.RUNNING else None
            if next_due is not None:
                due.add_metric([name], next_due / 1000)
        yield stated
        yield due
        yield failures
        yield success


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, f"{text}; {OWNED}", value)


class _Survey:
    """One book, looked at from another thread: what changes is read once into a local, containers are copied."""

    def __init__(self, book: Book, now: int) -> None:
        self._book = book
        self._now = now
        self._groups: Mapping[Timing, Group] = {group.timing: group for group in _calmly(book.timetable.groups)}
        self.jobs = [job for job in _values(book.jobs) if job.spec is not None]

    def state(self, job: Job) -> State:
        """What people see at this moment, holds included."""
        if not job.blocked:
            return State.FINISHED if job.finished else State.RUNNING
        pause, streak = job.pause, job.streak
        tripped = job.lost is not None or (streak is not None and streak.tripped is not None)
        return effective_state(
            Operator.PAUSED if pause is not None and pause.active else Operator.OPEN,
            Fitness.TRIPPED if tripped else Fitness.CLOSED,
            held=any(hold.covers(self._now) for hold in job.holds),
            finished=job.finished,
        )

    def states(self) -> Counter[State]:
        """How many jobs are in each state."""
        simple = [job.finished for job in self.jobs if not job.blocked]
        found = Counter(map(self.state, [job for job in self.jobs if job.blocked]))
        finished = sum(simple)
        found.update({State.FINISHED: finished, State.RUNNING: len(simple) - finished})
        return found

    def next_due(self, job: Job) -> int | None:
        """The first due time (ms) that is not decided, or None where none is left."""
        spec = job.spec
        group = self._groups.get(spec.timing) if spec is not None else None
        if group is None:
            return None
        due = group.due
        settled = due if self._passed(job, group.instant) else job.floor
        return due if due > settled else group.timing.next_after(settled)

    def overdue(self) -> int:
        """How many running jobs have a due time that should have been decided, or run, by now."""
        limit = self._now - OVERDUE
        found: dict[str, Job] = {}
        for group in self._groups.values():
            due, instant = group.due, group.instant
            if instant < limit:
                members = _values(group.members)
                found.update((job.name, job) for job in members if due > job.floor and not self._passed(job, instant))
        found.update((job.name, job) for job in _values(self._book.owing) if _behind(job, limit))
        return sum(1 for job in found.values() if self.state(job) is State.RUNNING)

    def _passed(self, job: Job, instant: int) -> bool:
        """Whether the cursor, in the middle of the burst at this instant, is past this job."""
        cursor = self._book.cursor
        after = cursor.after
        return cursor.through == instant and (after is None or job.name <= after)


def _behind(job: Job, limit: int) -> bool:
    """Whether a catch-up under way has an execution to make whose firing instant was before ``limit`` (ms)."""
    owed = next(iter(job.owed), None)
    if owed is None or owed.stage is not Stage.RUNNING:
        return False
    due = owed.timing.next_after(owed.low)
    return due is not None and due <= owed.high and due + owed.timing.delay < limit


def _values(mapping: Mapping[str, _Value]) -> list[_Value]:
    return _calmly(lambda: list(mapping.values()))


def _calmly(read: Callable[[], _Value]) -> _Value:
    """Copy out of a container whose owner may change its size in the middle: then once more."""
    while True:
        with suppress(RuntimeError):
            return read()
