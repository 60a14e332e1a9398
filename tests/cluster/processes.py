"""Workers and executors of a test: started, signalled and ended by pid, with what they said kept for whoever asks."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.error import URLError
from urllib.request import urlopen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT: Final = Path(__file__).parents[2]
_KADENCE: Final = ("-c", "import sys; from kadence.cli.main import main; sys.exit(main())")
WORKER: Final = (*_KADENCE, "worker")
EXECUTOR: Final = (*_KADENCE, "executor")
BROKEN: Final = ("-m", "tests.cluster.broken_worker")
"""How workers are started; the one place that knows."""
_PORT: Final = re.compile(r"/readyz on port (\d+)")
_EXPECTED: Final = "is kept on 1 broker"
_TAIL: Final = 6_000


class WorkerProcess:
    """One worker. ``name`` is its id in cursors; ``said`` is its stderr so far."""

    def __init__(self, name: str, log: Path, environment: Mapping[str, str], command: Sequence[str] = WORKER) -> None:
        self.name = name
        self.expected_to_run = True
        self._log = log
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env={**_inherited(), **environment},
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self._log.read_text("utf-8", "replace")

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def died(self) -> bool:
        """Whether it ended although nobody told it to."""
        return self.expected_to_run and self.exit_code is not None

    def kill(self) -> None:
        """SIGKILL: no goodbye to group or broker."""
        self._end(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM, as a deployment does; returns at once."""
        self.expected_to_run = False
        self._process.send_signal(signal.SIGTERM)

    def await_end(self, timeout: float = 40.0) -> int:
        """The exit code, once it has ended."""
        self.expected_to_run = False
        return self._process.wait(timeout)

    def suspend(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """Whatever state it is in, be rid of it."""
        if self.exit_code is None:
            self.resume()
            self.kill()

    def metrics(self) -> dict[str, float]:
        """What it tells Prometheus now: sample (name and labels, as exposed) to value."""
        found: dict[str, float] = {}
        for line in self.get("/metrics").splitlines():
            if not line.startswith("#"):
                sample, _, value = line.rpartition(" ")
                found[sample] = float(value)
        return found

    def get(self, path: str) -> str:
        port = _PORT.search(self.said)
        assert port is not None, f"worker {self.name} serves nothing yet"
        with urlopen(f"http://127.0.0.1:{port[1]}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    def ready(self) -> bool:
        """Whether /readyz says yes."""
        try:
            return _PORT.search(self.said) is not None and bool(self.get("/readyz"))
        except URLError:
            return False

    def report(self) -> str:
        """The end of what it said, for a failure."""
        lines = (line for line in self.said.splitlines(keepends=True) if _EXPECTED not in line)
        return f"--- {self.name} (exit code {self.exit_code}) ---\n{''.join(lines)[-_TAIL:]}"

    def _end(self, number: signal.Signals) -> None:
        self.expected_to_run = False
        self._process.send_signal(number)
        self._process.wait(10)


def _inherited() -> dict[str, str]:
    """This process's environment without settings of kadence: a desk's own must not reach the test."""
    own = {name: value for name, value in os.environ.items() if not name.upper().startswith("KADENCE_")}
    return own | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
