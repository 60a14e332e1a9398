"""One test's stage: a namespace on the broker, its workers, a writer, and the oracle's reading of its topics."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from confluent_kafka.admin import AdminClient

from kadence.clock import SystemClock
from kadence.log.kafka import KafkaLog
from kadence.log.topics import init_topics
from tests.cluster.processes import BROKEN, EXECUTOR, WORKER, WorkerProcess
from tests.cluster.reading import Reading, Seen, instant
from tests.cluster.writing import Writing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

SESSION_MS: Final = 3_000
"""Session timeout of the workers in these tests; the default of 10 s would only make them longer."""
_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_READ: Final = ("state", "executions", "events")
_KAFKA: Final = {
    "KADENCE_KAFKA_SESSION_TIMEOUT_MS": str(SESSION_MS),
    "KADENCE_KAFKA_HEARTBEAT_INTERVAL_MS": "500",
}


@dataclass(frozen=True, slots=True)
class CursorSeen:
    """A shard's newest cursor, as it stands in the log. Times in ms."""

    through: int
    control: int
    outcomes: int
    worker: str
    timestamp: int
    rejected: tuple[int, ...]


class Stage:
    """Everything a story needs; `close` ends what it started."""

    def __init__(self, bootstrap_servers: str, namespace: str, directory: Path) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.namespace = namespace
        self.clock = SystemClock()
        self.admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 2})
        self.write = Writing(bootstrap_servers, namespace)
        self.workers: list[WorkerProcess] = []
        self.shards = 0
        self._directory = directory
        self._reading: Reading | None = None
        self._read_so_far = 0
        self._cursors: dict[int, CursorSeen] = {}

    # --- setting it up -----------------------------------------------------------------------------------

    def topics(self, shards: int, read: Sequence[str] = _READ) -> None:
        """Create the namespace's topics and begin to read some of them."""
        admin = KafkaLog(self.bootstrap_servers).admin()
        init_topics(admin, self.namespace, shards)
        admin.close()
        self.look(shards, read)

    def look(self, shards: int, read: Sequence[str] = _READ) -> None:
        """Begin to read topics that are there already."""
        self.shards = shards
        self._reading = Reading(self.bootstrap_servers, [f"{self.namespace}.{name}" for name in read])

    def worker(
        self, name: str, settings: Mapping[str, str] = _NONE, *, app: str | None = None, broken: bool = False
    ) -> WorkerProcess:
        """Start a worker, with an executor of ``app`` in it; ``settings`` are further variables."""
        handlers = () if app is None else ("--app", app)
        return self._start(name, settings, BROKEN if broken else (*WORKER, *handlers))

    def executor(self, name: str, app: str, settings: Mapping[str, str] = _NONE) -> WorkerProcess:
        """Start an executor of an app; ``settings`` are further variables."""
        return self._start(name, settings, (*EXECUTOR, app))

    def both(self, name: str, app: str, settings: Mapping[str, str] = _NONE) -> WorkerProcess:
        """Start one process that is a worker and an executor of an app."""
        return self._start(name, settings, (*WORKER, "--app", app))

    def _start(self, name: str, settings: Mapping[str, str], command: Sequence[str]) -> WorkerProcess:
        environment = {
            "KADENCE_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "KADENCE_NAMESPACE": self.namespace,
            "KADENCE_WORKER_ID": name,
            "KADENCE_METRICS_HOST": "127.0.0.1",
            "KADENCE_METRICS_PORT": "0",
            **_KAFKA,
            **settings,
        }
        log = self._directory / f"{len(self.workers)}-{name}.log"
        worker = WorkerProcess(name, log, environment, command)
        self.workers.append(worker)
        return worker

    def close(self) -> None:
        for worker in self.workers:
            worker.end()
        if self._reading is not None:
            self._reading.close()

    # --- reading -----------------------------------------------------------------------------------------

    @property
    def reading(self) -> Reading:
        assert self._reading is not None, "topics() comes first"
        return self._reading

    def seen(self, topic: str) -> list[Seen]:
        """What one of the namespace's topics holds, as far as it was read."""
        return self.reading.records[f"{self.namespace}.{topic}"]

    def executions(self, job: str | None = None) -> list[Seen]:
        return [one for one in self.seen("executions") if job is None or one.key == job]

    def outcomes(self, job: str, status: str | None = None) -> list[Seen]:
        """What executors said of a job's runs."""
        found = [one for one in self.seen("outcomes") if one.key == job]
        return [one for one in found if status in {None, one.json["status"]}]

    def events(self, kind: str, name: str | None = None) -> list[Seen]:
        """Events of one kind, e.g. ``job.paused``."""
        wanted = f"kadence.{kind}.v1"
        return [one for one in self.seen("events") if one.headers["ce_type"] == wanted and name in {None, one.key}]

    def state(self, key: str) -> Seen | None:
        """The newest state record under a key."""
        return next((one for one in reversed(self.seen("state")) if one.key == key), None)

    def state_of(self, job: str) -> str | None:
        """The job's own state as its state record says it; None where there is none."""
        record = self.state(f"job/{job}")
        return None if record is None or record.value is None else str(record.json["state"])

    def cursors(self) -> dict[int, CursorSeen]:
        """The newest cursor of every shard that has one."""
        records = self.seen("state")
        for record in records[self._read_so_far :]:
            if record.key == "cursor":
                self._cursors[record.partition] = cursor_of(record)
        self._read_so_far = len(records)
        return self._cursors

    # --- waiting -----------------------------------------------------------------------------------------

    def until(self, what: str, predicate: Callable[[], bool], timeout: float = 60.0) -> None:
        """Read on until something is so; fails with what the workers said, or as soon as one of them died."""
        deadline = self.clock.monotonic() + timeout * 1000
        while not predicate():
            self.reading.poll(0.05)
            dead = [worker.name for worker in self.workers if worker.died()]
            assert not dead, f"worker {dead[0]} ended by itself while waiting until {what}\n{self.report()}"
            late = self.clock.monotonic() > deadline
            assert not late, f"waited {timeout:.0f} s in vain until {what}\ncursors: {self.cursors()}\n{self.report()}"

    def catch_up(self, timeout: float = 60.0) -> None:
        """Read all that is committed at this moment."""
        behind = self.reading.behind()
        self.until("all that is committed was read", lambda: not behind(), timeout)

    def owned_by(self, *names: str) -> None:
        """Wait until every shard has a cursor of one of these workers."""
        self.until(
            f"all shards are owned by {names}",
            lambda: len(found := self.cursors()) == self.shards and all(one.worker in names for one in found.values()),
        )

    def decided_through(self, moment: int, timeout: float = 60.0) -> None:
        """Wait until every shard's cursor says that all before ``moment`` is decided."""
        self.until(
            f"every cursor is past {moment}",
            lambda: len(found := self.cursors()) == self.shards and all(one.through > moment for one in found.values()),
            timeout,
        )

    def acknowledged(self, offset: int, job: str | None = None, timeout: float = 60.0) -> CursorSeen:
        """Wait until the control record at ``offset`` is decided by every shard, or by that of ``job``.

        Returns the newest cursor of those that had to say so, which is the last acknowledgement.
        """

        def concerned() -> list[CursorSeen]:
            found = self.cursors()
            if job is None:
                return list(found.values()) if len(found) == self.shards else []
            shard = self.shard_of(job)
            return [found[shard]] if shard in found else []

        def decided() -> bool:
            found = concerned()
            return bool(found) and all(one.control > offset for one in found)

        self.until(f"control offset {offset} is acknowledged", decided, timeout)
        return max(concerned(), key=lambda cursor: cursor.timestamp)

    def shard_of(self, job: str) -> int | None:
        """The partition in which the job's records stand; None before there are any."""
        if self.shards == 1:
            return 0
        record = self.state(f"job/{job}")
        return None if record is None else record.partition

    def report(self) -> str:
        """What every worker said last."""
        return "\n".join(worker.report() for worker in self.workers)


def cursor_of(record: Seen) -> CursorSeen:
    """The fields of a cursor record that the tests look at."""
    found = record.json
    rejected = tuple(one["offset"] for one in found["rejected"])
    return CursorSeen(
        instant(found["through"]), found["control"], found["outcomes"], found["worker"], record.timestamp, rejected
    )
