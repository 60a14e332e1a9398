"""The pages of the documentation say what the program says of itself, and their links lead somewhere."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click
import pytest

from kadence.cli.main import EXIT_CODES, FAILED, INTERRUPTED, cli
from kadence.clock import SystemClock
from kadence.domain.firing import run_id
from kadence.domain.run import Run
from kadence.domain.stimulus import Failure, Outcome, Rejected
from kadence.log.kafka.connection import PROTECTED
from kadence.metrics import Metrics
from kadence.metrics_executor import ExecutorMetrics
from kadence.settings import Settings
from kadence.view.model import HoldState, JobState
from kadence.wire import control
from tests.surfaces.commandline import data, run
from tests.surfaces.happenings import Happenings
from tests.surfaces.owner import NS, Owner, a_log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from kadence.log.memory import MemoryLog

_ROOT = Path(__file__).parents[2]
_PAGES = sorted(
    [_ROOT / "README.md", _ROOT / "CHANGELOG.md", *(_ROOT / "docs").rglob("*.md"), *(_ROOT / "examples").rglob("*.md")]
)


def _page(name: str) -> str:
    return (_ROOT / "docs" / name).read_text("utf-8")


def _rows(text: str) -> list[list[str]]:
    """The cells of every table row; a ``|`` within a cell is written as ``\\|``."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def _quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def _commands(command: click.Command = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every verb that does something, by what is typed after ``kadence``."""
    if not isinstance(command, click.Group):
        yield " ".join(path), command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from _commands(found, (*path, name))


_VERBS = dict(_commands())


def _options(command: click.Command) -> set[str]:
    return {spelling for one in command.params if isinstance(one, click.Option) for spelling in one.opts}


_EVERY_OPTION = {option for command in (cli, *_VERBS.values()) for option in _options(command)}


# --- links: every relative one, and every anchor by the rules of GitHub --------------------------------------


def _prose(text: str) -> str:
    """A page without its code: a ``#`` in there is no heading, and brackets are no link."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def _anchors(text: str) -> set[str]:
    """What its headings can be linked to as: lower case, no punctuation, ``-`` for each space; repeats are numbered."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?)(?: +#+)? *$", _prose(text), re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        repeats = (f"{slug}-{number}" for number in range(1, 100))
        found.add(slug if slug not in found else next(each for each in repeats if each not in found))
    return found


def _broken(page: Path) -> list[str]:
    text = re.sub(r"`[^`\n]*`", "", _prose(page.read_text("utf-8")))
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    broken = []
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target.read_text("utf-8"))):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.relative_to(_ROOT).as_posix())
def test_every_link_and_anchor_leads_somewhere(page: Path) -> None:
    assert _broken(page) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One `two`: (three)\n## One two three\n```\n# no heading\n```\n"
        "[a](#one-two-three) [a](#one-two-three-1) [b](#no-heading) [c](gone.md) [d](page.md#one-two)\n",
        "utf-8",
    )
    assert _broken(page) == ["#no-heading", "gone.md", "page.md#one-two"]


def test_every_page_can_be_reached_from_the_index() -> None:
    index = _page("index.md")
    pages = [path.relative_to(_ROOT / "docs").as_posix() for path in (_ROOT / "docs").rglob("*.md")]
    assert [page for page in pages if page != "index.md" and f"]({page})" not in index] == []


# --- settings --------------------------------------------------------------------------------------------------


def _settings_rows() -> dict[str, list[str]]:
    """The rows of the table of settings, by the variable."""
    return {_quoted(row[1])[0]: row for row in _rows(_page("settings.md")) if len(row) == 5 and _quoted(row[1])}


def test_the_page_of_settings_has_every_setting_and_no_other() -> None:
    wanted = {f"KADENCE_{name.upper()}" + ("_…" if name == "kafka" else "") for name in Settings.model_fields}
    assert set(_settings_rows()) == wanted
    keys = {key for row in _settings_rows().values() for key in _quoted(row[0])}
    assert keys == Settings.model_fields.keys() - {"config"}


def test_the_page_of_settings_names_no_variable_that_is_none() -> None:
    known = {f"KADENCE_{name.upper()}" for name in Settings.model_fields}
    named = set(re.findall(r"KADENCE_[A-Z_]*[A-Z]", _page("settings.md")))
    assert {name for name in named if not name.startswith("KADENCE_KAFKA_")} <= known


def test_the_page_of_settings_gives_the_defaults() -> None:
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        row = _settings_rows()[f"KADENCE_{name.upper()}" + ("_…" if name == "kafka" else "")]
        told = str(default).lower() if isinstance(default, bool) else str(default)
        assert _quoted(row[3]) == ([told] if default not in (None, {}) else []), name


def test_the_page_of_settings_gives_the_flags() -> None:
    everywhere = set.intersection(*(_options(command) for command in _VERBS.values()))
    for row in _settings_rows().values():
        flag, *verb = _quoted(row[2]) or [""]
        assert not flag or flag in (_options(_VERBS[verb[0]]) if verb else everywhere), row
    told = {flag for row in _settings_rows().values() for flag in _quoted(row[2])[:1]}
    spelt = {f"--{name.replace('_', '-')}" for name in Settings.model_fields}
    assert told == spelt & _EVERY_OPTION


def test_the_page_of_settings_names_what_cannot_be_set() -> None:
    _, _, text = _page("settings.md").partition("is refused: `acks`")
    assert set(_quoted("`acks`" + text)) == PROTECTED


def test_the_file_of_settings_shows_every_setting_with_its_default(tmp_path: Path) -> None:
    path = _ROOT / "config" / "kadence.toml"
    Settings.load(path)
    uncommented = re.sub(r"^# (?=[a-z_]+ = )", "", path.read_text("utf-8"), flags=re.MULTILINE)
    shown = tomllib.loads(uncommented)
    assert shown.keys() == Settings.model_fields.keys() - {"config"}
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        assert name == "config" or default is None or shown[name] == default, name
    (tmp_path / "all.toml").write_text(uncommented, "utf-8")
    Settings.load(tmp_path / "all.toml")


# --- the command line ------------------------------------------------------------------------------------------


def _sections(text: str) -> dict[str, str]:
    """The text under each heading, up to the next one of any level."""
    parts = re.split(r"^#{1,6} +(.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _named_options(text: str) -> set[str]:
    return {found for cell in _quoted(text) for found in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", cell)}


_SHARED = ("Options of every verb", "Options of verbs that write")


@pytest.mark.parametrize("verb", _VERBS)
def test_the_page_of_the_command_line_has_every_verb_with_every_option(verb: str) -> None:
    sections = _sections(_page("cli.md"))
    everywhere, writing = (_named_options(sections[title]) for title in _SHARED)
    own = _options(_VERBS[verb])
    told = _named_options(sections[verb]) | everywhere
    told |= writing if f"(#{verb.replace(' ', '-')})" in sections[_SHARED[1]] else set()
    told |= {"-o", "--output"} if verb in {"list", "get", "holds", "status", "next"} else set()
    assert own - told == set()
    assert f"`kadence {verb}" in sections[verb]


def test_the_page_of_the_command_line_names_no_option_that_is_none() -> None:
    assert _named_options(_page("cli.md")) <= _EVERY_OPTION | {"-h", "--help"}


def test_the_page_of_the_command_line_has_every_exit_code() -> None:
    told = {row[0] for row in _rows(_sections(_page("cli.md"))["Exit codes"])} - {"code", "---"}
    assert told == {"0", str(FAILED), str(INTERRUPTED), *(str(code) for _, code in EXIT_CODES)}


def test_the_page_of_the_command_line_has_every_state() -> None:
    sections = _sections(_page("cli.md"))
    assert {name for row in _rows(sections["list"]) for name in _quoted(row[0])} >= set(get_args(JobState))
    [states] = [row[1] for row in _rows(sections["holds"]) if row[0] == "`state`"]
    assert set(_quoted(states)) >= set(get_args(HoldState))


_OPAQUE = {"schedule", "spec", "match", "jobs"}
"""Fields whose value is the user's, or named by the data."""


def _paths(document: object, prefix: str = "") -> set[str]:
    """The names of a JSON document's fields, with a dot between levels."""
    if isinstance(document, list):
        return set[str]().union(*(_paths(one, prefix) for one in document))
    if not isinstance(document, dict):
        return set()
    paths = {prefix + name for name in document}
    deeper = (_paths(value, f"{prefix}{name}.") for name, value in document.items() if name not in _OPAQUE)
    return paths.union(*deeper)


_JOBS = """
- name: broken
  schedule: { every: 1h }
  breaker: { failures: 1 }
  target: { topic: elsewhere }
  tags: [a]
"""


@pytest.fixture
def log() -> Iterator[MemoryLog]:
    """A log with a job that shows all that a job can show."""
    log = a_log()
    with Owner(log) as owner:
        assert run("apply", "-f", "-", log=log, text=_JOBS).exit_code == 0
        assert run("pause", "broken", log=log).exit_code == 0
        assert run("hold", "freeze", "--all", log=log).exit_code == 0
        now = SystemClock().wall()
        owner.outcome(Outcome(0, now + 2_000, "broken", run_id("broken", now + 1_000), "failed", Failure("E", "no")))
        owner.lose_target("elsewhere", "does not exist")
        log.appender().append(f"{NS}.control", 0, b"job/broken", b"{}", timeout=1)
        under_way = Happenings(log)
        under_way.remembers(Run(run_id("broken", now + 1), now + 1, "schedule", now + 1))
        under_way.says(run_id("broken", now + 1), "started")
        under_way.letter("broken!a", payload=b'{"a":1}')
        assert run("pause", "broken", log=log).exit_code == 0  # what came before is decided when this is
        yield log


@pytest.mark.parametrize("verb", ["runs", "dlq list"])
def test_the_page_of_the_command_line_has_the_fields_of_runs_and_letters(log: MemoryLog, verb: str) -> None:
    table = _sections(_page("cli.md"))[verb].partition("-o json`:")[2]
    assert {name for row in _rows(table) for name in _quoted(row[0])} == _paths(data(*verb.split(), log=log))


def test_the_page_of_the_command_line_has_the_fields_of_a_letter_and_of_a_retry(log: MemoryLog) -> None:
    sections = _sections(_page("cli.md"))
    told = {
        verb: {name for row in _rows(sections[verb].partition("-o json`")[2]) for name in _quoted(row[0])}
        for verb in ("dlq list", "dlq show", "dlq retry")
    }
    either = {"payload", "payload_text", "payload_base64", "headers.value", "headers.value_base64"}
    shown = _paths(data("dlq", "show", "broken!a", log=log))
    assert {path for path in shown if not path.startswith("payload.")} - either == (
        told["dlq list"] | told["dlq show"]
    ) - either
    retried = run("dlq", "retry", "broken!a", "-o", "json", log=log).stdout
    assert told["dlq retry"] == _paths(json.loads(retried))


@pytest.mark.parametrize("verb", ["list", "get broken", "holds", "status"])
def test_the_page_of_the_command_line_has_the_fields_of_the_json(log: MemoryLog, verb: str) -> None:
    shown = _paths(data(*verb.split(), log=log))
    sections = _sections(_page("cli.md"))
    tables = [sections["list"], sections["get"]] if verb.startswith("get") else [sections[verb]]
    told = {name for table in tables for row in _rows(table.partition("-o json")[2]) for name in _quoted(row[0])}
    assert {path for path in shown if verb != "status" or not path.startswith("holds.")} == told


def test_the_page_of_the_command_line_has_the_fields_of_what_was_written(log: MemoryLog) -> None:
    table = _sections(_page("cli.md"))[_SHARED[1]].partition("-o json")[2]
    told = {name for row in _rows(table) for name in _quoted(row[0])}
    assert told == _paths(data("resume", "broken", log=log))


# --- metrics ---------------------------------------------------------------------------------------------------

_PARTS = ("bucket", "sum", "count")
_MERGED = {"owned shards only: sum()": "sum", "every replica: max()": "max", "this executor only: sum()": "sum"}


def _families() -> list[Metric]:
    metrics = Metrics()
    metrics.watch(list, SystemClock())
    metrics.registry.register(ExecutorMetrics())
    return list(metrics.registry.collect())


def _spelt(family: Metric) -> str:
    return family.name + ("_total" if family.type == "counter" else "")


def test_the_page_of_metrics_has_every_metric_and_no_other() -> None:
    wanted = {
        _spelt(family): [
            family.type,
            list(family._labelnames),  # type: ignore[attr-defined]  # one without samples tells in no other way
            next(word for end, word in _MERGED.items() if family.documentation.endswith(end)),
        ]
        for family in _families()
    }
    rows = [row for row in _rows(_page("metrics.md")) if len(row) == 5 and _quoted(row[0])]
    assert {_quoted(row[0])[0]: [row[1], _quoted(row[2]), row[4]] for row in rows} == wanted


def test_the_alerts_ask_for_metrics_that_there_are() -> None:
    known = {_spelt(family) for family in _families()}
    known |= {f"{family.name}_{part}" for family in _families() if family.type == "histogram" for part in _PARTS}
    for page in ("metrics.md", "howto.md", "cli.md"):
        assert set(re.findall(r"\bkadence_[a-z_]+", _page(page))) <= known


def test_the_page_of_metrics_has_every_value_of_a_label() -> None:
    page = _page("metrics.md")
    values = {
        value
        for family in _families()
        for sample in family.samples
        for label, value in sample.labels.items()
        if label != "le"
    }
    assert {value for value in values if f"`{value}`" not in page} == set()


# --- examples --------------------------------------------------------------------------------------------------

_WITH_EXAMPLES = ["README.md", "docs/howto.md", "docs/settings.md", "docker-compose.yml"]


def _examples(name: str) -> str:
    """A page; what the shell would fill in is filled in."""
    return (_ROOT / name).read_text("utf-8").replace("'$(date -u +%FT%TZ)'", "2026-11-23T09:00:00Z")


@pytest.mark.parametrize("page", _WITH_EXAMPLES)
def test_every_record_in_an_example_can_be_read(page: str) -> None:
    for record in re.findall(r"'((?:job|pause|hold|trigger|skip|backfill)/[^']*)'", _examples(page)):
        key, _, value = record.partition("|")
        wish = control.decode(key.encode(), value.encode() or None, 0, 0, "kadence").wish
        assert not isinstance(wish, Rejected), (record, wish)


@pytest.mark.parametrize("page", _WITH_EXAMPLES)
def test_every_command_in_an_example_is_one(page: str) -> None:
    sections = _sections(_page("cli.md"))
    shared = set.union(*(_named_options(sections[title]) for title in _SHARED))
    for line in re.findall(r"^\$ kadence (.*?)(?: +&)?(?: {2,}# .*)?$", _examples(page), re.MULTILINE):
        words = shlex.split(line, comments=True)
        verb = " ".join(words[:2]) if words[0] in {"topics", "dlq"} else words[0]
        assert verb in _VERBS, line
        used = {word for word in words if re.fullmatch(r"--?[a-z][a-z-]*", word)}
        assert used <= _named_options(sections[verb]) | shared, line


def test_the_examples_are_found() -> None:
    assert len(re.findall(r"^\$ kadence ", _examples("docs/howto.md"), re.MULTILINE)) > 10
    assert len(re.findall(r"'(?:job|pause|hold|trigger)/", _examples("docs/howto.md"))) > 6
