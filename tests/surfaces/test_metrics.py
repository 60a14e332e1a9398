"""What a scrape shows of decisions, of processes and of the jobs in the books."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from kadence.domain.decision import Decision
from kadence.domain.firing import run_id
from kadence.domain.shard import Book, Cursor, Shard
from kadence.domain.stimulus import Outcome, TargetChanged, Tick
from kadence.metrics import Metrics
from kadence.wire import control

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

_START = 1_800_000_000_000
_NAMES = {
    "kadence_executions_total",
    "kadence_lateness_seconds",
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
    "kadence_takeover_duration_seconds",
    "kadence_transactions_total",
    "kadence_clock_skew_seconds",
    "kadence_runs_total",
    "kadence_run_duration_seconds",
    "kadence_outcomes_unapplied_total",
    "kadence_breaker_trips_total",
    "kadence_dead_letters_total",
    "kadence_job_consecutive_failures",
    "kadence_job_last_success_timestamp_seconds",
}
_LABELS_DROPPED = "kadence_job_labels_dropped"


class _Clock:
    """Stands where it is put."""

    def __init__(self, now: int) -> None:
        self.now = now

    def wall(self) -> int:
        return self.now

    def monotonic(self) -> int:
        return self.now


class _Desk:
    """A shard that owns every name, and metrics that watch it."""

    def __init__(self) -> None:
        self.clock = _Clock(_START)
        self.shard = Shard(Book("kadence", 0, 1, Cursor(_START)))
        self.metrics = Metrics()
        self.metrics.watch(lambda: [self.shard.book], self.clock)
        self.offset = 0

    def write(self, key: str, value: object) -> None:
        """A control record, appended now."""
        data = None if value is None else json.dumps(value).encode()
        change = control.decode(key.encode(), data, self.offset, self.clock.now, "kadence")
        self.shard.step(change, self.clock.now)
        self.offset += 1

    def report(self, job: str, second: int, status: str, taken: int | None = None) -> None:
        """How the run that was due in this second went, and how long it took (ms)."""
        due = _START + second * 1_000
        end = None if taken is None else due + taken
        outcome = Outcome(0, self.clock.now, job, run_id(job, due), status, started_at=due, finished_at=end)
        self.shard.step(outcome, self.clock.now)

    def tick(self, to: int, limit: int = 10_000) -> bool:
        self.clock.now = to
        return self.shard.step(Tick(limit), to)

    def commit(self) -> None:
        self.metrics.decided(self.shard.take(), self.clock.now + 20)

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)

    def families(self) -> dict[str, Metric]:
        return {family.name: family for family in text_string_to_metric_families(self.metrics.render().decode())}


def _every(length: str, **fields: object) -> dict[str, object]:
    return {"schedule": {"every": length}, **fields}


@pytest.fixture
def desk() -> _Desk:
    return _Desk()


# --- the page as a whole ---------------------------------------------------------------------------------------


def _lively() -> _Desk:
    desk = _Desk()
    desk.write("job/a", _every("1s"))
    desk.write("job/b", _every("1s", catch_up={"policy": "latest", "grace": "1s"}))
    desk.write("job/c", _every("1h", paused=True))
    desk.write("trigger/a/one", {})
    desk.write("job/d", _every("1s", breaker={"failures": 1}))
    desk.write("job/bad", {"schedule": {"evry": "1s"}})
    desk.tick(_START + 5_000)
    desk.write("pause/a", {"paused": True})
    desk.tick(_START + 9_000)
    desk.write("pause/a", {"paused": False})
    desk.report("b", 9, "succeeded", 70)
    desk.report("d", 9, "failed")
    desk.report("d", 9, "failed")
    desk.tick(_START + 10_000)
    desk.commit()
    for result in ("committed", "fenced", "refused", "unclean"):
        desk.metrics.transaction(result)
    desk.metrics.takeover(0.3)
    desk.metrics.skew(-1500)
    desk.metrics.control_applied(7)
    desk.metrics.shard_cursor(0, _START)
    desk.metrics.shard_cursor(11, _START)
    desk.clock.now += 5_000
    return desk


def test_every_metric_moves_and_promtool_has_nothing_to_say() -> None:
    desk = _lively()
    families = desk.families()
    moved = {name for name in _NAMES if any(sample.value for sample in families[name.removesuffix("_total")].samples)}
    assert moved == _NAMES
    promtool = shutil.which("promtool")
    if promtool is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs promtool")
        pytest.skip("needs promtool")
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=desk.metrics.render(), capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_help_says_how_to_add_up_replicas() -> None:
    families = _lively().families()
    assert len(families) == len(_NAMES) + 1
    across = {"kadence_control_applied_offset", "kadence_shard_cursor_timestamp_seconds", "kadence_clock_skew_seconds"}
    for name, family in families.items():
        how = "every replica: max()" if name in across else "owned shards only: sum()"
        assert family.documentation.endswith(f"; {how}")


def test_what_can_be_known_beforehand_is_there_with_nothing() -> None:
    metrics = Metrics()
    metrics.watch(list, _Clock(_START))
    samples = [sample for family in metrics.registry.collect() for sample in family.samples]
    assert {sample.value for sample in samples} == {0}
    found = {(sample.name, *sample.labels.values()) for sample in samples}
    assert {
        ("kadence_executions_total", "catch_up"),
        ("kadence_due_times_missed_total", "window"),
        ("kadence_due_times_dropped_total", "paused"),
        ("kadence_runs_total", "timed_out"),
        ("kadence_jobs", "errored"),
        ("kadence_job_transitions_total", "errored", "failures"),
        ("kadence_job_transitions_total", "running", "resume"),
        ("kadence_control_records_total", "pause", "rejected"),
        ("kadence_control_records_total", "unknown", "rejected"),
        ("kadence_transactions_total", "unclean"),
        ("kadence_breaker_trips_total",),
        ("kadence_lateness_seconds_count",),
        ("kadence_jobs_overdue",),
        ("kadence_shards_owned",),
    } <= found


def test_what_the_fold_counts_has_a_series_before_it_counts_it() -> None:
    def series(metrics: Metrics) -> set[tuple[str, ...]]:
        counters = [family for family in metrics.registry.collect() if family.type == "counter"]
        return {(sample.name, *sample.labels.values()) for family in counters for sample in family.samples}

    assert series(_lively().metrics) == series(Metrics())


def test_openmetrics_is_there_for_whoever_asks() -> None:
    metrics = _lively().metrics
    page, kind = metrics.negotiate("application/openmetrics-text; version=1.0.0,text/plain;q=0.5")
    assert kind.startswith("application/openmetrics-text")
    families = parse_openmetrics(page.decode())  # type: ignore[no-untyped-call]
    assert "kadence_executions" in {family.name for family in families}
    assert metrics.negotiate("")[1].startswith("text/plain")


# --- what was decided ------------------------------------------------------------------------------------------


def test_executions_are_counted_by_cause_and_lateness_by_instant(desk: _Desk) -> None:
    desk.write("job/a", _every("1s"))
    desk.write("trigger/a/one", {})
    [trigger] = desk.shard.take().fires
    decision, metrics = Decision(), Metrics()
    for cause, count in (("schedule", 9_000), ("catch_up", 10), ("trigger", 1)):
        decision.fires += [trigger._replace(cause=cause)] * count
    decision.instants.update({_START: 9_000, _START - 2_000: 10, _START + 50: 1})
    metrics.decided(decision, _START + 30)

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(name, labels)

    causes = ("schedule", "catch_up", "trigger", "retry")
    assert [value("kadence_executions_total", cause=cause) for cause in causes] == [9_000, 10, 1, 0]
    bounds = ("0.005", "0.025", "0.05", "1.0", "2.5", "+Inf")
    found = [value("kadence_lateness_seconds_bucket", le=bound) for bound in bounds]
    assert found == [1, 1, 9_001, 9_001, 9_011, 9_011]
    assert value("kadence_lateness_seconds_count") == 9_011
    assert value("kadence_lateness_seconds_sum") == pytest.approx(9_000 * 0.03 + 10 * 2.03)


def test_misses_drops_transitions_and_records_are_counted(desk: _Desk) -> None:
    desk.write("job/a", _every("1s", catch_up={"policy": "skip", "grace": "1s"}))
    desk.write("pause/a", {"paused": True})
    desk.tick(_START + 3_500)
    desk.write("pause/a", {"paused": False})
    desk.tick(_START + 3_600)
    desk.tick(_START + 20_500)
    desk.write("pause/a", {"pausd": True})
    desk.commit()
    assert desk.value("kadence_due_times_dropped_total", reason="paused") == 3
    assert desk.value("kadence_due_times_missed_total", reason="skip") == 16
    assert desk.value("kadence_job_transitions_total", to="paused", reason="pause") == 1
    assert desk.value("kadence_job_transitions_total", to="running", reason="resume") == 1
    assert desk.value("kadence_control_records_total", kind="pause", result="applied") == 2
    assert desk.value("kadence_control_records_total", kind="pause", result="rejected") == 1
    assert desk.value("kadence_executions_total", cause="schedule") == 1


def test_the_applied_offset_is_the_furthest_and_skew_has_no_sign() -> None:
    metrics = Metrics()
    for offset in (5, 9, 7):
        metrics.control_applied(offset)
    metrics.skew(-2_500)
    assert metrics.registry.get_sample_value("kadence_control_applied_offset") == 9
    assert metrics.registry.get_sample_value("kadence_clock_skew_seconds") == 2.5


# --- the jobs in the books ---------------------------------------------------------------------------------------


def _state(desk: _Desk, name: str) -> list[str]:
    states = ("running", "paused", "errored", "finished")
    return [state for state in states if desk.value("kadence_job_state", job_name=name, state=state) == 1]


def test_a_job_is_in_exactly_one_state_and_holds_count(desk: _Desk) -> None:
    desk.write("job/plain", _every("1h"))
    desk.write("job/stopped", _every("1h"))
    desk.write("pause/stopped", {"paused": True})
    desk.write("pause/jobless", {"paused": True})
    desk.write("job/held", _every("1h", tags=["x"]))
    desk.write("hold/x", {"match": {"tags": ["x"]}})
    desk.write("job/later", _every("1h"))
    desk.write("hold/later", {"match": {"names": ["later"]}, "start": "2027-06-01T00:00:00Z"})
    desk.write("job/lost", _every("1h", target={"topic": "gone"}))
    desk.shard.step(TargetChanged("gone", "does not exist"), _START)
    desk.write("job/once", {"schedule": {"at": "2027-01-15T08:00:01Z"}})
    desk.tick(_START + 2_000)
    names = ("plain", "stopped", "held", "later", "lost", "once", "jobless")
    assert [_state(desk, name) for name in names] == [
        ["running"],
        ["paused"],
        ["paused"],
        ["running"],
        ["errored"],
        ["finished"],
        [],
    ]
    states = ("running", "paused", "errored", "finished")
    assert [desk.value("kadence_jobs", state=state) for state in states] == [2, 2, 1, 1]
    assert desk.value("kadence_shards_owned") == 1


def test_the_next_due_time_is_that_of_running_jobs(desk: _Desk) -> None:
    desk.write("job/a", _every("1m", jitter="30s"))
    desk.write("job/b", _every("1m"))
    desk.write("pause/b", {"paused": True})
    name = "kadence_job_next_due_timestamp_seconds"
    minute = 60_000
    first = _START // minute * minute + minute
    assert desk.value(name, job_name="a") == first / 1000
    desk.tick(first + 30_000)
    assert desk.value(name, job_name="a") == (first + minute) / 1000
    assert desk.value(name, job_name="b") is None


def test_in_the_middle_of_a_burst_the_jobs_behind_the_cut_are_still_due(desk: _Desk) -> None:
    for job in "abc":
        desk.write(f"job/{job}", _every("10s"))
    due = _START // 10_000 * 10_000 + 10_000
    assert desk.tick(due + 1_001, limit=1)
    name = "kadence_job_next_due_timestamp_seconds"
    found = [desk.value(name, job_name=job) for job in "abc"]
    assert found == [(due + 10_000) / 1000, due / 1000, due / 1000]
    assert desk.value("kadence_jobs_overdue") == 2


def test_overdue_are_running_jobs_whose_due_time_nobody_decided(desk: _Desk) -> None:
    for job in ("a", "b", "stopped"):
        desk.write(f"job/{job}", _every("10s"))
    desk.write("job/rare", _every("1d"))
    desk.write("pause/stopped", {"paused": True})
    due = _START // 10_000 * 10_000 + 10_000
    desk.clock.now = due + 1_000
    assert desk.value("kadence_jobs_overdue") == 0
    desk.clock.now = due + 1_001
    assert desk.value("kadence_jobs_overdue") == 2
    desk.tick(due + 1_001)
    assert desk.value("kadence_jobs_overdue") == 0


def test_a_backlog_that_is_being_caught_up_is_overdue(desk: _Desk) -> None:
    desk.write("job/a", _every("1s", catch_up={"policy": "all", "grace": "1s"}))
    assert desk.tick(_START + 500_000, limit=50)
    assert desk.value("kadence_jobs_overdue") == 1
    while desk.tick(_START + 500_000, limit=1_000):
        desk.commit()
    assert desk.value("kadence_jobs_overdue") == 0


def test_no_more_than_a_thousand_jobs_get_series_and_the_rest_are_counted(desk: _Desk) -> None:
    for number in range(1_003):
        desk.write(f"job/j{number:04}", _every("1h"))
    families = desk.families()
    named = {sample.labels["job_name"] for sample in families["kadence_job_state"].samples}
    assert named == {f"j{number:04}" for number in range(1_000)}
    assert len(families["kadence_job_next_due_timestamp_seconds"].samples) == 1_000
    assert desk.value("kadence_jobs", state="running") == 1_003
    assert desk.value(_LABELS_DROPPED) == 3


def test_a_scrape_bears_a_book_that_changes_under_it(desk: _Desk) -> None:
    stop, broken = threading.Event(), []

    def fold() -> None:
        try:
            while not stop.is_set():
                for number in range(200):
                    desk.write(f"job/j{number}", _every(f"{number + 1}s", tags=["x"]))
                    desk.write(f"pause/j{number}", {"paused": number % 2 == 0})
                desk.write("hold/x", {"match": {"tags": ["x"]}})
                desk.shard.step(Tick(1_000), desk.clock.now)
                desk.write("hold/x", None)
                for number in range(200):
                    desk.write(f"job/j{number}", None)
                    desk.write(f"pause/j{number}", None)
                desk.shard.take()
        except Exception as error:  # noqa: BLE001  whatever it is, the test must see it
            broken.append(error)

    thread = threading.Thread(target=fold)
    thread.start()
    try:
        for _ in range(60):
            assert b"kadence_jobs" in desk.metrics.render()
    finally:
        stop.set()
        thread.join()
    assert broken == []
