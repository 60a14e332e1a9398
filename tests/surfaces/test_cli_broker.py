"""The command line against a real broker and a real worker: each verb waits until it is in force."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import kadence
from kadence.client import Client
from kadence.domain.holds import Matches
from kadence.domain.partition import partition_for
from kadence.domain.stimulus import Failure
from kadence.errors import NotConfirmedError
from kadence.log.kafka import KafkaLog
from kadence.log.port import EARLIEST
from kadence.settings import Settings
from kadence.view.runlog import RunLog
from kadence.wire import outcome
from kadence.worker.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kadence.testing.broker import Cluster

pytestmark = pytest.mark.broker

_SOURCE = Path(kadence.__file__).parents[1]
_CLI = "from kadence.cli.main import main; main()"
SHARDS = 2


class Shell:
    """Runs `kadence` as a process of its own, as people do."""

    def __init__(self, servers: str, namespace: str) -> None:
        self.place = {"KADENCE_BOOTSTRAP_SERVERS": servers, "KADENCE_NAMESPACE": namespace}

    def run(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, **self.place, "PYTHONPATH": str(_SOURCE)}
        command = [sys.executable, "-c", _CLI, *arguments]
        return subprocess.run(command, input=text, capture_output=True, text=True, env=env, timeout=90, check=False)

    def __call__(self, *arguments: str, text: str | None = None) -> str:
        done = self.run(*arguments, text=text)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *arguments: str) -> Any:  # noqa: ANN401  JSON
        return json.loads(self(*arguments, "-o", "json"))


@pytest.fixture
def shell(broker: Cluster, namespace: str) -> Shell:
    shell = Shell(broker.bootstrap_servers, namespace)
    shell("topics", "init", "--shards", str(SHARDS))
    return shell


@contextmanager
def a_worker(servers: str, namespace: str) -> Iterator[Worker]:
    worker = Worker(Settings(bootstrap_servers=servers, namespace=namespace, metrics_port=0), health=False)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def test_every_verb_on_a_real_broker(broker: Cluster, namespace: str, shell: Shell) -> None:
    with a_worker(broker.bootstrap_servers, namespace):
        jobs = "- {name: a, schedule: {every: 1h}, tags: [x]}\n- {name: b, schedule: {every: 1h}}\n"
        assert shell("apply", "-f", "-", text=jobs) == "applied a: in force\napplied b: in force\n"
        assert shell("pause", "a", "ghost", "--reason", "audit") == (
            "paused a: in force\npaused ghost: in force; there is no job ghost yet\n"
        )
        listed = {job["name"]: job for job in shell.json("list")}
        assert (listed["a"]["state"], listed["a"]["reason"], listed["b"]["state"]) == ("paused", "audit", "running")
        assert shell("hold", "freeze", "--tag", "x") == "hold freeze: in force\n"
        assert shell("resume", "a") == "resumed a: in force\n"
        assert shell.json("get", "a")["reason"] == "hold freeze"
        assert shell("release", "freeze") == "released freeze: in force\n"
        assert shell("trigger", "a", "--id", "once") == "a!once\n"
        again = shell.run("trigger", "a", "--id", "once")
        assert (again.returncode, "duplicate" in again.stderr, again.stderr.count("\n")) == (4, True, 1)
        status = shell.json("status")
        assert status["jobs"] == {"running": 2, "paused": 0, "errored": 0, "finished": 0}
        assert len({shard["worker"] for shard in status["shards"]}) == 1
        assert shell.run("release", "freeze").returncode == 3
        assert shell("delete", "a") == "deleted a: in force\n"
        assert shell.run("delete", "a").returncode == 3
        assert [job["name"] for job in shell.json("list")] == ["b"]


def test_a_run_that_failed_for_good_is_looked_at_and_run_again(broker: Cluster, namespace: str, shell: Shell) -> None:
    log = KafkaLog(broker.bootstrap_servers)
    home, error = partition_for(b"a", SHARDS), Failure("TimeoutError", "no answer", "Traceback\n  in pay")
    appender, reader = log.appender(), log.reader()
    reader.assign(f"{namespace}.dead_letters", home, EARLIEST)
    with a_worker(broker.bootstrap_servers, namespace), RunLog(log, namespace, Matches(("a",)), since=0) as runs:
        shell("apply", "-f", "-", text="- {name: a, schedule: {every: 1h}, payload: {n: 1}, breaker: {failures: 1}}")
        assert runs.recent() == []
        assert shell("trigger", "a", "--id", "x", "--payload", '{"n": 2}') == "a!x\n"
        for status in ("started", "failed"):
            told = outcome.encode("a!x", status, error=error if status == "failed" else None, executor="pod-1")
            appender.append(f"{namespace}.outcomes", home, b"a", told)
        assert [letter.key for letter in reader.read(1, 60)] == [b"a"]
        [told_once] = next(found for _ in range(10) if (found := runs.poll(10)))
        assert (told_once.run, told_once.status, told_once.error) == ("a!x", "failed", "TimeoutError: no answer")
        [run] = shell.json("runs", "a", "--failed", "--since", "5m")
        assert (run["run"], run["attempts"], run["open"], run["executor"]) == ("a!x", 1, False, "pod-1")
        [letter] = shell.json("dlq", "list", "--since", "5m")
        shown = shell.json("dlq", "show", letter["run"])
        assert (shown["payload"], shown["stacktrace"]) == ({"n": 2}, "Traceback\n  in pay")
        again = shown["retry"]
        assert shell("dlq", "retry", "a!x") == f"retried a!x: as {again}\n"
        assert shell("dlq", "retry", "--all", "a") == f"retried a!x: already, as {again}\n"
        reader.assign(f"{namespace}.executions", home, EARLIEST)
        fired = [record for _ in range(2) for record in reader.read(1, 60)]
        assert [(dict(one.headers)["ce_id"].decode(), one.value) for one in fired] == [
            ("a!x", b'{"n":2}'),
            (again, b'{"n":2}'),
        ]
    appender.close()
    reader.close()


def test_without_a_worker_a_command_is_recorded_and_comes_into_force_with_one(
    broker: Cluster, namespace: str, shell: Shell
) -> None:
    done = shell.run("pause", "a", "--wait", "300ms")
    assert (done.returncode, done.stdout) == (5, "paused a: recorded at offset 0, in force once a worker runs\n")
    shell("apply", "-f", "-", "--no-wait", text='[{"name": "a", "schedule": {"every": "1h"}}]')
    assert shell.json("get", "a")["state"] == "pending"
    with (
        a_worker(broker.bootstrap_servers, namespace),
        Client(broker.bootstrap_servers, namespace=namespace) as client,
    ):
        client.put("b", {"schedule": {"every": "1h"}}, wait=60)
        client.hold("h", {"all": True}, wait=60)  # every shard has been taken over now
        assert (client.get("a").state, client.get("b").state) == ("paused", "paused")
        assert client.get("a").holds == ("h",)


def test_a_thousand_jobs_are_confirmed_at_once(broker: Cluster, namespace: str, shell: Shell) -> None:
    specs = {f"job-{number}": {"schedule": {"every": "1h"}} for number in range(1_000)}
    with Client(broker.bootstrap_servers, namespace=namespace) as client:
        with pytest.raises(NotConfirmedError):
            client.put_all(specs, wait=0.1)
        with a_worker(broker.bootstrap_servers, namespace):
            written = client.put_all(specs, wait=60)
        assert {one.fate for one in written} == {"in_force"}
        view = client.status()
        assert (len(view.jobs), view.counts()["running"]) == (1_000, 1_000)
