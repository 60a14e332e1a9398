"""The README's handler, and its three situations, played on a real broker: the code and the commands as they stand."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests.cluster.processes import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.stage import Stage

pytestmark = [pytest.mark.cluster, pytest.mark.broker]

_README: Final = (ROOT / "README.md").read_text("utf-8")
_KADENCE: Final = "import sys; from kadence.cli.main import main; sys.exit(main())"


def _section(title: str) -> str:
    """What stands under a heading."""
    return _README.partition(f"## {title}\n")[2].partition("\n## ")[0]


def _blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def _commands(block: str) -> list[list[str]]:
    return [shlex.split(line.removeprefix("$ "), comments=True) for line in block.splitlines()]


class _Desk:
    """Where a user sits: a directory with ``billing.py``, and a shell that knows the cluster."""

    def __init__(self, stage: Stage, directory: Path) -> None:
        self.directory = directory
        self.place = {
            "KADENCE_BOOTSTRAP_SERVERS": stage.bootstrap_servers,
            "KADENCE_NAMESPACE": stage.namespace,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(directory)]),
        }

    def says(self, words: list[str]) -> str:
        """What a command prints."""
        assert words[0] == "kadence"
        done = subprocess.run(
            [sys.executable, "-c", _KADENCE, *words[1:]],
            cwd=self.directory,
            env={**os.environ, **self.place},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.stderr.decode()}"
        return done.stdout.decode()


@pytest.fixture
def desk(stage: Stage, tmp_path: Path) -> _Desk:
    """The README's app, with a schedule that a test has the patience for, and a switch to make it fail."""
    [handler] = _blocks(_section("Handlers in Python"), "python")
    assert len([line for line in handler.splitlines() if line.strip()]) <= 5, "the handler in five lines"
    lively = handler.replace('cron="0 9 * * MON-FRI", timezone="Europe/Berlin"', 'every="300ms"')
    assert lively != handler
    broken = repr(str(tmp_path / "broken"))
    switch = f"import os\nif os.path.exists({broken}):\n    raise ConnectionError('no answer from the ledger')\n"
    lively = lively.rstrip() + "\n" + "".join(f"    {line}\n" for line in switch.splitlines())
    (tmp_path / "as_it_stands.py").write_text(handler, "utf-8")
    (tmp_path / "billing.py").write_text(lively, "utf-8")
    return _Desk(stage, tmp_path)


def test_the_readme_is_as_good_as_its_word(stage: Stage, desk: _Desk) -> None:
    stage.topics(2, read=("state", "executions", "outcomes"))
    assert "invoices.daily" in desk.says(["kadence", "plan", "as_it_stands:app"])
    plan, both, follow, trigger = _commands(_blocks(_section("Handlers in Python"), "console")[0])
    assert "created" in desk.says(plan)
    assert both[:3] == ["kadence", "worker", "--app"]
    assert follow == ["kadence", "runs", "--follow"]
    stage.worker("both", {"PYTHONPATH": os.pathsep.join([desk.place["PYTHONPATH"], str(ROOT)])}, app=both[3])
    stage.until("it runs", lambda: bool(stage.outcomes("invoices.daily", "succeeded")))
    assert "invoices.daily!" in desk.says(trigger)
    stage.write.job("vital", {"schedule": {"every": "300ms"}, "tags": ["critical"]})
    stage.write.job("batch", {"schedule": {"every": "300ms"}})
    stage.until("all three run", lambda: {one.key for one in stage.executions()} >= {"vital", "batch"})
    maintenance, error, overload = (_commands(block) for block in _blocks(_section("Three situations"), "console"))
    assert len(maintenance) == len(error) == len(overload) == 3

    _stop_and_release(stage, desk, maintenance, kept={"invoices.daily", "vital", "batch"})
    _stop_and_release(stage, desk, overload, kept={"batch"})

    (desk.directory / "broken").touch()
    stage.until("it is errored", lambda: stage.state_of("invoices.daily") == "errored")
    shown, runs, resume = error
    assert re.search(r"invoices\.daily +errored .*ConnectionError: no answer from the ledger", desk.says(shown))
    assert "ConnectionError: no answer from the ledger" in desk.says(runs)
    (desk.directory / "broken").unlink()
    assert desk.says(resume) == "resumed invoices.daily: in force\n"
    mark = stage.clock.wall()
    stage.until("it succeeds", lambda: stage.outcomes("invoices.daily", "succeeded")[-1].timestamp > mark)


def _stop_and_release(stage: Stage, desk: _Desk, commands: list[list[str]], kept: set[str]) -> None:
    """One command stops, one looks, one gives back: what is kept fires nothing, and everything fires afterwards."""
    stop, look, release = commands
    assert "in force" in desk.says(stop)
    held = stage.clock.wall()
    shown = desk.says(look)
    assert all(name in shown for name in kept) or "overload" in shown
    stage.until("five due times have passed", lambda: stage.clock.wall() > held + 1_500)
    stage.catch_up()
    fired = {one.key for one in stage.executions() if one.timestamp > held}
    assert fired == {"invoices.daily", "vital", "batch"} - kept
    assert "released" in desk.says(release)
    freed, everyone = stage.clock.wall(), {"invoices.daily", "vital", "batch"}
    stage.until("all fire again", lambda: {o.key for o in stage.executions() if o.timestamp > freed} >= everyone)
