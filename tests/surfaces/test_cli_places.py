"""The command line itself: its options before and after the verb, its errors, `next`, `topics`, and pipes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from typing_extensions import override

import kadence
from kadence.cli.context import Invocation
from kadence.cli.main import VERBS, cli, exit_code
from kadence.cli.reach import why_unreachable
from kadence.errors import (
    ConfigurationError,
    InvalidSpecError,
    KadenceError,
    NotConfirmedError,
    NotFoundError,
    RefusedError,
    RejectedError,
    SettingsError,
    UnreachableError,
)
from kadence.log.memory import MemoryLog
from kadence.log.memory.reader import MemoryReader
from kadence.wire.state import CURSOR, CursorRecord, encode_cursor
from tests.surfaces.commandline import data, run
from tests.surfaces.owner import NS, a_log

if TYPE_CHECKING:
    from click.testing import Result

_CLI = "from kadence.cli.main import main; main()"
_SOURCE = Path(kadence.__file__).parents[1]


def data_of(result: Result) -> Any:  # noqa: ANN401  JSON
    return json.loads(result.stdout)


CODES: list[tuple[KadenceError, int]] = [
    (KadenceError("x"), 1),
    (ConfigurationError("x"), 1),
    (RefusedError("topic", "x"), 1),
    (SettingsError("x"), 2),
    (InvalidSpecError("x"), 2),
    (NotFoundError("x"), 3),
    (RejectedError("x"), 4),
    (NotConfirmedError("x", 1), 5),
    (UnreachableError("x"), 6),
]


@pytest.mark.parametrize(("error", "code"), CODES, ids=[type(row[0]).__name__ for row in CODES])
def test_every_error_has_its_exit_code(error: KadenceError, code: int) -> None:
    assert exit_code(error) == code


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    result = run(verb, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: cli {verb} ")


def test_help_lists_every_verb_without_loading_any() -> None:
    shown = run("--help").stdout
    commands, _, after = shown.partition("Commands:\n")[2].partition("\n\n")
    assert [line.split()[0] for line in commands.splitlines()] == list(VERBS)
    codes = [line.split()[0] for line in after.splitlines()[1:]]
    assert (after.strip().partition("\n")[0], codes) == ("Exit codes:", [*"0123456", "130"])


def test_the_version() -> None:
    assert run("--version").stdout == f"kadence {kadence.__version__}\n"


def test_where_to_work_may_stand_before_or_after_the_verb(tmp_path: Path) -> None:
    file = tmp_path / "kadence.toml"
    file.write_text('bootstrap_servers = "file:1"\n')
    invocation = Invocation()
    before = ["--config", str(file), "--namespace", "before"]
    CliRunner().invoke(cli, [*before, "next", "--every", "1h", "--namespace", "after"], obj=invocation)
    assert (invocation.namespace, invocation.settings().bootstrap_servers) == ("after", "file:1")


def test_the_environment_says_where_too_and_an_option_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KADENCE_BOOTSTRAP_SERVERS", "env:1")
    assert Invocation().settings().bootstrap_servers == "env:1"
    assert Invocation(bootstrap_servers="option:1").settings().bootstrap_servers == "option:1"


def test_a_namespace_that_is_none_is_said_in_one_sentence() -> None:
    result = CliRunner().invoke(cli, ["list", "--namespace", "a b"], obj=Invocation(log=a_log()))
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "the setting namespace" in result.stderr


# (arguments, environment, what is said)
BAD_PLACES: list[tuple[list[str], dict[str, str], str]] = [
    (
        ["--bootstrap-servers", "foo:bar"],
        {},
        "the setting bootstrap_servers (KADENCE_BOOTSTRAP_SERVERS) cannot be 'foo",
    ),
    (["--bootstrap-servers", ""], {}, "cannot be '': it takes host:port with a port from 1 to 65535"),
    (["--bootstrap-servers", "a:9092,host:99999"], {}, "cannot be 'a:9092,host:99999'"),
    (["--config", "nowhere.toml"], {}, "nowhere.toml cannot be read: No such file or directory"),
    ([], {"KADENCE_METRICS_PORT": "http"}, "the setting metrics_port (KADENCE_METRICS_PORT) cannot be 'http'"),
    ([], {"KADENCE_KAFKA_ACKS": "0"}, "the Kafka property acks cannot be set"),
    ([], {"KADENCE_KAFKA_NO_SUCH": "x"}, 'No such configuration property: "no.such"'),
]


@pytest.mark.parametrize(("arguments", "env", "message"), BAD_PLACES)
@pytest.mark.parametrize("verb", [["list"], ["topics", "check"], ["worker"]])
def test_a_setting_that_is_none_is_a_usage_error_at_once(
    verb: list[str], arguments: list[str], env: dict[str, str], message: str
) -> None:
    result = CliRunner(env=env).invoke(cli, [*verb, *arguments], obj=Invocation(namespace=NS))
    assert (result.exit_code, result.stderr.count("\n"), message in result.stderr) == (2, 1, True), result.stderr


def test_missing_topics_are_answered_with_topics_init() -> None:
    result = run("list", log=MemoryLog(lambda: 0))
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "`kadence topics init --namespace ns`" in result.stderr


def test_a_remedy_names_the_namespace_unless_it_is_the_default() -> None:
    log = MemoryLog(lambda: 0)
    assert run("list", "--namespace", "kadence", log=log).stderr.count("`kadence topics init`") == 1
    found = data_of(run("topics", "check", "-o", "json", log=log))["errors"]
    assert {finding["remedy"] for finding in found} == {"create it with: kadence topics init --namespace ns"}
    log.admin().create(f"{NS}.state", 1, 1, {"message.timestamp.type": "LogAppendTime", "cleanup.policy": "compact"})
    log.admin().create(f"{NS}.events", 2, 1, {"message.timestamp.type": "LogAppendTime"})
    told = run("topics", "check", log=log).stderr
    assert "topic ns.events has 2 partitions but there is 1 shard\n" in told
    assert "and run: kadence topics init --namespace ns\n" in told


def test_one_of_a_thing_is_not_counted_as_many() -> None:
    log = MemoryLog(lambda: 0)
    done = run("topics", "init", "--shards", "1", "--replication", "1", log=log).stdout
    assert "created ns.state: 1 partition, replication 1, compact\n" in done
    again = run("topics", "init", "--shards", "2", log=log).stdout
    assert again == "ns.state has 1 partition already, so there is 1 shard\n"
    assert run("topics", "check", log=log).stdout.endswith("as a worker needs them: 1 shard\n")
    log = MemoryLog(lambda: 0)
    log.admin().create(f"{NS}.control", 1, 1, {})
    assert "1 topic of namespace ns is kept on 1 broker only: " in run("topics", "check", log=log).stderr


def test_an_unreachable_partition_names_the_brokers_and_leaves_with_6() -> None:
    log = a_log()
    log.set_available(f"{NS}.control", 0, available=False)
    result = run("list", "--bootstrap-servers", "far:9092", log=log)
    assert (result.exit_code, result.stderr.count("\n")) == (6, 1)
    assert "no answer from far:9092" in result.stderr
    assert "--bootstrap-servers or KADENCE_BOOTSTRAP_SERVERS" in result.stderr


def test_verbose_shows_where_an_error_came_from() -> None:
    result = run("list", "-v", log=MemoryLog(lambda: 0))
    assert "Traceback" in result.stderr
    assert "Traceback" not in run("list", log=MemoryLog(lambda: 0)).stderr


# --- next ---

BERLIN = ["--timezone", "Europe/Berlin"]
# (flags, from, the first two due times)
NEXT = [
    (["--every", "30s"], "2026-01-01T00:00:00Z", ["2026-01-01T00:00:30Z", "2026-01-01T00:01:00Z"]),
    (["--every", "7d", "--offset", "1h"], "2026-01-01T00:00:00Z", ["2026-01-01T01:00:00Z", "2026-01-08T01:00:00Z"]),
    (["--cron", "0 9 * * MON"], "2026-01-01T00:00:00Z", ["2026-01-05T09:00:00Z", "2026-01-12T09:00:00Z"]),
    (["--cron", "30 2 * * *", *BERLIN], "2026-10-24T00:00:00Z", ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z"]),
    (
        ["--cron", "30 2 25 10 *", *BERLIN, "--dst", "fold=both"],
        "2026-10-24T00:00:00Z",
        ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"],
    ),
    (
        ["--cron", "30 2 29 3 *", *BERLIN, "--dst", "gap=skip,fold=first"],
        "2026-01-01T00:00:00Z",
        ["2027-03-29T00:30:00Z", "2028-03-29T00:30:00Z"],
    ),
    (["--cron", "* * * * * *"], "2026-01-01T00:00:00.500Z", ["2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"]),
]


@pytest.mark.parametrize(("flags", "after", "expected"), NEXT)
def test_next_computes_due_times_without_a_broker(flags: list[str], after: str, expected: list[str]) -> None:
    assert data("next", *flags, "--from", after, "--count", "2") == expected


def test_next_is_strictly_after_from() -> None:
    flags = ["--every", "1s", "--from", "2026-01-01T00:00:00Z", "--count", "1"]
    assert data("next", *flags) == ["2026-01-01T00:00:01Z"]


def test_next_begins_now() -> None:
    [due] = data("next", "--every", "1h", "--count", "1")
    assert due.endswith(":00:00Z")


def test_an_h_is_resolved_by_the_jobs_name() -> None:
    first = data("next", "invoices", "--cron", "H H * * *", "--count", "1")
    assert first == data("next", "invoices", "--cron", "H H * * *", "--count", "1")
    assert first != data("next", "reports", "--cron", "H H * * *", "--count", "1")


def test_next_shows_the_wall_clock_of_the_zone() -> None:
    flags = ["--cron", "0 9 * * *", "--timezone", "Europe/Berlin", "--from", "2026-07-01T00:00:00Z", "--count", "1"]
    lines = run("next", *flags).stdout.splitlines()
    assert [line.split() for line in lines] == [
        ["DUE", "EUROPE/BERLIN"],
        ["2026-07-01T07:00:00Z", "2026-07-01", "09:00:00+02:00"],
    ]


def test_a_schedule_that_has_ended_says_so() -> None:
    assert run("next", "--every", "1d", "--from", "2199-12-31T00:00:00Z").stdout == "no due time is left\n"


BAD_NEXT = [
    ([], "give one of NAME, --cron and --every"),
    (["--cron", "* * * * *", "--every", "1s"], "give one of"),
    (["name", "--every", "1s"], "give one of"),
    (["name", "--timezone", "UTC"], "--timezone and --dst go with --cron"),
    (["--cron", "* * * * *", "--offset", "1s"], "--offset goes with --every"),
    (["--cron", "* * * * *", "--dst", "both"], "--dst takes gap="),
    (["--cron", "* * * * *", "--dst", "fold=third"], '"fold" must be'),
    (["--cron", "* * *"], "fields"),
    (["--cron", "* * * * *", "--timezone", "Berlin"], 'did you mean "Europe/Berlin"?'),
    (["--every", "1ms"], "at least 100 ms"),
]


@pytest.mark.parametrize(("flags", "message"), BAD_NEXT)
def test_a_schedule_that_is_none_is_a_usage_error(flags: list[str], message: str) -> None:
    result = run("next", *flags)
    assert (result.exit_code, message in result.stderr) == (2, True), result.stderr


# --- topics ---


def test_topics_init_then_check() -> None:
    log = MemoryLog(lambda: 0)
    log.set_brokers(3)
    assert run("topics", "check", log=log).exit_code == 1
    done = run("topics", "init", "--shards", "4", log=log)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1] == "created ns.state: 4 partitions, replication 3, compact"
    assert run("topics", "init", "--shards", "4", log=log).stdout == "the topics of namespace ns are all there\n"
    checked = run("topics", "check", log=log)
    assert checked.stdout == "the topics of namespace ns are as a worker needs them: 4 shards\n"
    assert data("topics", "check", log=log) == {"ok": True, "shards": 4, "errors": [], "warnings": []}


@pytest.mark.parametrize(("applied", "told"), [(("another", 0), "is another topic"), (("", 9), "ends at offset 0")])
def test_topics_check_sees_a_control_topic_that_shards_have_not_applied(applied: tuple[str, int], told: str) -> None:
    log = MemoryLog(lambda: 0)
    log.set_brokers(3)
    run("topics", "init", "--shards", "2", log=log)
    topic_id = applied[0] or log.admin().describe([f"{NS}.control"])[f"{NS}.control"].topic_id
    cursor = CursorRecord(1_800_000_000_000, None, applied[1], topic_id, 0, "w", "2026f")
    log.appender().append(f"{NS}.state", 1, CURSOR, encode_cursor(cursor))
    checked = run("topics", "check", log=log)
    assert (checked.exit_code, checked.stdout) == (1, "")
    assert told in checked.stderr
    assert "shard 1 had applied" in checked.stderr
    assert f"kadence topics init --namespace {NS}" in checked.stderr


class Blind(MemoryReader):
    """A reader whose login may see the namespace's topics and no others."""

    @override
    def partitions(self, topic: str, timeout: float) -> int:
        if not topic.startswith(f"{NS}."):
            raise ConfigurationError(f"topic {topic} cannot be used: TOPIC_AUTHORIZATION_FAILED; ask for its ACLs")
        return super().partitions(topic, timeout)


class Guarded(MemoryLog):
    """A cluster with access control."""

    @override
    def reader(self) -> MemoryReader:
        return Blind(self._cluster, self.process)


def test_topics_needs_no_access_beyond_its_namespace() -> None:
    assert run("topics", "init", log=Guarded(lambda: 0)).exit_code == 0


def test_topics_init_as_json_is_one_document() -> None:
    log = MemoryLog(lambda: 0)
    log.set_brokers(3)
    found = data("topics", "init", "--shards", "2", log=log)
    assert (len(found["done"]), found["ok"], found["shards"], found["errors"]) == (6, True, 2, [])
    assert data("topics", "init", log=log)["done"] == ["ns.state has 2 partitions already, so there are 2 shards"]


def test_the_number_of_shards_may_come_from_the_environment() -> None:
    log = MemoryLog(lambda: 0)
    assert run("topics", "init", log=log, env={"KADENCE_SHARDS": "5"}).exit_code == 0
    assert log.admin().describe([f"{NS}.state"])[f"{NS}.state"].partitions == 5


def test_topics_check_tells_each_problem_with_its_remedy() -> None:
    log = a_log()
    log.admin().alter(f"{NS}.state", {"cleanup.policy": "compact,delete"})
    log.admin().alter(f"{NS}.events", {"retention.ms": "1"})
    result = run("topics", "check", "--bootstrap-servers", "here:9092", log=log)
    assert result.exit_code == 1
    assert (
        "error: topic ns.state has cleanup.policy=compact,delete and must have compact\n    set it: " in result.stderr
    )
    assert "--bootstrap-server here:9092" in result.stderr
    assert "warning: topic ns.events" in result.stderr
    found = run("topics", "check", "-o", "json", log=log)
    assert (found.exit_code, json.loads(found.stdout)["ok"]) == (1, False)


def test_topics_init_refuses_what_only_deleting_mends() -> None:
    log = MemoryLog(lambda: 0)
    log.admin().create(f"{NS}.control", 2, 1, {})
    result = run("topics", "init", log=log)
    assert (result.exit_code, "must have exactly 1" in result.stderr) == (1, True)


# --- the process ---


def process(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(_SOURCE), **extra}
    return subprocess.run(
        [sys.executable, "-c", _CLI, *arguments], capture_output=True, text=True, env=env, timeout=60, check=False
    )


def test_a_process_answers_on_stdout_and_leaves_with_its_code() -> None:
    done = process("next", "--every", "1h", "--count", "1", "--from", "2026-01-01T00:00:00Z", "-o", "json")
    assert (done.returncode, json.loads(done.stdout), done.stderr) == (0, ["2026-01-01T01:00:00Z"], "")
    assert process("next").returncode == 2


def test_brokers_that_are_not_there_are_one_sentence() -> None:
    done = process("pause", "a", "--no-wait", "--bootstrap-servers", "127.0.0.1:1", KADENCE_KAFKA_LOG_LEVEL="3")
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (6, 1, "")


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    reading, writing = os.pipe()
    env = {**os.environ, "PYTHONPATH": str(_SOURCE)}
    arguments = ["next", "--every", "1s", "--count", "100000"]
    child = subprocess.Popen([sys.executable, "-c", _CLI, *arguments], stdout=writing, stderr=subprocess.PIPE, env=env)
    os.close(writing)
    os.close(reading)
    _, errors = child.communicate(timeout=60)
    assert (child.returncode, errors) == (0, b"")


def test_why_brokers_do_not_answer_is_told_by_a_plain_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert why_unreachable(f"127.0.0.1:{port},elsewhere:1") is None
    assert why_unreachable(f"PLAINTEXT://127.0.0.1:{port}") == f"nothing listens at 127.0.0.1:{port}"
    assert why_unreachable("nosuchhost.invalid:9092") == "the host name nosuchhost.invalid is not known"
