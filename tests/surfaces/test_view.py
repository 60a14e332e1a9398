"""The view: what the log says of jobs, holds and shards at one moment, whoever wrote it and however far workers are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from kadence.clock import SystemClock
from kadence.domain.duration import format_time
from kadence.domain.firing import run_id
from kadence.domain.job import Job, State, Streak, Trouble
from kadence.domain.partition import partition_for
from kadence.domain.run import Run, RunStatus
from kadence.domain.stimulus import Failure, Outcome
from kadence.errors import ConfigurationError, UnreachableError
from kadence.log.memory import MemoryLog
from kadence.log.memory.faults import Unreachable
from kadence.view import JobView, View, snapshot
from kadence.view.documents import hold_document, job_detail, job_document, status_document
from kadence.wire.state import encode_job, encode_run
from tests.surfaces.commandline import run
from tests.surfaces.happenings import Happenings
from tests.surfaces.owner import NS, Owner, a_log

if TYPE_CHECKING:
    from kadence.log.memory.faults import Fault, Point

EVERY = {"schedule": {"every": "30s"}}
HOUR = 3_600_000


class FixedClock:
    """Wall time stands still at ``now``; waiting is real."""

    def __init__(self, now: int) -> None:
        self.now = now

    def wall(self) -> int:
        return self.now

    def monotonic(self) -> int:
        return SystemClock().monotonic()


def write(log: MemoryLog, key: str, value: object) -> int:
    data = None if value is None else json.dumps(value).encode()
    return log.appender().append(f"{NS}.control", 0, key.encode(), data).offset


def look(log: MemoryLog, *, ahead: int = 0, **options: Any) -> View:
    return snapshot(log, NS, 10, clock=FixedClock(SystemClock().wall() + ahead), **options)


def see(log: MemoryLog, name: str = "a", *, ahead: int = 0) -> JobView:
    return look(log, ahead=ahead).jobs[name]


def applied(*records: tuple[str, object], log: MemoryLog | None = None) -> MemoryLog:
    """A log whose owner has applied these records."""
    log = log or a_log()
    for key, value in records:
        write(log, key, value)
    Owner(log).catch_up()
    return log


def in_hours(hours: float) -> str:
    return format_time(SystemClock().wall() // 1000 * 1000 + int(hours * HOUR))


def test_an_empty_namespace_is_a_view_of_nothing() -> None:
    view = look(a_log())
    assert (dict(view.jobs), dict(view.holds), view.control_end) == ({}, {}, 0)
    assert [(shard.shard, shard.worker) for shard in view.shards] == [(0, None), (1, None), (2, None)]
    assert view.counts() == {"running": 0, "paused": 0, "errored": 0, "finished": 0}


def test_a_running_job_shows_its_definition_and_next_due_time() -> None:
    job = see(applied(("job/a", {**EVERY, "tags": ["x"], "reason": "new", "by": "anna"})))
    assert (job.state, job.document, job.tags, job.holds) == ("running", {**EVERY, "tags": ["x"]}, ("x",), ())
    assert job.next_due is not None
    assert job.next_due % 30_000 == 0
    assert 0 < job.next_due - SystemClock().wall() <= 30_000


def test_a_job_that_no_worker_has_read_is_pending_and_says_why() -> None:
    log = a_log()
    offset = write(log, "job/a", EVERY)
    job = see(log)
    assert (job.state, job.reason, job.newer, job.next_due) == ("pending", "no worker has read it yet", offset, None)
    assert job.document == EVERY


def test_a_job_that_cannot_be_read_is_rejected_whether_a_worker_has_seen_it_or_not() -> None:
    log = a_log()
    write(log, "job/a", {"schedule": {"cron": "nonsense"}})
    before = see(log)
    Owner(log).catch_up()
    after = see(log)
    assert before.state == after.state == "rejected"
    assert before.reason is not None
    assert before.reason.startswith("schedule: ")
    assert (before.newer, after.newer) == (0, None)


def test_a_stale_creation_is_rejected_and_points_to_the_events() -> None:
    job = see(applied(("job/a", {**EVERY, "if_offset": 7})))
    assert job.state == "rejected"
    assert job.reason == "its shard refused the record at offset 0; the events topic says why"


def test_the_last_good_definition_stays_in_view_under_a_rejected_one() -> None:
    job = see(applied(("job/a", EVERY), ("job/a", {"schedule": "nonsense"})))
    assert (job.state, job.document) == ("running", EVERY)
    assert job.own is not None
    assert job.own.rejection is not None
    assert job_detail(job)["rejected"] == {"offset": 1, "error": job.own.rejection.error}


def test_it_stays_in_view_after_compaction_took_its_record() -> None:
    log = applied(("job/a", EVERY), ("job/a", {"schedule": "nonsense"}))
    log.admin().alter(f"{NS}.control", {"min.compaction.lag.ms": "0"})
    log.roll(f"{NS}.control", 0)
    log.compact(f"{NS}.control", 0)
    assert len(log.records(f"{NS}.control", 0)) == 1
    assert see(log).document == EVERY


def test_an_edit_that_waits_for_a_worker_does_not_change_what_is_in_force() -> None:
    log = applied(("job/a", EVERY))
    offset = write(log, "job/a", {"schedule": {"every": "1h"}})
    job = see(log)
    assert (job.state, job.document, job.newer) == ("running", EVERY, offset)


def test_a_deletion_that_waits_for_a_worker_leaves_the_job_in_view() -> None:
    log = applied(("job/a", EVERY))
    offset = write(log, "job/a", None)
    assert see(log).newer == offset
    Owner(log).catch_up()
    assert look(log).jobs == {}


def test_a_pause_shows_who_paused_and_why() -> None:
    log = applied(("job/a", EVERY), ("pause/a", {"paused": True, "reason": "audit", "by": "anna"}))
    job = see(log)
    assert (job.state, job.reason, job.by, job.next_due) == ("paused", "audit", "anna", None)
    assert job.since == log.records(f"{NS}.control", 0)[1].timestamp


def test_a_pause_with_an_end_lets_the_next_due_time_be_seen() -> None:
    until = in_hours(2)
    job = see(applied(("job/a", EVERY), ("pause/a", {"paused": True, "until": until})))
    assert job.state == "paused"
    assert job.next_due is not None
    assert 0 <= job.next_due - (SystemClock().wall() // 1000 * 1000 + 2 * HOUR) + 1000 <= 32_000


def test_a_pause_without_a_job_is_named_but_is_no_job() -> None:
    view = look(applied(("pause/ghost", {"paused": True})))
    assert (dict(view.jobs), view.pauses) == ({}, ("ghost",))


def test_a_finished_job_has_no_next_due_time() -> None:
    job = see(applied(("job/a", {"schedule": {"at": "2020-01-01T00:00:00Z"}})))
    assert (job.state, job.next_due) == ("finished", None)


def test_an_errored_job_shows_its_failed_runs() -> None:
    log = a_log()
    write(log, "job/a", {**EVERY, "breaker": {"failures": 2}})
    owner = Owner(log)
    owner.catch_up()
    for offset, hours in enumerate((1, 2)):
        due = SystemClock().wall() + hours * 3_600_000
        owner.outcome(Outcome(offset, due + 1, "a", run_id("a", due), "failed", Failure("OOM")))
    job = see(log)
    assert (job.state, job.reason, job.next_due) == ("errored", "OOM", None)
    breaker = job_detail(job)["breaker"]
    assert isinstance(breaker, dict)
    assert (len(breaker["failed"]), breaker["last_error"], breaker["opened"]["reason"]) == (2, "OOM", "OOM")


def test_a_lost_target_shows_over_a_pause_and_both_can_be_read() -> None:
    log = a_log()
    write(log, "job/a", {**EVERY, "target": {"topic": "gone"}})
    write(log, "pause/a", {"paused": True, "reason": "audit"})
    owner = Owner(log)
    owner.catch_up()
    owner.lose_target("gone", "UNKNOWN_TOPIC_OR_PART")
    job = see(log)
    assert (job.state, job.reason) == ("errored", "target gone: UNKNOWN_TOPIC_OR_PART")
    pause = job_detail(job)["pause"]
    assert isinstance(pause, dict)
    assert pause["reason"] == "audit"


# --- holds ---

BATCH = {**EVERY, "tags": ["batch"]}


def test_a_hold_pauses_what_it_selects_for_as_long_as_it_lasts() -> None:
    log = applied(
        ("job/a", BATCH),
        ("job/b", EVERY),
        ("hold/freeze", {"match": {"tags": ["batch"]}, "end": in_hours(2), "reason": "move", "by": "bo"}),
    )
    view = look(log)
    held = view.jobs["a"]
    assert (held.state, held.reason, held.by, held.holds) == ("paused", "hold freeze: move", "bo", ("freeze",))
    assert held.next_due is not None
    assert held.next_due > SystemClock().wall() + HOUR
    assert view.jobs["b"].state == "running"
    assert (view.holds["freeze"].state, view.holds["freeze"].matched, view.holds["freeze"].shards) == ("active", 1, 3)


def test_a_hold_whose_end_has_come_lets_go_although_no_worker_has_said_so() -> None:
    log = applied(("job/a", BATCH), ("hold/freeze", {"match": {"tags": ["batch"]}, "end": in_hours(2)}))
    assert see(log, ahead=3 * HOUR).state == "running"
    assert look(log, ahead=3 * HOUR).holds["freeze"].state == "ended"


def test_a_hold_that_begins_later_is_foreseen() -> None:
    log = applied(("job/a", BATCH), ("hold/freeze", {"match": {"all": True}, "start": in_hours(1)}))
    job = see(log)
    assert (job.state, job.holds, job.next_due is None) == ("running", (), False)
    assert look(log).holds["freeze"].state == "scheduled"
    later = see(log, ahead=2 * HOUR)
    assert (later.state, later.reason, later.next_due) == ("paused", "hold freeze", None)


def test_pause_and_hold_do_not_hide_each_other() -> None:
    log = applied(
        ("job/a", BATCH),
        ("pause/a", {"paused": True, "reason": "audit"}),
        ("hold/freeze", {"match": {"all": True}}),
    )
    job = see(log)
    assert (job.state, job.reason, job.holds) == ("paused", "audit", ("freeze",))


def test_a_hold_on_its_way_in_and_out() -> None:
    log = applied(("job/a", BATCH))
    write(log, "hold/freeze", {"match": {"all": True}})
    assert look(log).holds["freeze"].state == "pending"
    assert see(log).state == "running"
    owner = Owner(log)
    owner.catch_up()
    assert look(log).holds["freeze"].state == "active"
    write(log, "hold/freeze", None)
    assert look(log).holds["freeze"].state == "releasing"
    assert see(log).state == "paused"
    owner.catch_up()
    assert look(log).holds == {}


def test_a_hold_that_every_shard_refused() -> None:
    log = applied(("job/a", BATCH), ("hold/freeze", {"match": {"all": True}, "if_offset": 9}))
    hold = look(log).holds["freeze"]
    assert (hold.state, hold.matched, hold.refused, hold.shards) == ("rejected", 0, 1, 0)
    assert hold.reason == "every shard refused the record at offset 1; the events topic says why"


def test_a_hold_that_cannot_be_read_is_rejected_and_says_why() -> None:
    log = applied(("hold/freeze", {"match": {}}))
    hold = look(log).holds["freeze"]
    assert (hold.state, hold.hold, hold.refused) == ("rejected", None, 0)
    assert hold.reason is not None
    assert hold.reason.startswith("match: selects nothing")
    assert hold_document(hold)["match"] is None


@pytest.mark.parametrize("bad", [{"match": {"all": True}, "if_offset": 9}, {"match": {}}])
def test_the_hold_in_force_stays_in_view_under_a_rejected_one(bad: object) -> None:
    log = applied(("job/a", BATCH), ("hold/freeze", {"match": {"tags": ["batch"]}}), ("hold/freeze", bad))
    hold = look(log).holds["freeze"]
    assert (hold.state, hold.matched, hold.refused) == ("active", 1, 2)
    assert hold_document(hold)["match"] == {"tags": ["batch"]}
    assert see(log).state == "paused"


# --- shards, and the log itself ---


def test_shards_show_their_owner_and_how_far_it_is() -> None:
    log = applied(("job/a", EVERY))
    write(log, "job/a", {**EVERY, "tags": ["new"]})
    view = look(log, ahead=5_000)
    mine = partition_for(b"a", 3)
    shard = view.shards[mine]
    assert (shard.worker, shard.control, shard.behind, shard.tzdata) == ("worker-1", 1, 1, "2026.1")
    assert shard.age is not None
    assert 5_000 <= shard.age < 15_000
    assert view.control_end == 2
    assert {other.worker for other in view.shards if other.shard != mine} == {None}


def test_only_one_job_and_its_shard() -> None:
    log = applied(("job/a", EVERY), ("job/b", EVERY), ("hold/h", {"match": {"names": ["a"]}}))
    view = look(log, only=["a"])
    assert list(view.jobs) == ["a"]
    assert [shard.shard for shard in view.shards] == [partition_for(b"a", 3)]
    assert view.jobs["a"].holds == ("h",)


def test_a_state_record_of_another_version_is_named_and_the_rest_is_shown() -> None:
    log = applied(("job/a", EVERY))
    shard = partition_for(b"a", 3)
    writer = log.writer("someone")
    writer.begin()
    writer.send(f"{NS}.state", shard, b"job/z", b'{"state": "dancing"}')
    writer.send(f"{NS}.state", shard, b"future/z", b"whatever")
    writer.commit()
    view = look(log)
    assert list(view.jobs) == ["a"]
    [problem] = view.unreadable
    assert problem.startswith(f"{NS}.state[{shard}] at offset ")


def test_garbage_on_the_control_topic_is_passed_over() -> None:
    log = applied(("job/a", EVERY))
    for key, value in [(b"\xff\xfe", b"x"), (b"", b"{}"), (b"jobs", b"\x00"), (b"pause/a", b"not json")]:
        log.appender().append(f"{NS}.control", 0, key, value)
    assert list(look(log).jobs) == ["a"]


def test_an_open_transaction_hides_what_is_behind_it_and_holds_nothing_up() -> None:
    log = applied(("job/a", EVERY))
    writer = log.start("stranger").writer("stranger")
    writer.begin()
    writer.send(f"{NS}.control", 0, b"job/b", json.dumps(EVERY).encode())
    write(log, "job/c", EVERY)
    assert list(look(log).jobs) == ["a"]


def test_a_topic_that_ends_in_an_aborted_transaction_is_read_to_its_end() -> None:
    log = applied(("job/a", EVERY))
    shard = partition_for(b"a", 3)
    process = log.start("stranger")
    writer = process.writer("stranger")
    writer.begin()
    for number in range(3):
        writer.send(f"{NS}.state", shard, b"job/b", b"%d" % number)
    writer.flush()
    log.writer("stranger")
    assert list(look(log).jobs) == ["a"]


def test_no_topics_no_view() -> None:
    with pytest.raises(ConfigurationError, match="kadence topics init"):
        look(MemoryLog(lambda: 0))


class Slow:
    """A broker that is slow to answer: so many reads bring nothing, and seconds pass over each of them."""

    def __init__(self, silent_reads: int, *, after: int = 0) -> None:
        self.now, self._left, self._after = 0, silent_reads, after

    def at(self, point: Point, who: object) -> Fault | None:
        if point != "reader.read":
            return None
        self._after -= 1
        if self._after >= 0 or self._left <= 0:
            return None
        self._left -= 1
        self.now += 3_000
        return Unreachable(applied=False)

    def wall(self) -> int:
        return SystemClock().wall()

    def monotonic(self) -> int:
        return self.now


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_broker_that_is_silent_for_long_is_waited_for(after: int) -> None:
    log = applied(("job/a", EVERY), ("job/b", EVERY), ("job/c", EVERY))
    slow = log.faults = Slow(5, after=after)
    view = snapshot(log, NS, 30, clock=slow)
    assert (list(view.jobs), view.control_end) == (["a", "b", "c"], 3)


def test_a_log_that_is_not_read_to_its_end_is_an_error_and_never_a_shorter_list() -> None:
    log = applied(("job/a", EVERY), ("job/b", EVERY), ("job/c", EVERY))
    slow = log.faults = Slow(50, after=1)
    with pytest.raises(UnreachableError, match=r"^ns\.control\[0\] was not read to its end in time: offset 0 of 3 "):
        snapshot(log, NS, 30, clock=slow)


# --- documents ---


def test_the_documents_are_json_with_the_promised_fields() -> None:
    log = applied(("job/a", BATCH), ("hold/freeze", {"match": {"all": True, "not": {"names": ["v*"]}}}))
    view = look(log)
    listed = json.loads(json.dumps(job_document(view.jobs["a"])))
    assert listed["name"] == "a"
    assert (listed["state"], listed["reason"], listed["holds"], listed["next"]) == (
        "paused",
        "hold freeze",
        ["freeze"],
        None,
    )
    status = json.loads(json.dumps(status_document(view)))
    assert status["jobs"]["paused"] == 1
    assert status["holds"][0]["match"] == {"all": True, "not": {"names": ["v*"]}}
    assert {"shard", "worker", "control", "age_seconds", "through"} <= status["shards"][0].keys()
    json.dumps(job_detail(view.jobs["a"]))


# --- runs ---


def test_a_job_shows_how_its_runs_went_and_which_are_under_way() -> None:
    log = applied(("job/a", {**EVERY, "breaker": {"failures": 2, "probe_after": "5m"}, "timeout": "5m"}))
    told = Happenings(log)
    now = told.now
    told.remembers(Run("a!over", now, "trigger", now, status=RunStatus.SUCCEEDED, settled_at=now - 5000))
    told.remembers(Run("a!next", now, "trigger", now, 2, 2, RunStatus.FAILED, next_at=now + HOUR, error="E: no"))
    told.remembers(Run("a!first", now, "trigger", now - 9000, status=RunStatus.STARTED, started=now - 8000))
    shard, _ = told.place("a!x")
    told.raw("state", b"run/nonsense", b"{", shard)
    told.raw("state", b"run/nonsense", encode_run(Run("x", now, "trigger", now)), shard)
    told.raw("state", b"run/a!bad", b"[]", shard)
    view = look(log)
    job = view.jobs["a"]
    assert [run.id for run in job.open_runs] == ["a!first", "a!next"]
    assert (job.last_success, job.failures) == (now - 5000, 0)
    assert len(view.unreadable) == 2
    detail = job_detail(job)
    assert detail["last_success"] == format_time(now - 5000)
    assert detail["open_runs"] == [
        {
            "run": "a!first",
            "status": "started",
            "attempt": 1,
            "n": 1,
            "cause": "trigger",
            "fired": format_time(now - 9000),
            "started": format_time(now - 8000),
            "next_at": None,
            "error": None,
        },
        {
            "run": "a!next",
            "status": "failed",
            "attempt": 2,
            "n": 2,
            "cause": "trigger",
            "fired": format_time(now),
            "started": None,
            "next_at": format_time(now + HOUR),
            "error": "E: no",
        },
    ]
    shown = run("get", "a", log=log).stdout
    assert f"last success  {format_time(now - 5000)}" in shown
    assert f"a!next  failed: attempt 2, since {format_time(now)}, again at {format_time(now + HOUR)}, E: no" in shown


def test_an_errored_job_shows_its_failures_and_when_it_is_tried_again() -> None:
    log = applied(("job/a", EVERY))
    told = Happenings(log)
    own = Job("a")
    runs = tuple((run_id("a", told.now - ago), told.now - ago) for ago in (2000, 1000))
    own.streak = Streak(runs, "E: no", Trouble(told.now, "E: no"), told.now + HOUR, 2)
    own.spec_offset, own.state, own.succeeded_at = 0, State.ERRORED, told.now - HOUR
    shard, _ = told.place("a!x")
    told.raw("state", b"job/a", encode_job(own), shard)
    job = see(log)
    assert (job.state, job.failures, job.last_success) == ("errored", 2, told.now - HOUR)
    detail: Any = job_detail(job)
    assert detail["consecutive_failures"] == 2
    assert (detail["breaker"]["probe_at"], detail["breaker"]["probes"]) == (format_time(told.now + HOUR), 2)
    shown = run("get", "a", log=log).stdout
    assert "failures      2 in a row" in shown
    later = "by itself (2 such tries failed); sooner: kadence resume a --namespace ns"
    assert f"next try      {format_time(told.now + HOUR)}, {later}\n" in shown
    letter = f"kadence dlq show {runs[-1][0]} --namespace ns"
    assert f"more          kadence runs a --failed --namespace ns; {letter}\n" in shown
    own.streak = Streak(runs, "E: no", Trouble(told.now, "E: no"))
    told.raw("state", b"job/a", encode_job(own), shard)
    assert "next try      none by itself: kadence resume a --namespace ns\n" in run("get", "a", log=log).stdout
    assert "last error    E: no" in shown
