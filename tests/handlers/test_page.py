"""The page about handlers says what the code says of itself, and its example runs."""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import get_args

from kadence import App, Run
from kadence.client.deploy import Step, What
from kadence.domain.duration import format_duration
from kadence.handlers.handler import MAX_RESULT
from kadence.handlers.specs import APP_HEADER, DEFAULTS

_DOCS = Path(__file__).parents[2] / "docs"
_PAGE = (_DOCS / "handlers.md").read_text("utf-8")


def _section(text: str, title: str) -> str:
    """What is under a heading, up to the next one of any level."""
    return re.split(r"^#{1,6} ", text.partition(f"# {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def _names(section: str) -> set[str]:
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def _keywords(function: object) -> set[str]:
    assert callable(function)
    parameters = inspect.signature(function).parameters.values()
    return {one.name for one in parameters if one.kind is one.KEYWORD_ONLY}


def test_the_example_runs() -> None:
    code, *embedding = re.findall(r"```python\n(.*?)```", _PAGE, re.DOTALL)
    assert [compile(one, "page", "exec") for one in embedding]
    module = ModuleType("jobs")
    sys.modules["jobs"] = module
    try:
        exec(compile(code, "jobs.py", "exec"), module.__dict__)  # noqa: S102  the page's own example
    finally:
        del sys.modules["jobs"]
    app = module.__dict__["app"]
    assert isinstance(app, App)
    assert app.handlers["invoices.daily"].payload.type is module.__dict__["Batch"]


def test_the_page_has_every_attribute_of_a_run() -> None:
    assert _names(_section(_PAGE, "Run")) == {field.name for field in fields(Run)} | {"log"}


def test_the_page_has_every_argument_of_an_app_and_of_a_job() -> None:
    assert _names(_section(_PAGE, "App")) == {"name", *_keywords(App)}
    told = _names(_section(_PAGE, "job"))
    assert told == {"cron", "timezone", "every", "at", "schedule", *_keywords(App.job)}


def test_the_page_gives_the_defaults() -> None:
    section = _section(_PAGE, "Defaults")
    assert _names(section) == DEFAULTS.keys()
    assert "`skip`" in section
    assert '`{"failures": 1, "probe_after": "1m"}`' in section
    assert (DEFAULTS["overlap"], DEFAULTS["breaker"]) == (
        "skip",
        {"failures": 1, "probe_after": format_duration(60_000)},
    )


def test_the_page_gives_the_numbers_and_the_header() -> None:
    assert f"at most {MAX_RESULT // 1024} KiB" in _PAGE
    assert f"`{APP_HEADER}`" in _section(_PAGE, "App")


def test_the_page_of_the_command_line_has_the_fields_of_a_plan() -> None:
    section = _section((_DOCS / "cli.md").read_text("utf-8"), "plan")
    assert _names(section.partition("-o json")[2]) == {field.name for field in fields(Step)} | {"fields"}
    assert all(f"`{what}`" in section for what in get_args(What))
