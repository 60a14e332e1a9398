"""What stands at the top of the repository agrees with itself."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import kadence

_ROOT = Path(__file__).parents[2]
_PAGES = sorted(path.relative_to(_ROOT).as_posix() for path in [*_ROOT.glob("*.md"), *(_ROOT / "docs").rglob("*.md")])
_PINS = sorted(path.name for path in (_ROOT / "requirements").glob("*.txt"))
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
_PIN = re.compile(r"^([a-z0-9-]+)==\S+ \\$", re.MULTILINE)


def _pinned(name: str) -> set[str]:
    return set(_PIN.findall((_ROOT / "requirements" / name).read_text("utf-8")))


def test_the_version_is_the_one_in_pyproject() -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert kadence.__version__ == project["version"]


@pytest.mark.parametrize("page", _PAGES)
def test_every_link_between_pages_leads_somewhere(page: str) -> None:
    source = _ROOT / page
    links = _LINK.findall(source.read_text("utf-8"))
    assert [link for link in links if not (source.parent / link).exists()] == []


@pytest.mark.parametrize("name", _PINS)
def test_pins_have_hashes_and_name_no_place(name: str) -> None:
    text = (_ROOT / "requirements" / name).read_text("utf-8")
    assert len(_PIN.findall(text)) > 1
    assert re.findall(r"://|^\s*--(?!hash=sha256:)|^[^\s#].*[^\\]$", text, re.MULTILINE) == []


def test_every_core_dependency_is_pinned_and_development_has_all_of_it() -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    core = {re.split(r"[<>=]", wanted)[0].replace(".", "-") for wanted in project["dependencies"]}
    assert core <= _pinned("core.txt")
    assert _pinned("core.txt") | _pinned("build.txt") <= _pinned("dev.txt")


def test_compose_scrapes_and_checks_the_port_that_its_workers_serve() -> None:
    yaml = YAML(typ="safe")
    compose = yaml.load(_ROOT / "docker-compose.yml")
    scraped = yaml.load(_ROOT / "config" / "prometheus.yml")["scrape_configs"][0]["static_configs"][0]["targets"]
    [port] = re.findall(r"^EXPOSE (\d+)$", (_ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    workers = [name for name in compose["services"] if name.startswith("worker-")]
    assert scraped == [f"{name}:{port}" for name in workers]
    assert all(f":{port}/readyz" in str(compose["services"][name]["healthcheck"]) for name in workers)


def test_every_image_is_pinned() -> None:
    compose = YAML(typ="safe").load(_ROOT / "docker-compose.yml")
    images = [service["image"] for service in compose["services"].values()]
    bases = re.findall(r"^FROM (\S+)", (_ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert [image for image in [*images, *bases] if not re.search(r":v?\d+\.\d+\.\d+", image)] == []
