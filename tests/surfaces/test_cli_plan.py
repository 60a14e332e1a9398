"""`kadence plan`: what starting an app's executor would change, shown and never written."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from tests.surfaces.commandline import data, run
from tests.surfaces.owner import NS, Owner, a_log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kadence.log.memory import MemoryLog

PROGRAM = """
from kadence import App
app = App("billing", revision=3, defaults={"overlap": "allow", "breaker": None})
for name in ("new", "other", "same", "theirs", "newer"):
    app.job(name, every="1h")(lambda: None)
empty = App("empty")
"""
CHANGED = (
    "schedule: every 2h -> every 1h, timeout: 5m -> none, "
    'target.headers: none -> {"kadence-app":"billing"}, managed_by: none -> billing, revision: none -> 3'
)
JOBS = """
- {name: other, schedule: {every: 2h}, timeout: 5m}
- {name: same, schedule: {every: 1h}, managed_by: billing, revision: 3, target: {headers: {kadence-app: billing}}}
- {name: theirs, schedule: {every: 1h}, managed_by: shipping}
- {name: newer, schedule: {every: 1h}, managed_by: billing, revision: 4}
- {name: old, schedule: {every: 1h}, managed_by: billing, revision: 2}
- {name: to-come, schedule: {every: 1h}, managed_by: billing, revision: 4}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    sys.modules.pop("kadence_story", None)
    (tmp_path / "kadence_story.py").write_text(PROGRAM)


@pytest.fixture
def log() -> Iterator[MemoryLog]:
    """A log with jobs that were there before."""
    log = a_log()
    with Owner(log):
        assert run("apply", "-f", "-", log=log, text=JOBS).exit_code == 0
        yield log


def test_a_plan_as_a_table(log: MemoryLog) -> None:
    before = len(log.records(f"{NS}.control", 0))
    result = run("plan", "kadence_story:app", log=log)
    assert (result.exit_code, len(log.records(f"{NS}.control", 0))) == (0, before)
    assert result.stdout.splitlines() == [
        "JOB     WHAT       FIELDS",
        "new     created",
        f"other   changed    {CHANGED}",
        "same    unchanged",
        "theirs  foreign    it is managed by shipping",
        "newer   stale      revision 3 is older than 4, which is in force",
        "old     kept       not in the app any more; it goes on firing: kadence delete old --namespace ns",
    ]
    assert result.stderr == (
        "kadence: warning: job theirs is left alone: it is managed by shipping; give one of the two another name, or "
        "delete the other one\n"
        "kadence: app billing: 1 would be created and 1 would be changed\n"
    )


def test_a_plan_as_json(log: MemoryLog) -> None:
    shown = data("plan", "kadence_story:app", log=log)
    assert [(one["name"], one["what"]) for one in shown] == [
        ("new", "created"),
        ("other", "changed"),
        ("same", "unchanged"),
        ("theirs", "foreign"),
        ("newer", "stale"),
        ("old", "kept"),
    ]
    assert shown[1] == {
        "name": "other",
        "what": "changed",
        "fields": ["schedule", "timeout", "target.headers", "managed_by", "revision"],
        "changes": {
            "schedule": [{"every": "2h"}, {"every": "1h"}],
            "timeout": ["5m", None],
            "target.headers": [None, {"kadence-app": "billing"}],
            "managed_by": [None, "billing"],
            "revision": [None, 3],
        },
        "why": None,
    }
    assert shown[3]["why"] == "it is managed by shipping"


def test_the_exit_code_tells_on_request() -> None:
    log = a_log()
    assert run("plan", "kadence_story:app", "--exit-code", log=log).exit_code == 1
    assert run("plan", "kadence_story:app", log=log).exit_code == 0
    result = run("plan", "kadence_story:empty", "--exit-code", "-o", "json", log=log)
    assert (result.exit_code, json.loads(result.stdout), result.stderr) == (0, [], "kadence: app empty has no jobs\n")


def test_nothing_would_change(log: MemoryLog, tmp_path: Path) -> None:
    (tmp_path / "kadence_story.py").write_text(PROGRAM.replace('"new", "other", "same", "theirs", "newer"', '"same",'))
    result = run("plan", "kadence_story:app", "--exit-code", log=log)
    assert (result.exit_code, result.stderr) == (0, "kadence: app billing: nothing would change\n")


def test_a_program_that_is_not_right_is_a_usage_error(tmp_path: Path) -> None:
    program = tmp_path / "kadence_story.py"
    program.write_text("import kadence\n\nkadence.App('a').job('tick', evry='1h')\n")
    result = run("plan", "kadence_story:app", log=a_log())
    assert result.exit_code == 2
    assert result.stderr == (
        f"kadence: module kadence_story cannot be imported: {program}, line 3: job tick: "
        "unknown field 'evry' in a job; did you mean 'every'?\n"
    )


def test_verbose_shows_no_frame_of_what_reads_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "kadence_story.py").write_text("def f():\n    1 / 0\nf()\n")
    told = run("plan", "kadence_story:app", "-v", log=a_log()).stderr
    assert ("Traceback" in told, "in f" in told, "ZeroDivisionError" in told) == (True, True, True)
    assert ("click" in told, "importlib" in told and "<frozen" in told) == (False, False)


def test_topics_that_are_not_there_are_said() -> None:
    result = run("plan", "kadence_story:app", "--namespace", "elsewhere", log=a_log())
    assert (result.exit_code, "topics init" in result.stderr) == (1, True)


def test_brokers_that_do_not_answer_are_said() -> None:
    log = a_log()
    log.set_available(f"{NS}.control", 0, available=False)
    result = run("plan", "kadence_story:app", "--bootstrap-servers", "far:9092", log=log)
    assert (result.exit_code, "no answer from far:9092" in result.stderr) == (6, True)
