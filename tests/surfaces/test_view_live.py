"""The live view says of its jobs what a snapshot would, however far the log has got in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kadence.clock import SystemClock
from kadence.errors import ConfigurationError, UnreachableError
from kadence.log.memory import MemoryLog
from kadence.view import snapshot
from kadence.view.live import LiveView
from tests.surfaces.commandline import run
from tests.surfaces.owner import NS, Owner, a_log

if TYPE_CHECKING:
    from collections.abc import Iterator

_JOBS = """
- { name: one, schedule: { every: 1h }, tags: [batch] }
- { name: two, schedule: { every: 1h } }
- { name: other, schedule: { every: 1h } }
"""
_STEPS = (
    ("apply", "-f", "-"),
    ("pause", "one", "--reason", "stocktaking"),
    ("hold", "freeze", "--tag", "batch"),
    ("resume", "one"),
    ("pause", "two"),
    ("release", "freeze"),
    ("resume", "two"),
    ("delete", "two"),
)


@pytest.fixture
def log() -> Iterator[MemoryLog]:
    log = a_log()
    with Owner(log):
        yield log


def test_it_follows_every_change(log: MemoryLog) -> None:
    live = LiveView(log, NS, ["one", "two", "three"], SystemClock())
    for step in _STEPS:
        assert run(*step, log=log, text=_JOBS).exit_code == 0
        live.catch_up(10)
        whole = snapshot(log, NS)
        for name in ("one", "two", "three"):
            mine, theirs = live.job(name), whole.jobs.get(name)
            assert (mine is None) == (theirs is None), (step, name)
            if mine is not None and theirs is not None:
                assert (mine.state, mine.reason, mine.holds) == (theirs.state, theirs.reason, theirs.holds), step
    live.close()


def test_what_cannot_be_read_in_time_is_said_and_then_gone_on_with(log: MemoryLog) -> None:
    assert run("apply", "-f", "-", log=log, text=_JOBS).exit_code == 0
    live = LiveView(log, NS, ["one"], SystemClock())
    live.catch_up(10)
    log.set_available(f"{NS}.control", 0, available=False)
    with pytest.raises(UnreachableError):
        live.catch_up(0.1)
    log.set_available(f"{NS}.control", 0, available=True)
    assert run("pause", "one", log=log).exit_code == 0
    live.catch_up(10)
    job = live.job("one")
    assert job is not None
    assert job.state == "paused"
    live.close()


def test_without_topics_it_says_so() -> None:
    with pytest.raises(ConfigurationError):
        LiveView(MemoryLog(SystemClock().wall), NS, ["one"], SystemClock()).catch_up(1)
