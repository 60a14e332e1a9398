"""`kadence runs`: how runs went, out of what executors report and what the shards' owners made of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from kadence.cli.context import Invocation
from kadence.cli.main import cli
from kadence.cli.runtable import duration_text
from kadence.client import Client
from kadence.clock import SystemClock
from kadence.domain.duration import format_time
from kadence.domain.firing import run_id
from kadence.domain.holds import Matches
from kadence.domain.run import Run, RunStatus
from kadence.errors import InvalidSpecError
from kadence.testing.clock import ManualClock
from kadence.view.runlog import RunLog
from kadence.view.runs import Runs
from tests.surfaces.commandline import data, run
from tests.surfaces.happenings import Happenings
from tests.surfaces.owner import NS, Owner, a_log

if TYPE_CHECKING:
    from kadence.log.memory import MemoryLog
    from kadence.log.memory.reader import MemoryReader
    from kadence.log.port import Record
    from kadence.view.runs import RunView

HOUR = 3_600_000


class Story(Happenings):
    """Happenings of a log, and how they are seen."""

    def __init__(self) -> None:
        self.log = a_log()
        super().__init__(self.log)
        self.job("a", "z")

    def job(self, *names: str) -> None:
        """Jobs that their shards carry."""
        for name in names:
            self.raw("state", f"job/{name}".encode(), b"{}", self.place(self.run(name))[0])

    def run(self, job: str = "a", ago: int = 0) -> str:
        """The run that was due so many ms ago."""
        return run_id(job, self.now - ago)

    def record(self, run: str, status: RunStatus, **fields: Any) -> None:
        self.remembers(Run(run, self.now, "schedule", self.now, status=status, **fields))

    def at(self, after: int = 0) -> str:
        return format_time(self.now + after)

    def look(self, *names: str, since: int = HOUR) -> list[RunView]:
        with RunLog(self.log, NS, Matches(names), since=self.now - since) as runs:
            return runs.recent()

    def only(self) -> RunView:
        [found] = self.look()
        return found


@pytest.fixture
def story() -> Story:
    return Story()


# --- one run: what its executor said ---


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled", "expired"])
def test_a_run_is_what_its_executor_says(story: Story, status: str) -> None:
    times = {"started_at": story.at(-3000), "finished_at": story.at(-1750)}
    story.says(story.run(), "started", started_at=story.at(-3000))
    story.says(story.run(), status, executor="pod-1", **times)
    seen = story.only()
    assert (seen.run, seen.job, seen.status, seen.open) == (story.run(), "a", status, False)
    assert (seen.started_at, seen.finished_at, seen.duration) == (story.now - 3000, story.now - 1750, 1250)
    assert (seen.executor, seen.attempts, seen.n, seen.failed) == ("pod-1", 1, 1, status == "failed")


def test_without_the_executors_times_broker_time_tells_how_long_it_took(story: Story) -> None:
    story.says(story.run(), "started")
    story.says(story.run(), "succeeded")
    seen = story.only()
    shard, _ = story.place(story.run())
    began, ended = (record.timestamp for record in story.log.records(f"{NS}.outcomes", shard))
    assert (seen.started_at, seen.finished_at, seen.duration) == (began, ended, ended - began)


def test_a_run_under_way_is_started_and_has_an_age(story: Story) -> None:
    story.says(story.run(), "started", started_at=story.at(-125_000))
    seen = story.only()
    assert (seen.status, seen.open, seen.finished_at, seen.duration) == ("started", True, None, None)
    assert "2m5s so far" in run("runs", log=story.log).stdout


def test_what_comes_twice_or_late_or_out_of_order_changes_nothing(story: Story) -> None:
    late = story.run()
    story.says(f"{late}#2", "succeeded")
    story.says(f"{late}#2", "failed", error={"type": "E"})
    story.says(late, "failed", error={"type": "E"})
    story.says(late, "started")
    seen = story.only()
    assert (seen.status, seen.n, seen.attempts, seen.error) == ("succeeded", 2, 2, None)


def test_attempts_are_firings_that_used_one_up(story: Story) -> None:
    for firing, status in (("", "snoozed"), ("#2", "failed"), ("#3", "started")):
        story.says(story.run() + firing, status)
    seen = story.only()
    assert (seen.status, seen.n, seen.attempts) == ("started", 3, 2)


def test_the_error_is_one_line(story: Story) -> None:
    story.says(story.run(), "failed", error={"type": "E", "message": "one\n two\x1b[31m" + "x" * 5000})
    assert (story.only().error or "").startswith("E: one two")
    table = run("runs", log=story.log).stdout
    assert "\x1b" not in table
    assert len(table.splitlines()) == 2


def test_of_several_executors_that_began_a_firing_the_last_one_counts(story: Story) -> None:
    story.says(story.run(), "started", started_at=story.at(-90_000), executor="dead")
    story.says(story.run(), "started", started_at=story.at(-30_000), executor="alive")
    seen = story.only()
    assert (seen.executor, seen.started_at) == ("alive", story.now - 30_000)
    story.says(story.run(), "succeeded", finished_at=story.at())
    assert (story.only().executor, story.only().duration) == ("alive", 30_000)


@pytest.mark.parametrize("status", ["started", "snoozed"])
def test_of_a_run_whose_job_is_deleted_nothing_is_still_to_come(story: Story, status: str) -> None:
    story.says(story.run("gone"), status, started_at=story.at(-125_000), until=story.at(1))
    seen = story.only()
    assert (seen.status, seen.open, seen.next_at, seen.duration) == (status, False, None, None)
    assert "so far" not in run("runs", log=story.log).stdout
    story.job("gone")
    assert story.only().open


# --- one run: what its shard's owner made of it ---


def test_the_times_shown_are_those_of_the_firing_that_is_counted(story: Story) -> None:
    story.says(story.run(), "started", started_at=story.at(-9000), executor="pod-1")
    story.says(story.run(), "failed", finished_at=story.at(-8000), executor="pod-1")
    story.record(story.run(), RunStatus.FIRED, n=2, attempt=2)
    seen = story.only()
    assert (seen.status, seen.attempts, seen.n) == ("fired", 2, 2)
    assert (seen.fired_at, seen.started_at, seen.executor, seen.duration) == (story.now, None, None, None)
    waiting = {"next_at": story.now + 1, "started": story.now - 500}
    story.record(story.run(), RunStatus.FAILED, n=2, attempt=2, **waiting)
    seen = story.only()  # its outcome came after the outcomes were read
    assert (seen.status, seen.attempts, seen.started_at, seen.executor) == ("failed", 2, story.now - 500, None)
    story.says(f"{story.run()}#2", "failed", started_at=story.at(-600), finished_at=story.at(), executor="pod-2")
    seen = story.only()
    assert (seen.attempts, seen.started_at, seen.duration, seen.executor) == (2, story.now - 600, 600, "pod-2")


def test_an_event_of_more_attempts_than_were_seen_lends_them_no_times(story: Story) -> None:
    story.says(story.run(), "failed", started_at=story.at(-9000), finished_at=story.at(-8000), executor="pod-1")
    story.event(story.run(), "run_failed", status="timed_out", attempts=2)
    seen = story.only()
    assert (seen.attempts, seen.started_at, seen.executor) == (2, None, None)


def test_a_failed_run_that_is_tried_again_says_when(story: Story) -> None:
    story.says(story.run(), "failed", error={"type": "E", "message": "no"})
    story.record(story.run(), RunStatus.FAILED, next_at=story.now + 10_000, error="E: no")
    seen = story.only()
    assert (seen.status, seen.open, seen.next_at) == ("failed", True, story.now + 10_000)
    shown = run("runs", "--failed", log=story.log).stdout.splitlines()[1]
    assert shown.endswith(f"  again at {story.at(10_000)}  E: no")


def test_an_owners_record_that_is_behind_says_nothing(story: Story) -> None:
    story.record(story.run(), RunStatus.FAILED, next_at=story.now, error="E: no")
    story.says(f"{story.run()}#2", "succeeded")
    assert (story.only().status, story.only().error, story.only().open) == ("succeeded", None, False)


def test_a_started_run_is_over_when_its_outcome_is_there_before_its_owner_says_so(story: Story) -> None:
    story.record(story.run(), RunStatus.STARTED, started=story.now)
    story.says(story.run(), "succeeded")
    assert (story.only().status, story.only().open) == ("succeeded", False)


def test_a_run_that_was_fired_and_began_is_started(story: Story) -> None:
    story.record(story.run(), RunStatus.FIRED)
    assert story.only().status == "fired"
    story.says(story.run(), "started")
    assert story.only().status == "started"


@pytest.mark.parametrize("status", [RunStatus.TIMED_OUT, RunStatus.LOST])
def test_what_only_the_owner_decides_is_in_its_record(story: Story, status: RunStatus) -> None:
    story.says(story.run(), "started", started_at=story.at(-60_000))
    story.record(story.run(), status, settled_at=story.now, error="nothing was heard of it", attempt=2, n=2)
    story.says(f"{story.run()}#2", "succeeded")  # too late
    seen = story.only()
    assert (seen.status, seen.error, seen.attempts, seen.open) == (status, "nothing was heard of it", 2, False)
    assert seen.failed


def test_once_the_record_is_gone_the_event_says_it(story: Story) -> None:
    one, two, three, four = (story.run(ago=ago) for ago in (4, 3, 2, 1))
    error = {"type": "Timeout", "message": "after 5m"}
    story.event(one, "run_failed", status="timed_out", attempts=3, error=error)
    story.event(two, "run_lost", attempts=1)
    story.says(three, "failed")
    story.event(three, "run_failed", attempts=1, error=error)
    story.says(four, "started")
    story.event(four, "run_failed", attempts=1, error=error)
    seen = {one.run: (one.status, one.attempts, one.error) for one in story.look()}
    assert seen == {
        one: ("timed_out", 3, "Timeout: after 5m"),
        two: ("lost", 1, None),
        three: ("failed", 1, "Timeout: after 5m"),
        four: ("timed_out", 1, "Timeout: after 5m"),
    }


def test_a_record_that_is_taken_away_leaves_what_else_is_known(story: Story) -> None:
    story.says(story.run(), "succeeded")
    story.record(story.run(), RunStatus.SUCCEEDED, settled_at=story.now)
    shard, _ = story.place(story.run())
    story.raw("state", f"run/{story.run()}".encode(), None, shard)
    assert story.only().status == "succeeded"


# --- which runs ---


def test_the_run_that_was_begun_last_is_last(story: Story) -> None:
    for job, ago in (("b", 3000), ("a", 5000), ("c", 1000)):
        story.says(story.run(job), "succeeded", started_at=story.at(-ago), finished_at=story.at())
    story.remembers(Run(story.run("z"), story.now, "schedule", story.now - 2000))
    assert [one.job for one in story.look()] == ["a", "b", "z", "c"]
    assert [one["job"] for one in data("runs", log=story.log)] == ["a", "b", "z", "c"]


def test_names_and_globs_choose_and_names_alone_read_their_shards_alone(story: Story) -> None:
    jobs = [f"job-{number}" for number in range(8)]
    for job in jobs:
        story.says(story.run(job), "succeeded")
    assert {one.job for one in story.look("job-1", "job-7")} == {"job-1", "job-7"}
    assert {one.job for one in story.look("job-[0-3]", "job-7")} == {"job-0", "job-1", "job-2", "job-3", "job-7"}
    home, _ = story.place(story.run("job-1"))
    for partition in {0, 1, 2} - {home}:
        story.log.set_available(f"{NS}.outcomes", partition, available=False)
    assert [one.job for one in story.look("job-1")] == ["job-1"]


def test_since_leaves_out_what_is_over_and_keeps_what_is_under_way(story: Story) -> None:
    story.says(story.run(ago=2), "succeeded")
    story.record(story.run(ago=1), RunStatus.SNOOZED, next_at=story.now)
    assert [one.run for one in story.look(since=-HOUR)] == [story.run(ago=1)]
    story.record(story.run(ago=1), RunStatus.LOST, settled_at=story.now)
    assert story.look(since=-HOUR) == []
    assert len(story.look()) == 2


def test_the_command_chooses_failed_ones_and_the_newest(story: Story) -> None:
    for number in range(5):
        story.says(story.run(ago=5 - number), "failed" if number % 2 else "succeeded")
    shown = data("runs", "--failed", log=story.log)
    assert [one["run"] for one in shown] == [story.run(ago=4), story.run(ago=2)]
    result = run("runs", "--limit", "2", log=story.log)
    assert "the newest 2 of 5 runs are shown; --limit N shows more" in result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == [story.run(ago=2), story.run(ago=1)]


def test_a_job_without_runs_is_told_from_no_job(story: Story) -> None:
    with Owner(story.log):
        run("apply", "-f", "-", log=story.log, text="- {name: idle, schedule: {every: 1h}}")
    idle = run("runs", "idle", log=story.log)
    assert (idle.exit_code, "job idle had no run since" in idle.stderr) == (0, True)
    ghost = run("runs", "ghost", log=story.log)
    assert (ghost.exit_code, "there is no job ghost in namespace ns" in ghost.stderr) == (3, True)
    assert run("runs", "gho*", log=story.log).exit_code == 0
    assert run("runs", "--since", "soon", log=story.log).exit_code == 2


def test_a_deleted_job_still_has_its_runs(story: Story) -> None:
    story.says(story.run("gone"), "succeeded")
    assert run("runs", "gone", log=story.log).exit_code == 0


def test_the_client_reads_runs(story: Story) -> None:
    story.says(story.run(ago=1), "succeeded")
    story.says(story.run(), "failed")
    with Client(log=story.log, namespace=NS) as client:
        assert [one.status for one in client.runs()] == ["succeeded", "failed"]
        assert [one.status for one in client.runs(["a"], since=timedelta(minutes=5), failed=True)] == ["failed"]
        assert client.runs(["b*"]) == ()
        assert client.runs(since=story.at(HOUR)) == ()
        with pytest.raises(InvalidSpecError):
            client.runs(["[a"])


# --- the table, and what is said beside it ---

HANDLER = """
- {name: bill, schedule: {every: 1s}, target: {headers: {kadence-app: billing}}, overlap: skip}
- {name: plain, schedule: {every: 1s}}
- {name: rare, schedule: {every: 1000d}}
"""


def test_a_run_that_succeeded_shows_no_error_of_an_earlier_attempt(story: Story) -> None:
    story.says(story.run(), "failed", error={"type": "E", "message": "no"})
    story.says(f"{story.run()}#2", "succeeded")
    story.record(story.run(), RunStatus.SUCCEEDED, n=2, attempt=2, settled_at=story.now, error="E: no")
    assert (story.only().status, story.only().error) == ("succeeded", None)


def test_a_run_that_waits_for_its_job_says_so(story: Story) -> None:
    with Owner(story.log):
        assert run("apply", "-f", "-", log=story.log, text=HANDLER).exit_code == 0
        assert run("pause", "bill", log=story.log).exit_code == 0
    for name in ("bill", "bill!probe-1", "plain"):
        one = story.run(name) if "!" not in name else name
        story.record(one, RunStatus.FAILED, next_at=story.now - 60_000)
    lines = {line.split()[0]: line for line in run("runs", log=story.log).stdout.splitlines()[1:]}
    assert "when the job runs again" in lines[story.run("bill")]
    again = f"again at {story.at(-60_000)}"
    assert (again in lines["bill!probe-1"], again in lines[story.run("plain")]) == (True, True)


def test_a_name_that_is_no_job_is_refused_before_anything_is_shown(story: Story) -> None:
    story.says(story.run(), "succeeded")
    for follow in ([], ["--follow"]):
        result = run("runs", "a", "nosuch", *follow, log=story.log)
        assert (result.exit_code, result.stdout) == (3, "")


def test_runs_that_nobody_begins_point_to_who_should(story: Story) -> None:
    with Owner(story.log):
        assert run("apply", "-f", "-", log=story.log, text=HANDLER).exit_code == 0
    for job, ago in (("bill", 125_000), ("bill", 40_000), ("plain", 50_000), ("rare", 20_000)):
        story.remembers(Run(story.run(job, ago), story.now, "trigger", story.now - ago))
    result = run("runs", log=story.log)
    assert result.stderr == (
        f"kadence: 2 runs wait since {story.at(-125_000)}: is an executor of app billing running?\n"
        f"kadence: 1 run waits since {story.at(-50_000)}: job plain has runs that nobody reports on\n"
    )
    assert "waits 2m5s" in result.stdout


def test_jobs_that_were_due_and_of_which_nothing_is_heard_are_named(story: Story) -> None:
    clock = ManualClock(datetime.fromtimestamp(story.now // 1000, UTC))
    with Owner(story.log):
        assert run("apply", "-f", "-", log=story.log, text=HANDLER).exit_code == 0
    clock.advance("50s")
    invocation = Invocation(namespace=NS, log=story.log, clock=clock)
    for names, told in (((), True), (("plain",), True), (("rare",), False)):
        result = CliRunner().invoke(cli, ["runs", *names], obj=invocation, catch_exceptions=False)
        assert ("job plain has runs that nobody reports on" in result.stderr) == told
        assert ("app billing" in result.stderr) == (told and not names)
        assert "rare has" not in result.stderr


# --- garbage ---

GARBAGE: list[tuple[bytes | None, bytes | None]] = [
    (None, None),
    (None, b"{}"),
    (b"a", None),
    (b"a", b"{"),
    (b"a", b"\xff\xfe"),
    (b"\xff", b'{"id":"a!x","status":"succeeded"}'),
    (b"a", b"[]"),
    (b"a", b'{"id":"b!x","status":"succeeded"}'),
    (b"a", b'{"id":"a@yesterday","status":"succeeded"}'),
    (b"a", b'{"id":"a!x#1","status":"succeeded"}'),
    (b"a", b'{"id":"a!x","status":"done"}'),
    (b"a", b'{"id":7,"status":"succeeded"}'),
    (b"a", b'{"id":"a!x","status":"succeeded","finished_at":"now"}'),
    (b"a", b"[" * 100_000),
    (b"a", b'{"id":"a!x","status":"succeeded","result":"' + b"x" * 700_000 + b'"}'),
    (b"a" * 100_000, b'{"id":"a!x","status":"succeeded"}'),
]


def test_garbage_among_the_outcomes_is_counted_and_left_out(story: Story) -> None:
    for key, value in GARBAGE:
        story.raw("outcomes", key, value, 1)
    story.says(story.run(), "succeeded")
    result = run("runs", log=story.log)
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 2)
    assert f"left out {len(GARBAGE)} records of ns.outcomes: not about a run" in result.stderr


def test_garbage_among_state_records_and_events_says_nothing(story: Story) -> None:
    failed = [("ce_type", b"kadence.job.run_failed.v1")]
    for key, value in GARBAGE:
        story.raw("events", key, value, 1, failed)
        story.raw("events", key, value, 1)
        story.raw("state", b"run/a!x", value, 1)
        story.raw("state", b"run/\xff" + (key or b""), value or b"{}", 1)
    for detail in ({"run": 1}, {"run": "a!x#2"}, {"run": "nonsense"}, {"run": ["a!x"]}):
        story.raw("events", b"a", json.dumps(detail).encode(), 1, failed)
    for extra in ({"attempts": "many", "error": 5}, {"attempts": True, "error": {"type": 1}}, {"error": "plain"}):
        story.raw("events", b"a", json.dumps({"run": "a!y", **extra}).encode(), 1, failed)
    seen = story.look()
    assert [(one.run, one.status, one.attempts, one.error) for one in seen] == [("a!y", "timed_out", 1, "plain")]


# --- following ---


class Followed:
    """A reader that lets something happen each time all is read, and is interrupted (Ctrl-C) when nothing is left."""

    def __init__(self, reader: MemoryReader, script: list[Any]) -> None:
        self._reader, self._script = reader, script

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever the reader has
        return getattr(self._reader, name)

    def read(self, limit: int, timeout: float) -> list[Record]:
        found = self._reader.read(limit, 0)
        if not found and timeout > 0.5:  # waiting for news
            if not self._script:
                raise KeyboardInterrupt
            self._script.pop(0)()
        return found


class FollowedLog:
    """A log of which every reader is `Followed`."""

    def __init__(self, log: MemoryLog, script: list[Any]) -> None:
        self._log, self._script = log, script

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever the log has
        return getattr(self._log, name)

    def reader(self) -> Any:  # noqa: ANN401  a reader in all but name
        return Followed(self._log.reader(), self._script)


def follow(story: Story, script: list[Any], *arguments: str) -> list[str]:
    """What is printed after what there was, while these things happen."""
    log: Any = FollowedLog(story.log, script)
    invocation = Invocation(namespace=NS, log=log)
    result = CliRunner().invoke(cli, ["runs", "--follow", *arguments], obj=invocation, catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout.splitlines()


def test_following_shows_each_attempt_once_as_it_ends(story: Story) -> None:
    story.says(story.run("before"), "succeeded")
    one = story.run()
    error = {"type": "E", "message": "no"}
    lines = follow(
        story,
        [
            lambda: story.says(one, "started"),
            lambda: story.says(one, "failed", error=error),
            lambda: story.says(one, "failed", error=error),
            lambda: story.record(one, RunStatus.FAILED, next_at=story.now),
            lambda: story.says(f"{one}#2", "failed", error=error),
            lambda: story.event(one, "run_failed", status="failed", attempts=2, error=error),
            lambda: story.event(story.run("z"), "run_lost", attempts=1),
        ],
    )
    assert [line.split()[:3] for line in lines] == [
        ["RUN", "STATUS", "ATTEMPTS"],
        [story.run("before"), "succeeded", "1"],
        [one, "failed", "1"],
        [one, "failed", "2"],
        [story.run("z"), "lost", "1"],
    ]


def test_following_says_once_that_no_broker_answers(story: Story) -> None:
    def away(*, gone: bool) -> None:
        for shard in range(3):
            story.log.set_available(f"{NS}.outcomes", shard, available=not gone)

    nothing = [lambda: None] * 12
    script = [lambda: away(gone=True), *nothing, lambda: away(gone=False), *nothing]
    log: Any = FollowedLog(story.log, script)
    result = CliRunner().invoke(cli, ["runs", "--follow"], obj=Invocation(namespace=NS, log=log))
    assert result.stderr == "kadence: no broker answers; waiting for one\nkadence: a broker answers again\n"


def test_following_an_empty_log_leaves_room_for_what_comes(story: Story) -> None:
    head, line = follow(story, [lambda: story.says(story.run("a-job-of-some-len"), "succeeded", executor="pod-1234")])
    assert [head.index(title) for title in ("STATUS", "EXECUTOR")] == [line.index("succeeded"), line.index("pod-1234")]


def failing(story: Story) -> list[Any]:
    """A run whose second attempt times out, and whose third fails for good."""
    one, error = story.run(), {"type": "E", "message": "no"}
    again = {"next_at": story.now + 10_000}
    return [
        lambda: story.says(one, "failed", error=error),
        lambda: story.record(one, RunStatus.FAILED, **again),
        lambda: story.record(one, RunStatus.FIRED, n=2, attempt=2),
        lambda: story.record(one, RunStatus.TIMED_OUT, n=2, attempt=2, **again),
        lambda: story.record(one, RunStatus.FIRED, n=3, attempt=3),
        lambda: story.says(f"{one}#3", "failed", error=error),
        lambda: story.record(one, RunStatus.FAILED, n=3, attempt=3, settled_at=story.now),
        lambda: story.event(one, "run_failed", status="failed", attempts=3, error=error),
    ]


@pytest.mark.parametrize("at_once", [False, True])
def test_following_tells_a_failure_that_is_tried_again_from_a_final_one(story: Story, *, at_once: bool) -> None:
    steps = failing(story)
    script = [lambda: [step() for step in steps]] if at_once else steps
    told = [json.loads(line) for line in follow(story, script, "-o", "json")]
    assert [(one["status"], one["attempts"], one["open"]) for one in told] == [
        ("failed", 1, True),
        ("timed_out", 2, True),
        ("failed", 3, False),
    ]
    assert at_once or [one["next_at"] is None for one in told] == [False, False, True]


def test_a_failure_of_which_its_owner_says_nothing_is_told_after_a_while(story: Story) -> None:
    clock = ManualClock()
    with RunLog(story.log, NS, Matches(()), clock=clock) as runs:
        assert runs.recent() == []
        story.says(story.run(), "failed")
        for _ in range(3):
            assert runs.poll(0) == []
        clock.advance("2s")
        assert [one.status for one in runs.poll(0)] == ["failed"]
        story.record(story.run(), RunStatus.FAILED, settled_at=story.now)
        assert [one for _ in range(3) for one in runs.poll(0)] == []


def test_following_as_json_is_one_object_a_line_of_those_asked_for(story: Story) -> None:
    script = [
        lambda: story.says(story.run("a", 1), "succeeded"),
        lambda: story.says(story.run("a"), "failed"),
        lambda: story.says(story.run("other"), "failed"),
        lambda: story.raw("outcomes", b"a", b"{", story.place(story.run())[0]),
    ]
    lines = follow(story, script, "[a]", "--failed", "-o", "json")
    assert [(json.loads(line)["run"], json.loads(line)["status"]) for line in lines] == [(story.run("a"), "failed")]


def test_what_was_shown_before_is_not_told_again_by_its_owner(story: Story) -> None:
    one = story.run()
    story.says(one, "failed")
    lines = follow(story, [lambda: story.event(one, "run_failed", status="failed", attempts=1)])
    assert len(lines) == 2


def test_following_goes_on_where_retention_took_what_was_not_read(story: Story) -> None:
    with RunLog(story.log, NS, Matches(()), since=0) as runs:
        assert runs.recent() == []
        assert runs.poll(0) == []
        shard, _ = story.place(story.run())
        for ago in (3, 2, 1):
            story.says(story.run(ago=ago), "succeeded")
        story.log.retain(f"{NS}.outcomes", shard, 2)
        seen = [one.run for _ in range(3) for one in runs.poll(0)]
        assert seen == [story.run(ago=1)]


def test_following_for_long_forgets_what_is_over(story: Story) -> None:
    runs = Runs()
    for ago in range(12_000):
        story.says(story.run(ago=ago), "succeeded" if ago else "started")
    shard, _ = story.place(story.run())
    for record in story.log.records(f"{NS}.outcomes", shard):
        runs.outcome(record)
    runs.forget(SystemClock().wall() + HOUR)
    assert [one.run for one in runs.all()] == [story.run()]


@pytest.mark.parametrize(
    ("duration", "text"), [(0, "0ms"), (250, "250ms"), (1234, "1.2s"), (59_999, "60.0s"), (200_999, "3m20s")]
)
def test_a_duration_is_as_exact_as_it_is_short(duration: int, text: str) -> None:
    assert duration_text(duration) == text
