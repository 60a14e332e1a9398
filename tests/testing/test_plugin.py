"""The pytest plugin in somebody else's project, and the page that shows how to use it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from kadence.testing import MemoryCluster

_PAGE = Path(__file__).parents[2] / "docs" / "testing.md"


def _pytest(where: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=where, capture_output=True, text=True, timeout=120, check=False)


def _loaded(code: str) -> set[str]:
    command = [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split())


def test_the_examples_of_the_page_are_tests_that_pass(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", _PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert blocks[0].startswith("# jobs.py\n")
    (tmp_path / "jobs.py").write_text(blocks[0], "utf-8")
    tests = "\n\n".join(blocks[1:])
    (tmp_path / "test_jobs.py").write_text(tests, "utf-8")
    done = _pytest(tmp_path, "-p", "no:randomly")
    assert f"{tests.count('def test_')} passed" in done.stdout, done.stdout


def test_the_page_names_everything_that_a_cluster_has() -> None:
    page = _PAGE.read_text("utf-8")
    public = {name for name in dir(MemoryCluster) if not name.startswith("_")} | set(vars(MemoryCluster()))
    named = set(re.findall(r"[a-z_]+", page))
    assert {name for name in public if not name.startswith("_")} - named <= {"close", "namespace"}
    told = set(re.findall(r"^\| `([a-z_]+)", page, re.MULTILINE))
    assert told - public == set()


def test_a_failed_test_shows_the_handler_and_the_story(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "from kadence import App\n"
        "app = App('billing')\n"
        "@app.job('tick', every='1h')\n"
        "def tick():\n"
        "    raise ValueError('no ledger')\n"
        "def test_raised(kadence_cluster):\n"
        "    kadence_cluster(app).advance('1h')\n"
        "def test_asserted(kadence_cluster):\n"
        "    cluster = kadence_cluster(app, raise_failures=False)\n"
        "    cluster.advance('1h')\n"
        "    cluster.assert_state('tick', 'running')\n",
        "utf-8",
    )
    done = _pytest(tmp_path, "-p", "no:randomly")
    assert "2 failed" in done.stdout
    assert "test_it.py:5: ValueError" in done.stdout
    assert "in attempt 1 at run tick@2026-01-05T09:00:00Z, at 2026-01-05 09:00:00 UTC" in done.stdout
    assert "job tick is errored (ValueError: no ledger), not running" in done.stdout
    assert "def assert_state" not in done.stdout  # the test's own line is shown, and not ours


def test_the_plugin_loads_next_to_nothing() -> None:
    loaded = _loaded("import kadence.testing.plugin")
    assert "kadence.testing.plugin" in loaded
    assert not [name for name in loaded if name.startswith("kadence.") and not name.startswith("kadence.testing")]
    assert not loaded & {"confluent_kafka", "pydantic", "prometheus_client", "asyncio.runners", "kadence.testing.clock"}


def test_a_cluster_in_memory_needs_no_kafka_client() -> None:
    loaded = _loaded("from kadence.testing import MemoryCluster\nMemoryCluster().close()")
    assert "kadence.worker.runner" in loaded
    assert "confluent_kafka" not in loaded


def test_there_is_one_fixture_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it():\n    pass\n", "utf-8")
    with_it = _pytest(tmp_path, "--fixtures-per-test", "--fixtures").stdout
    assert "kadence_cluster -- " in with_it
    assert with_it.count("kadence/testing/plugin.py") == 1
    assert "1 passed" in _pytest(tmp_path).stdout


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(ImportError, match="cannot import name 'Nothing'"):
        exec("from kadence.testing import Nothing")  # noqa: S102
