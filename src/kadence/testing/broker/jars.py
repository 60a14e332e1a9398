"""The jars of a real Kafka broker, fetched once by Maven from the coordinates pinned in ``pom.xml``."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from kadence.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

_POM: Final = files(__package__) / "pom.xml"
_COPY_DEPENDENCIES: Final = "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies"


def kafka_version() -> str:
    """Return the version of Apache Kafka that ``pom.xml`` pins."""
    project = ET.fromstring(_POM.read_text("utf-8"))  # noqa: S314  our own package data
    version = project.findtext(".//{*}properties/{*}kafka.version")
    if version is None:
        raise ConfigurationError("the pom of the test broker names no kafka.version")
    return version


def java_available() -> bool:
    """Return whether a broker can be had here: Java to run it and Maven to fetch it are on the path."""
    return shutil.which("java") is not None and shutil.which("mvn") is not None


def default_cache() -> Path:
    """Return where jars are kept unless the caller says otherwise: ``$XDG_CACHE_HOME/kadence``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kadence"


def classpath(cache: Path | None = None) -> str:
    """Return the class path of the broker and of Kafka's Java tools, fetching the jars if need be.

    ``cache`` (default: `default_cache`) gets ``kafka/<version>/*.jar``; processes that ask at once share one
    fetch. Raises `ConfigurationError` where Maven is missing or fails.
    """
    home = (cache or default_cache()).resolve() / "kafka"
    jars = home / kafka_version()
    if not jars.is_dir():
        home.mkdir(parents=True, exist_ok=True)
        with _locked(home / "lock"):
            if not jars.is_dir():
                _fetch(jars)
    return str(jars / "*")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released with the file, however this process ends
        yield


def _fetch(jars: Path) -> None:
    if not java_available():
        raise ConfigurationError("a real broker needs `java` (17) and `mvn` on the path: install a JDK and Maven")
    partial = jars.with_name(f"{jars.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with as_file(_POM) as pom:
        command = ["mvn", "-q", "-B", "-f", str(pom), _COPY_DEPENDENCIES]
        done = subprocess.run(  # noqa: S603  a fixed command over our own pom
            [*command, f"-DoutputDirectory={partial}", "-DincludeScope=runtime"],
            check=False,
            capture_output=True,
            text=True,
        )
    if done.returncode != 0:
        raise ConfigurationError(f"Maven could not fetch the jars of the test broker:\n{done.stdout}{done.stderr}")
    partial.rename(jars)  # complete or absent, never half
