"""`kadence demo`: what it shows of itself while it runs, and what it leaves behind."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from typing_extensions import override

from kadence.cli.context import Invocation
from kadence.cli.main import cli
from kadence.client import Client
from kadence.clock import SystemClock
from kadence.demo.run import JOBS, run
from kadence.log.kafka import KafkaLog

if TYPE_CHECKING:
    from click.testing import Result

    from kadence.testing.broker import Cluster


class Screen:
    """Takes what the demo says, and ends it once a line contains ``word``."""

    def __init__(self, word: str) -> None:
        self.lines: list[str] = []
        self.stop = threading.Event()
        self._word = word

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        if self._word in line:
            self.stop.set()


@pytest.mark.parametrize("verb", ["init", "check"])
def test_topics_is_told_at_once_that_it_speaks_to_the_demos_broker(verb: str) -> None:
    found: list[Result] = []
    took: list[int] = []

    class Asking(Screen):
        @override
        def __call__(self, line: str) -> None:
            super().__call__(line)
            if line.startswith("kadence demo: an embedded broker at "):
                servers = line.split()[6].rstrip(",")
                began = SystemClock().monotonic()
                found.append(
                    CliRunner().invoke(cli, ["topics", verb, "--bootstrap-servers", servers], obj=Invocation())
                )
                took.append(SystemClock().monotonic() - began)

    screen = Asking("Executions as they commit")
    run(None, None, 30, screen, screen.stop)
    [result] = found
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1), result.output
    assert "is the broker of `kadence demo`: its topics are there already" in result.stderr
    assert took[0] < 5_000


@pytest.mark.broker
def test_on_a_real_cluster_its_jobs_are_gone_at_the_end_and_what_stays_is_said(broker: Cluster) -> None:
    screen = Screen("heartbeat@")
    run(broker.bootstrap_servers, None, 60, screen, screen.stop)
    ends = screen.lines.index("The demo ends.")
    topics = r"'kadence-demo\.(control|state|executions|outcomes|events|dead_letters)'"
    assert screen.lines[ends + 1 :] == [
        f"Its jobs are deleted: {', '.join(JOBS)}.",
        "The topics of namespace kadence-demo stay, with what was executed.",
        "To delete them, once no demo runs any more:",
        f"  kafka-topics.sh --bootstrap-server {broker.bootstrap_servers} --delete --topic {topics}",
    ]
    with Client(broker.bootstrap_servers, namespace="kadence-demo") as client:
        assert client.list() == ()


def test_the_demo_shows_what_became_of_a_command() -> None:
    class Typing(Screen):
        @override
        def __call__(self, line: str) -> None:
            super().__call__(line)
            if [" heartbeat@" in said for said in self.lines].count(True) == 1 and " heartbeat@" in line:
                log = KafkaLog(self.lines[0].split()[6].rstrip(","))
                appender = log.appender()
                appender.append("kadence.control", 0, b"pause/heartbeat", b'{"pausd":true}')
                appender.append("kadence.control", 0, b"pause/heartbeat", b'{"paused":true,"reason":"a first try"}')
                appender.close()

    screen = Typing("paused: a first try")
    run(None, None, 30, screen, screen.stop)
    told = [line.split(maxsplit=2)[1:] for line in screen.lines if "pause" in line and line.startswith("20")]
    assert [told[0][0], told[1]] == ["pause/heartbeat", ["heartbeat", "paused: a first try"]]
    assert told[0][1].startswith("rejected: unknown field 'pausd' in a pause; did you mean 'paused'?")
