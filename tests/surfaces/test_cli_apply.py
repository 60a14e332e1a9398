"""`kadence apply`: what it reads, what it refuses and how it says where, and that it writes all or nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kadence.cli.jobfiles import read_entries
from kadence.errors import InvalidSpecError
from tests.surfaces.commandline import run
from tests.surfaces.owner import NS, Owner, a_log

if TYPE_CHECKING:
    from kadence.log.memory import MemoryLog

EXAMPLE = Path(__file__).parents[2] / "config" / "jobs.yaml"


def control(log: MemoryLog) -> dict[str, Any]:
    return {(one.key or b"").decode(): json.loads(one.value or b"null") for one in log.records(f"{NS}.control", 0)}


def spec_of(text: str, place: str = "jobs.yaml") -> dict[str, Any]:
    [entry] = read_entries(text, place)
    return dict(entry.spec)


def test_the_example_file_is_applied() -> None:
    log = a_log()
    with Owner(log):
        result = run("apply", "-f", str(EXAMPLE), log=log)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"applied {name}: in force" for name in ("heartbeat", "invoices", "cache-refresh", "monthly-report")
    ]
    assert control(log)["job/heartbeat"]["payload"] == {"ping": True}


FORMS = {
    "a list": "- {name: a, schedule: {every: 1s}}\n- {name: b, schedule: {every: 1s}}\n",
    "a mapping with jobs": "jobs:\n  - name: a\n    schedule: {every: 1s}\n  - name: b\n    schedule: {every: 1s}\n",
    "several documents": "name: a\nschedule: {every: 1s}\n---\nname: b\nschedule: {every: 1s}\n",
    "JSON": '[{"name": "a", "schedule": {"every": "1s"}},\n\t{"name": "b", "schedule": {"every": "1s"}}]',
    "JSON with jobs": '{"jobs": [{"name": "a", "schedule": {"every": "1s"}}, {"name": "b", "schedule": {"every": 1}}]}',
}  # fmt: skip


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_the_forms_a_job_file_may_have(text: str) -> None:
    log = a_log()
    assert run("apply", "-f", "-", "--no-wait", log=log, text=text).exit_code == 0
    assert list(control(log)) == ["job/a", "job/b"]


def test_a_directory_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    log = a_log()
    (tmp_path / "2.json").write_text('[{"name": "b", "schedule": {"every": "1s"}}]')
    (tmp_path / "1.yml").write_text("- {name: a, schedule: {every: 1s}}")
    (tmp_path / "notes.txt").write_text("not a job file")
    assert run("apply", "-f", str(tmp_path), "--no-wait", log=log).exit_code == 0
    assert list(control(log)) == ["job/a", "job/b"]


def test_a_dry_run_writes_nothing() -> None:
    log = a_log()
    result = run("apply", "-f", str(EXAMPLE), "--dry-run", log=log)
    assert (result.exit_code, result.stdout) == (0, "4 jobs would be applied; nothing was written\n")
    assert control(log) == {}


def test_a_dry_run_as_json_names_what_would_be_applied() -> None:
    result = run("apply", "-f", "-", "--dry-run", "-o", "json", log=a_log(), text=FORMS["a list"])
    assert json.loads(result.stdout) == [
        {"kind": "job", "name": "a", "fate": "checked"},
        {"kind": "job", "name": "b", "fate": "checked"},
    ]


UNHEEDED: list[tuple[dict[str, Any], str]] = [
    ({"max_runs": 3}, "max_runs is kept but not acted on by this version of kadence (a job does not finish by it)"),
    ({"overlap": "allow", "retry": {"attempts": 1}, "breaker": {"failures": 3}, "max_runs": None}, ""),
]


@pytest.mark.parametrize(("fields", "warning"), UNHEEDED)
@pytest.mark.parametrize("how", ["--no-wait", "--dry-run"])
def test_what_this_version_does_not_act_on_is_said(fields: dict[str, Any], warning: str, how: str) -> None:
    text = json.dumps([{"name": name, "schedule": {"every": "1h"}, **fields} for name in "abcde"])
    result = run("apply", "-f", "-", how, log=a_log(), text=text)
    assert result.exit_code == 0
    if warning:
        assert result.stderr.startswith(f"kadence: warning: {warning}")
        assert result.stderr.endswith("): jobs a, b, c and 2 more\n")
    assert result.stderr.count("\n") == bool(warning)


def test_one_bad_entry_and_nothing_is_written() -> None:
    log = a_log()
    text = "- {name: a, schedule: {every: 1s}}\n\n- name: b\n  shedule: {every: 1s}\n"
    result = run("apply", "-f", "-", log=log, text=text)
    assert result.exit_code == 2
    assert result.stderr == (
        "kadence: standard input, line 3: job b: unknown field 'shedule' in a job; did you mean 'schedule'?; "
        "nothing was written\n"
    )
    assert control(log) == {}


def test_a_rejected_job_leaves_with_4_and_the_others_are_in_force() -> None:
    log = a_log()
    with Owner(log):
        run("apply", "-f", "-", log=log, text="- {name: a, schedule: {every: 1s}, revision: 2}")
        text = "- {name: a, schedule: {every: 2s}, revision: 1}\n- {name: b, schedule: {every: 1s}}"
        result = run("apply", "-f", "-", log=log, text=text)
    assert (result.exit_code, result.stdout) == (4, "applied b: in force\n")
    assert "job a was rejected at offset 1: stale: revision 1 is older than 2" in result.stderr


def test_many_jobs_are_summed_up() -> None:
    log = a_log()
    text = json.dumps([{"name": f"job-{number}", "schedule": {"every": "1h"}} for number in range(50)])
    with Owner(log):
        assert run("apply", "-f", "-", log=log, text=text).stdout == "applied 50 jobs: in force\n"


def test_a_name_given_twice_names_both_places() -> None:
    text = "- {name: a, schedule: {every: 1s}}\n- {name: a, schedule: {every: 2s}}"
    result = run("apply", "-f", "-", log=a_log(), text=text)
    assert (result.exit_code, "standard input, line 2: job a is defined twice, first at standard input, line 1" in
            result.stderr) == (2, True)  # fmt: skip


def test_a_missing_file_is_said() -> None:
    result = run("apply", "-f", "nowhere.yaml", log=a_log())
    assert (result.exit_code, result.stderr) == (2, "kadence: nowhere.yaml cannot be read: No such file or directory\n")


def test_an_empty_directory_is_said(tmp_path: Path) -> None:
    result = run("apply", "-f", str(tmp_path), log=a_log())
    assert (result.exit_code, "holds no job files" in result.stderr) == (2, True)


# --- YAML ---


def test_times_stay_the_text_they_were() -> None:
    spec = spec_of(
        "- name: a\n  schedule: {at: 2026-01-01T00:00:00Z}\n  payload: {day: 2026-01-01, yes: no, on: 012}\n"
    )
    assert spec["schedule"] == {"at": "2026-01-01T00:00:00Z"}
    assert spec["payload"] == {"day": "2026-01-01", "yes": "no", "on": 12}


def test_a_cron_that_yaml_reads_as_written_needs_no_quotes() -> None:
    assert spec_of("name: a\nschedule:\n  cron: 0 9 * * MON-FRI\n")["schedule"] == {"cron": "0 9 * * MON-FRI"}


TRAPS = [
    ("name: a\nschedule:\n  cron: */5 * * * *\n", 'line 3: quote the value of cron, as "*/5 * * * *": an unquoted *'),
    ("name: a\nschedule: {cron: * * * * *}\n", "line 2: quote the value of"),
    ("name: a\nschedule:\n  cron: @daily\n", 'line 3: quote the value of cron, as "@daily": an unquoted @'),
    ("name: a\nschedule: {cron: 0 9 * * 1,5}\n", "5 stands where a name should; quote values with commas"),
    ("name: 007\nschedule: {every: 1s}\n", "name: 7 is not a text in YAML; quote it"),
    ("name: a\nname: b\n", "line 2: found duplicate key"),
    ("name: a\n\tschedule: 1\n", "line 2: it is not YAML"),
    ("- {name: a, schedule: {every: 1s}\n", "it is not YAML"),
    ("- just text\n", "line 1: a job must be a mapping with name and schedule, not 'just text'"),
    ("- {schedule: {every: 1s}}\n", "line 1: name is missing"),
    ("hello\n", "it must be a list of jobs"),
    ("{schedule: {every: 1s}}\n", "it must be a list of jobs"),
    ("jobs: []\nmore: 1\n", "there is more beside jobs; remove it"),
    ("- {name: a, payload: {1: x}, schedule: {every: 1s}}\n", "1 stands where a name should"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), TRAPS)
def test_what_yaml_would_make_something_else_of_is_answered_with_what_to_write(text: str, message: str) -> None:
    with pytest.raises(InvalidSpecError) as raised:
        read_entries(text, "jobs.yaml")
    assert str(raised.value).startswith("jobs.yaml")
    assert message in str(raised.value)


BAD_JSON = [
    ('[{"name": "a",}]', "jobs.json, line 1: it is not JSON"),
    ('[{"name": "a", "name": "b"}]', "jobs.json: the name 'name' stands twice in one object"),
    ('[{"name": "a"}, {"schedule": 1}]', "jobs.json, entry 2: name is missing"),
    ("[1]", "jobs.json, entry 1: a job must be a mapping"),
]


@pytest.mark.parametrize(("text", "message"), BAD_JSON)
def test_json_errors_name_the_place(text: str, message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        read_entries(text, "jobs.json")


def test_an_empty_file_holds_no_job() -> None:
    result = run("apply", "-f", "-", log=a_log(), text="# nothing yet\n")
    assert (result.exit_code, "there is no job in standard input;" in result.stderr) == (2, True)
