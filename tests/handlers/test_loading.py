"""Finding an app by ``module:attribute``: what is said when there is none."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from kadence.errors import SettingsError
from kadence.handlers.app import load_app

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
from kadence import App
billing = App("billing")
class holder:
    app = App("held")
@billing.job("tick", every="1h")
def tick(): pass
number = 7
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of one's own to be in; what is imported from it is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in [name for name in sys.modules if name.startswith("kadence_story")]:
        del sys.modules[name]
    return tmp_path


def test_an_app_in_the_current_directory(here: Path) -> None:
    (here / "kadence_story.py").write_text(GOOD)
    assert load_app("kadence_story:billing").handlers.keys() == {"tick"}
    assert load_app("kadence_story:holder.app").name == "held"


def test_an_app_in_a_package(here: Path) -> None:
    (here / "kadence_story").mkdir()
    (here / "kadence_story" / "jobs.py").write_text(GOOD)
    assert load_app("kadence_story.jobs:billing").name == "billing"


WRONG = [
    ("kadence_story:app", "module kadence_story has no app; there is kadence_story:billing"),
    ("kadence_story:number", "kadence_story:number is a int, and a kadence.App is needed"),
    ("kadence_story", "'kadence_story' names no app: write module:attribute, as in kadence_story:app"),
    ("jobs/kadence_story.py:billing", "names no app: write module:attribute, as in jobs.kadence_story:billing"),
    ("kadence_story.py:billing", "names no app: write module:attribute, as in kadence_story:billing"),
    (":app", "':app' names no app: write module:attribute, as in jobs:app"),
    ("kadence_story_no:app", "there is no module kadence_story_no in "),
    ("kadence_story_no.jobs:app", "run this where kadence_story_no is"),
]


@pytest.mark.parametrize(("place", "message"), WRONG)
def test_a_place_without_an_app(here: Path, place: str, message: str) -> None:
    (here / "kadence_story.py").write_text(GOOD)
    with pytest.raises(SettingsError) as raised:
        load_app(place)
    assert message in str(raised.value)


BROKEN = [
    ("import nothing_of_that_name", ", line 1: ModuleNotFoundError: No module named 'nothing_of_that_name'"),
    ("x = 1\n\n1 / 0", ", line 3: ZeroDivisionError: division by zero"),
    ("import json\njson.loads('{')", ", line 2: json.decoder.JSONDecodeError: Expecting property name"),
    ("x = (", ", line 1: SyntaxError: '(' was never closed"),
    ("raise SystemExit(3)", ", line 1: SystemExit: 3"),
    ("import kadence\n@kadence.App('a').job('tick')\ndef f(): pass", ", line 2: job tick: no schedule is given;"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_a_module_that_cannot_be_imported_says_where(here: Path, text: str, message: str) -> None:
    (here / "kadence_story.py").write_text(text)
    with pytest.raises(SettingsError) as raised:
        load_app("kadence_story:app")
    assert str(raised.value).startswith(
        f"module kadence_story cannot be imported: {here / 'kadence_story.py'}{message}"
    )


def test_the_lines_that_led_to_it_are_told(here: Path) -> None:
    story, conf = here / "kadence_story.py", here / "kadence_story_conf.py"
    story.write_text("def load():\n    import kadence_story_conf\n\nload()\n")
    led = f" (called from {story}, line 2, in load; {story}, line 4): "
    for text, place, what in (
        (
            "def get(): {}['x']\nget()",
            f"{conf}, line 1, in get (called from {conf}, line 2;{led[13:]}",
            "KeyError: 'x'",
        ),
        ("x = (", f"{conf}, line 1{led}", "SyntaxError: '(' was never closed"),
    ):
        conf.write_text(text)
        with pytest.raises(SettingsError) as raised:
            load_app("kadence_story:app")
        assert str(raised.value) == f"module kadence_story cannot be imported: {place}{what}"


def test_a_module_of_handlers_loads_no_kafka_client(here: Path) -> None:
    (here / "kadence_story.py").write_text(GOOD)
    program = "import sys, kadence_story; sys.exit(bool({'confluent_kafka', 'pydantic_settings'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", program], cwd=here, check=False).returncode == 0
