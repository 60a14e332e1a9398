"""One KRaft node: broker and controller in one Java process, on loopback, with its data in one directory."""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Final

from kadence.clock import SystemClock
from kadence.errors import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LOG4J: Final = files(__package__) / "log4j2.properties"
# Start-up is what tests wait for: the first compiler tier and the simplest collector get there soonest.
_JVM: Final = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_LOOK_EVERY: Final = 0.05
_METADATA, _METADATA_VERSION = 3, 1


class Node:
    """A node that can be started, stopped, killed and suspended; its data outlives its process."""

    def __init__(self, directory: Path, port: int, properties: Mapping[str, str], classpath: str) -> None:
        """``directory`` is this node's own; ``properties`` is the whole of its ``server.properties``."""
        self.port = port
        self.log_file = directory / "broker.log"
        self._directory = directory
        self._java = ("java", *_JVM, "-cp", classpath)
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)
        lines = (f"{name}={value}\n" for name, value in properties.items())
        (directory / "server.properties").write_text("".join(lines), "utf-8")

    @property
    def pid(self) -> int | None:
        """The process id while the node runs."""
        return None if self._process is None else self._process.pid

    @property
    def formatted(self) -> bool:
        """Whether the node has storage to start on."""
        return (self._directory / "data" / "meta.properties").exists()

    def launch_format(self, cluster_id: str) -> subprocess.Popen[bytes]:
        """Begin to format the storage of a node that has none yet; the caller waits for it."""
        arguments = ("kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", "server.properties")
        return self._launch(*arguments)

    def launch(self) -> None:
        """Begin to start the process; `await_brokers` says when it serves."""
        if self._process is None:
            self._process = self._launch("kafka.Kafka", "server.properties")

    def await_brokers(self, count: int, timeout: float) -> None:
        """Return when this node answers and knows ``count`` live brokers (itself included).

        Raises `UnreachableError` with the end of its log where the process ends or the time is up.
        """
        clock = SystemClock()
        deadline = clock.monotonic() + timeout * 1000
        while self._process is not None and clock.monotonic() < deadline:
            if (known_brokers(self.port) or 0) >= count:
                return
            try:
                self._process.wait(_LOOK_EVERY)  # waits, and notices an early end
            except subprocess.TimeoutExpired:
                continue
            self._process = None
        raise UnreachableError(f"the broker on port {self.port} did not come up; its log ends:\n{self.log_tail()}")

    def log_tail(self) -> str:
        """Return the last 4,000 characters of the node's log."""
        return self.log_file.read_text("utf-8", "replace")[-4000:]

    def stop(self, timeout: float = 20.0) -> None:
        """SIGTERM, and SIGKILL where that takes longer than ``timeout`` seconds. Idempotent."""
        self.end(signal.SIGTERM)
        self.await_end(timeout)

    def kill(self) -> None:
        """SIGKILL: no goodbye to clients or to the other nodes."""
        self.end(signal.SIGKILL)
        self.await_end(10.0)

    def suspend(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        self.end(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.end(signal.SIGCONT)

    def end(self, number: signal.Signals) -> None:
        """Send a signal to the process, if there is one."""
        if self._process is not None:
            self._process.send_signal(number)

    def await_end(self, timeout: float) -> None:
        """Wait for the process to end; kill it after ``timeout`` seconds."""
        if self._process is None:
            return
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _launch(self, main: str, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log_file.open("ab") as log, as_file(_LOG4J) as log4j:
            return subprocess.Popen(  # noqa: S603  Java with our own arguments
                [*self._java, f"-Dlog4j2.configurationFile={log4j}", main, *arguments],
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C at the terminal is the owner's to handle
            )


def known_brokers(port: int, timeout: float = 2.0) -> int | None:
    """Ask the node on this loopback port how many live brokers it knows; None where it does not answer.

    One Metadata request (v1, no topics), spoken by hand so that waiting needs no client and makes no noise.
    """
    request = struct.pack(">hhihi", _METADATA, _METADATA_VERSION, 1, -1, 0)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(struct.pack(">i", len(request)) + request)
            head = connection.makefile("rb").read(12)
    except OSError:
        return None
    if len(head) < 12:  # noqa: PLR2004  size, correlation id, number of brokers
        return None
    _, _, brokers = struct.unpack(">iii", head)
    return int(brokers)
