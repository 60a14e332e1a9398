"""The example in Java: built by Maven from ``examples/java-consumer``, and run as a process of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cluster.stage import Stage

EXAMPLE: Final = Path(__file__).parents[2] / "examples" / "java-consumer"
TERMINATED: Final = 128 + signal.SIGTERM
"""What Java exits with after SIGTERM, however well it ended."""
_JAR: Final = Path("target") / "java-consumer.jar"
_TAIL: Final = 6_000


def built(cache: Path) -> Path:
    """The jar of the example as its sources are now; built, beneath ``cache``, where it is not there yet.

    A desk without a Java compiler skips the test; CI may not.
    """
    if shutil.which("javac") is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs javac for the example in Java")
        pytest.skip("needs javac for the example in Java")
    sources = sorted(path for path in [EXAMPLE / "pom.xml", *(EXAMPLE / "src").rglob("*")] if path.is_file())
    digest = hashlib.sha256()
    for source in sources:
        digest.update(f"{source.relative_to(EXAMPLE)}\0{source.stat().st_size}\0".encode())
        digest.update(source.read_bytes())
    home = cache / "java-consumer" / digest.hexdigest()[:16]
    if not home.is_dir():
        home.parent.mkdir(parents=True, exist_ok=True)
        _build(sources, home)
    return home / _JAR


def _build(sources: list[Path], home: Path) -> None:
    """Build a copy, so that nothing lands among the sources, and put it in place when it is complete."""
    with tempfile.TemporaryDirectory(dir=home.parent) as directory:
        copy = Path(directory) / "example"
        for source in sources:
            target = copy / source.relative_to(EXAMPLE)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        command = ["mvn", "-q", "-B", "-f", str(copy / "pom.xml"), "package"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, f"Maven could not build the example:\n{done.stdout}{done.stderr}"
        try:
            copy.rename(home)
        except OSError:
            assert home.is_dir()  # another run of the tests has built the same meanwhile


class JavaConsumer:
    """One process of the example. Files in ``directory`` steer it: what ``fail`` says is how its runs fail."""

    def __init__(self, stage: Stage, topic: str, directory: Path) -> None:
        self.effects = directory / "effects"
        self.fail = directory / "fail"
        self.snooze = directory / "snooze"
        config = directory / "consumer.properties"
        # Static membership: after a SIGKILL the next process takes its place at once, not after a session timeout.
        config.write_text("group.instance.id=the-only-one\n", "utf-8")
        self._stage = stage
        self._log = directory / "consumer.log"
        self._command = [
            *("java", "-XX:TieredStopAtLevel=1", "-jar", str(built(Path(__file__).parents[2] / ".cache"))),
            *("--bootstrap-servers", stage.bootstrap_servers, "--namespace", stage.namespace, "--config", str(config)),
            *("--topic", topic, "--group", f"{topic}.consumers", "--effects", str(self.effects)),
            *("--fail-while", str(self.fail), "--snooze-while", str(self.snooze)),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        return self._end(signal.SIGTERM)

    def end(self) -> None:
        """SIGKILL, where it still runs."""
        if self._process is not None:
            self._end(signal.SIGKILL)

    def until(self, what: str, predicate: Callable[[], bool]) -> None:
        """Read on until something is so; fails as soon as the consumer ends by itself."""

        def so() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, f"the consumer ended while waiting until {what}\n{self.report()}"
            return predicate()

        self._stage.until(what, so)

    def report(self) -> str:
        """The end of what it said."""
        return self._log.read_text("utf-8", "replace")[-_TAIL:]

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        code = self._process.wait(60)
        self._process = None
        return code
