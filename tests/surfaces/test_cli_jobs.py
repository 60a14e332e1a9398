"""Verbs on jobs and holds: what they write, what they say, with which exit code they leave."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from kadence.cli.context import Invocation
from kadence.cli.main import cli
from kadence.client import Client
from kadence.clock import SystemClock
from kadence.domain.duration import parse_time
from tests.surfaces.commandline import data, run
from tests.surfaces.owner import NS, Owner, a_log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kadence.log.memory import MemoryLog

JOBS = """
- name: invoices
  schedule: { cron: "0 9 * * MON-FRI", timezone: Europe/Berlin }
  tags: [billing]
- name: reports
  schedule: { every: 1h }
  tags: [billing, slow]
"""


@pytest.fixture
def log() -> Iterator[MemoryLog]:
    """A log with an owner and two jobs."""
    log = a_log()
    with Owner(log):
        assert run("apply", "-f", "-", log=log, text=JOBS).exit_code == 0
        yield log


def last(log: MemoryLog) -> tuple[str, Any]:
    record = log.records(f"{NS}.control", 0)[-1]
    return (record.key or b"").decode(), None if record.value is None else json.loads(record.value)


def listed(log: MemoryLog) -> dict[str, str]:
    return {job["name"]: job["state"] for job in data("list", log=log)}


# --- exit codes: one table ---

# (what is done first, the command, exit code, stdout, stderr)
STORIES: list[tuple[str, list[str], int, str, str]] = [
    ("", ["list"], 0, "invoices", ""),
    ("", ["get", "invoices"], 0, "cron", ""),
    ("", ["get", "ghost"], 3, "", "there is no job ghost in namespace ns"),
    ("", ["next", "ghost"], 3, "", "there is no job ghost"),
    ("", ["next", "invoices"], 0, "EUROPE/BERLIN", ""),
    (
        "pause invoices --reason audit",
        ["next", "invoices"],
        0,
        "EUROPE/BERLIN",
        "job invoices is paused (audit): these",
    ),
    ("pause reports --for 36h", ["next", "reports"], 0, ":00:00Z", ", and it does not fire before 20"),
    (
        "hold freeze --all",
        ["next", "reports"],
        0,
        ":00:00Z",
        "job reports is paused (hold freeze): these are the times",
    ),
    ("pause invoices", ["next", "invoices", "-o", "json"], 0, "[", ""),
    ("", ["pause", "invoices"], 0, "paused invoices: in force\n", ""),
    ("", ["pause", "ghost"], 0, "paused ghost: in force; there is no job ghost yet\n", ""),
    ("", ["pause", "a/b"], 2, "", "'a/b' is no name"),
    ("", ["pause", "inv*"], 2, "", "`kadence hold HOLD --name 'inv*'`"),
    ("", ["resume", "invoices", "report?"], 2, "", "`kadence release HOLD`"),
    ("", ["pause", "invocies"], 0, "no job invocies yet", "did you mean invoices? To take this back: kadence resume"),
    ("", ["resume", "report"], 0, "there is no job report yet", "there is no job report; did you mean reports?\n"),
    ("", ["pause"], 2, "", "Missing argument"),
    ("", ["pause", "invoices", "--for", "soon"], 2, "", "is not a duration"),
    ("", ["pause", "invoices", "--until", "2026-01-01"], 2, "", "is not an RFC 3339 time"),
    ("", ["pause", "invoices", "--until", "2020-01-01T00:00:00Z"], 2, "", "would be over already"),
    ("", ["pause", "invoices", "--for", "1h", "--until", "2099-01-01T00:00:00Z"], 2, "", "not both"),
    ("", ["resume", "invoices"], 0, "resumed invoices: in force\n", ""),
    ("", ["resume", "ghost"], 0, "there is no job ghost yet", ""),
    ("", ["resume", "invoices", "--catch-up", "some"], 2, "", "'some' is not one of"),
    ("", ["delete", "invoices"], 0, "deleted invoices: in force\n", ""),
    ("", ["delete", "ghost"], 3, "", "there is no job ghost to delete"),
    ("", ["delete", "ghost", "reports"], 3, "deleted reports: in force\n", "there is no job ghost to delete"),
    ("", ["trigger", "invoices", "--id", "x1"], 0, "invoices!x1\n", ""),
    ("trigger invoices --id x1", ["trigger", "invoices", "--id", "x1"], 4, "", "duplicate: id 'x1'"),
    ("", ["trigger", "ghost"], 3, "", "there is no job ghost in namespace ns to trigger; `kadence list` shows"),
    ("", ["trigger", "invoices", "--payload", "{no"], 2, "", "is not JSON"),
    ("", ["hold", "freeze", "--tag", "billing"], 0, "hold freeze: in force\n", ""),
    ("", ["hold", "freeze"], 2, "", "--tag T or --name GLOB"),
    ("", ["hold", "freeze", "--all", "--tag", "billing"], 2, "", "--all goes without --tag and --name"),
    ("", ["hold", "freeze", "--all", "--catch-up", "all"], 2, "", "kadence release freeze --catch-up all"),
    ("", ["hold", "freeze", "--all", "--end", "2020-01-01T00:00:00Z"], 2, "", "would be over already"),
    ("", ["hold", "freeze", "--all", "--start", "2020-01-01T00:00:00Z", "--for", "1h"], 2, "", "would be over already"),
    (
        "",
        ["hold", "h", "--all", "--start", "2099-01-02T00:00:00Z", "--end", "2099-01-01T00:00:00Z"],
        2,
        "",
        "--end must be later than --start",
    ),
    ("", ["hold", "freeze", "--name", "[b-a]"], 2, "", "is no glob"),
    ("", ["hold", "freeze", "--all", "--for", "1h", "--end", "2099-01-01T00:00:00Z"], 2, "", "not both"),
    ("", ["release", "freeze"], 3, "", "there is no hold freeze"),
    ("hold freeze --all", ["release", "freeze"], 0, "released freeze: in force\n", ""),
    ("", ["release", "freeze", "--catch-up", "all"], 3, "", "there is no hold freeze in force"),
    ("hold freeze --all", ["release", "freeze", "--catch-up", "all"], 0, "released freeze: in force\n", ""),
    ("", ["holds"], 0, "NAME", ""),
    ("", ["status"], 0, "worker-1", ""),
    ("", ["nonsense"], 2, "", "No such command"),
]


@pytest.mark.parametrize(("first", "command", "code", "out", "err"), STORIES, ids=[" ".join(row[1]) for row in STORIES])
def test_what_a_command_says_and_leaves_with(
    log: MemoryLog, first: str, command: list[str], code: int, out: str, err: str
) -> None:
    if first:
        assert run(*first.split(), log=log).exit_code == 0
    result = run(*command, log=log)
    assert (result.exit_code, out in result.stdout, err in result.stderr) == (code, True, True), result.output
    assert bool(err) == bool(result.stderr)


WRITERS = [
    ["pause", "a", "b"],
    ["resume", "a"],
    ["delete", "a"],
    ["hold", "h", "--all"],
    ["release", "h"],
    ["trigger", "a"],
    ["apply", "-f", "-"],
]


@pytest.mark.parametrize("command", WRITERS, ids=[row[0] for row in WRITERS])
def test_without_a_worker_a_writer_says_recorded_and_leaves_with_5(command: list[str]) -> None:
    result = run(*command, "--wait", "50ms", log=a_log(), text=JOBS)
    assert result.exit_code == 5
    assert "recorded at offset" in result.output
    assert "once a worker runs" in result.output


@pytest.mark.parametrize("command", WRITERS, ids=[row[0] for row in WRITERS])
def test_not_waiting_is_done_once_it_is_recorded(command: list[str]) -> None:
    log = a_log()
    result = run(*command, "--no-wait", log=log, text=JOBS)
    assert (result.exit_code, result.stderr) == (0, "")
    assert log.records(f"{NS}.control", 0)


# --- what is written ---


def test_a_pause_is_signed_and_has_a_reason_and_an_end(log: MemoryLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "anna")
    run("pause", "invoices", "--reason", "audit", "--until", "2099-01-01T00:00:00+01:00", log=log)
    assert last(log) == (
        "pause/invoices",
        {"paused": True, "until": "2098-12-31T23:00:00Z", "by": "anna", "reason": "audit"},
    )


def test_several_jobs_are_paused_at_once(log: MemoryLog) -> None:
    result = run("pause", "invoices", "reports", "invoices", log=log)
    assert result.stdout == "paused invoices: in force\npaused reports: in force\n"
    assert listed(log) == {"invoices": "paused", "reports": "paused"}


def test_a_pause_for_no_job_is_pointed_out_without_a_worker_too() -> None:
    log = a_log()
    run("apply", "-f", "-", "--no-wait", log=log, text=JOBS)
    result = run("pause", "invocies", "ghost", "reports", "--wait", "50ms", log=log)
    assert result.exit_code == 5
    assert result.stderr == (
        "kadence: there is no job invocies; did you mean invoices? To take this back: kadence resume invocies\n"
        "kadence: there is no job ghost yet\n"
    )


def test_resuming_with_catch_up(log: MemoryLog) -> None:
    run("pause", "invoices", log=log)
    run("resume", "invoices", "--catch-up", "all", log=log)
    key, value = last(log)
    assert (key, value["paused"], value["catch_up"]) == ("pause/invoices", False, "all")


def test_a_hold_with_all_its_options(log: MemoryLog) -> None:
    run(
        *("hold", "freeze", "--tag", "billing", "--name", "re*", "--not-tag", "x", "--not-name", "y*"),
        *("--start", "2099-01-01T00:00:00Z", "--for", "6h", "--catch-up", "latest", "--reason", "move"),
        log=log,
    )
    key, value = last(log)
    del value["by"]
    assert (key, value) == (
        "hold/freeze",
        {
            "match": {"tags": ["billing"], "names": ["re*"], "not": {"tags": ["x"], "names": ["y*"]}},
            "start": "2099-01-01T00:00:00Z",
            "end": "2099-01-01T06:00:00Z",
            "catch_up": "latest",
            "reason": "move",
        },
    )


def test_a_trigger_with_a_payload(log: MemoryLog) -> None:
    run("trigger", "invoices", "--payload", '{"month": 3}', log=log)
    assert last(log)[1]["payload"] == {"month": 3}
    run("trigger", "invoices", "--payload", "null", log=log)
    assert last(log)[1]["payload"] is None
    run("trigger", "invoices", log=log)
    assert "payload" not in last(log)[1]


def test_a_trigger_tells_its_id_whatever_becomes_of_it(log: MemoryLog) -> None:
    done = data("trigger", "invoices", "--id", "x1", log=log)
    assert (done["kind"], done["name"], done["fate"], done["id"], done["run"]) == (
        *("trigger", "invoices", "in_force", "x1", "invoices!x1"),
    )
    alone = a_log()
    late = run("trigger", "invoices", "--wait", "50ms", log=alone)
    key, _ = last(alone)
    token = key.rpartition("/")[2]
    assert (late.exit_code, late.stdout) == (5, f"invoices!{token}\n")
    assert f"repeating it with --id {token} never runs it twice" in late.stderr
    alone.set_available(f"{NS}.control", 0, available=False)
    lost = run("trigger", "invoices", log=alone)
    assert (lost.exit_code, "repeat it with --id " in lost.stderr) == (6, True)


def test_a_hold_and_its_release_over_the_list(log: MemoryLog) -> None:
    run("hold", "freeze", "--tag", "slow", "--reason", "move", log=log)
    jobs = {job["name"]: job for job in data("list", log=log)}
    assert (jobs["reports"]["state"], jobs["reports"]["reason"], jobs["reports"]["holds"]) == (
        "paused",
        "hold freeze: move",
        ["freeze"],
    )
    assert jobs["invoices"]["state"] == "running"
    [hold] = data("holds", log=log)
    assert (hold["name"], hold["state"], hold["matched"]) == ("freeze", "active", 1)
    run("release", "freeze", log=log)
    assert listed(log) == {"invoices": "running", "reports": "running"}


def test_a_release_with_catch_up_writes_the_hold_again_with_its_end(log: MemoryLog) -> None:
    run("hold", "freeze", "--tag", "slow", "--reason", "move", log=log)
    before = SystemClock().wall()
    assert run("release", "freeze", "--catch-up", "latest", log=log).exit_code == 0
    key, value = last(log)
    del value["by"]
    assert before <= parse_time(value.pop("end")) <= SystemClock().wall()
    assert (key, value) == ("hold/freeze", {"match": {"tags": ["slow"]}, "catch_up": "latest", "reason": "move"})
    [hold] = data("holds", log=log)
    assert (hold["state"], hold["catch_up"], listed(log)["reports"]) == ("ended", "latest", "running")
    again = run("release", "freeze", "--catch-up", "all", log=log)
    assert (again.exit_code, "what it kept was decided then" in again.stderr) == (3, True)
    assert run("release", "freeze", log=log).stdout == "released freeze: in force\n"
    assert data("holds", log=log) == []


def test_a_hold_that_has_not_begun_has_nothing_to_catch_up(log: MemoryLog) -> None:
    run("hold", "freeze", "--all", "--start", "2099-01-01T00:00:00Z", log=log)
    assert run("release", "freeze", "--catch-up", "all", log=log).exit_code == 0
    assert last(log) == ("hold/freeze", None)


# --- whether anybody is there ---


class LaterClock:
    """The machine's clocks, with wall time put forward by so many ms."""

    def __init__(self, ahead: int) -> None:
        self.ahead = ahead

    def wall(self) -> int:
        return SystemClock().wall() + self.ahead

    def monotonic(self) -> int:
        return SystemClock().monotonic()


@pytest.mark.parametrize("command", [["list"], ["get", "invoices"]])
def test_shards_that_nobody_seems_to_run_are_named(log: MemoryLog, command: list[str]) -> None:
    def told(ahead: int, *more: str) -> str:
        invocation = Invocation(namespace=NS, log=log, clock=LaterClock(ahead))
        return CliRunner().invoke(cli, [*command, *more], obj=invocation, catch_exceptions=False).stderr

    assert told(0) == ""
    assert told(120_000, "-o", "json") == ""
    warning = told(120_000)
    assert warning.startswith("kadence: warning: no worker has shown a sign of life since 20")
    assert warning.endswith(": nothing fires there; start one with `kadence worker --namespace ns`\n")
    assert warning.count("\n") == 1


def test_shards_that_nobody_ever_ran_are_named() -> None:
    log = a_log(12)
    jobs = json.dumps([{"name": f"job-{number}", "schedule": {"every": "1h"}} for number in range(100)])
    run("apply", "-f", "-", "--no-wait", log=log, text=jobs)
    warning = run("list", log=log).stderr
    assert warning.startswith("kadence: warning: no worker has ever run shards 0, 1, 2, 3, 4 and 7 more: nothing fires")


def test_next_says_that_a_job_is_over(log: MemoryLog) -> None:
    run("apply", "-f", "-", log=log, text="{name: once, schedule: {at: 2020-01-01T00:00:00Z}}")
    result = run("next", "once", log=log)
    assert (result.stdout, "job once is finished" in result.stderr) == ("no due time is left\n", True)


# --- what was rejected ---


def test_taking_away_what_was_rejected_is_no_not_found(log: MemoryLog) -> None:
    for key, value in ((b"job/bad", b"{}"), (b"hold/bad", b'{"match": {}}')):
        log.appender().append(f"{NS}.control", 0, key, value)
    assert listed(log)["bad"] == "rejected"
    table = run("holds", log=log).stdout.splitlines()
    assert table[1].split()[:6] == ["bad", "rejected", "-", "-", "-", "-"]
    deleted = run("delete", "bad", log=log)
    assert (deleted.exit_code, deleted.stdout, deleted.stderr) == (0, "deleted bad: in force\n", "")
    released = run("release", "bad", log=log)
    assert (released.exit_code, released.stdout, released.stderr) == (0, "released bad: in force\n", "")
    assert (run("delete", "bad", log=log).exit_code, run("release", "bad", log=log).exit_code) == (3, 3)
    assert (data("holds", log=log), "bad" in listed(log)) == ([], False)


def test_holds_says_that_the_newest_record_of_a_hold_was_rejected(log: MemoryLog) -> None:
    run("hold", "freeze", "--tag", "slow", log=log)
    log.appender().append(f"{NS}.control", 0, b"hold/freeze", b"{}")
    result = run("holds", log=log)
    assert result.stdout.splitlines()[1].split()[:5] == ["freeze", "active", "tag", "slow", "1"]
    assert "the newest record of hold freeze, at offset 3, was rejected; the one before it is shown" in result.stderr


# --- what is shown ---


def test_list_as_json_has_the_promised_fields(log: MemoryLog) -> None:
    [job] = data("list", "inv*", log=log)
    assert {"name", "state", "reason", "holds", "next"} <= job.keys()
    assert job["next"].endswith(("T08:00:00Z", "T07:00:00Z"))  # nine in Berlin


def test_list_can_be_narrowed(log: MemoryLog) -> None:
    run("pause", "reports", log=log)
    assert [job["name"] for job in data("list", "--state", "paused", log=log)] == ["reports"]
    assert [job["name"] for job in data("list", "--tag", "slow", log=log)] == ["reports"]
    assert [job["name"] for job in data("list", "in*", log=log)] == ["invoices"]


def test_the_list_is_an_aligned_table(log: MemoryLog) -> None:
    lines = run("list", log=log).stdout.splitlines()
    assert lines[0].split() == ["NAME", "STATE", "NEXT", "SCHEDULE", "REASON"]
    column = lines[0].index("SCHEDULE")
    assert [line[column:] for line in lines[1:]] == ["0 9 * * MON-FRI Europe/Berlin", "every 1h"]


def test_get_is_readable(log: MemoryLog) -> None:
    run("pause", "invoices", "--reason", "audit", log=log)
    shown = run("get", "invoices", log=log).stdout
    assert "state     paused\n" in shown
    assert "reason    audit\n" in shown
    assert '"timezone": "Europe/Berlin"' in shown


def test_get_as_json_has_the_definition(log: MemoryLog) -> None:
    job = data("get", "reports", log=log)
    assert job["spec"] == {"schedule": {"every": "1h"}, "tags": ["billing", "slow"]}
    assert (job["offset"], job["pause"], job["breaker"], job["rejected"]) == (1, None, None, None)


def test_status_shows_shards_counts_and_holds(log: MemoryLog) -> None:
    run("hold", "freeze", "--all", log=log)
    status = data("status", log=log)
    assert (status["jobs"]["paused"], len(status["shards"]), status["holds"][0]["name"]) == (2, 3, "freeze")
    assert {shard["worker"] for shard in status["shards"]} == {"worker-1"}
    table = run("status", log=log).stdout
    assert table.startswith("namespace ns  jobs 2  running 0  paused 2  errored 0  finished 0\n")
    assert "freeze  active  all" in table


def test_writers_can_answer_in_json(log: MemoryLog) -> None:
    answer = data("pause", "invoices", log=log)
    assert answer == [
        {"kind": "pause", "name": "invoices", "offset": 2, "fate": "in_force", "error": None, "found": True}
    ]


def test_next_of_a_job_is_what_its_schedule_says(log: MemoryLog) -> None:
    assert data("next", "invoices", "--from", "2026-03-27T08:00:00Z", "--count", "2", log=log) == [
        "2026-03-30T07:00:00Z",
        "2026-03-31T07:00:00Z",
    ]


def test_a_hold_over_no_job_says_so_and_which_tag_was_meant(log: MemoryLog) -> None:
    assert run("hold", "y", "--tag", "billng", log=log).stderr == (
        "kadence: hold y is over no job now, only over those created later that match; did you mean --tag billing?\n"
    )
    assert run("hold", "z", "--tag", "billing", log=log).stderr == ""


def test_a_job_that_is_errored_when_it_is_applied_or_resumed_is_told() -> None:
    log = a_log()
    job = [{"name": "a", "schedule": {"every": "1h"}, "target": {"topic": "gone"}}]
    with Owner(log) as owner:
        owner.lose_target("gone", "does not exist")
        applied = run("apply", "-f", "-", log=log, text=json.dumps(job))
        assert (applied.exit_code, applied.stdout) == (0, "applied a: in force\n")
        assert applied.stderr == "kadence: job a is errored: target gone: does not exist\n"
        assert run("resume", "a", log=log).stderr == applied.stderr


def test_status_tells_pauses_without_a_job(log: MemoryLog) -> None:
    run("pause", "invoice", log=log)
    assert "pauses that wait for a job of their name: invoice\n" in run("status", log=log).stdout


def test_an_interruption_says_what_becomes_of_what_was_written(log: MemoryLog, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "submit", interrupted)
    result = run("pause", "invoices", log=log)
    assert (result.exit_code, result.stderr) == (
        130,
        "\nkadence: interrupted; what was recorded before takes effect all the same\n",
    )
