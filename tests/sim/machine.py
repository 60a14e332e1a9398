"""One simulated worker process: the production tail, targets and shard runners, on the memory log."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

from kadence.errors import ClockSkewError, LogError
from kadence.log.memory.faults import SimulatedCrash
from kadence.metrics import Metrics
from kadence.worker.environment import Environment
from kadence.worker.runner import ShardRunner
from kadence.worker.tail import Tail
from kadence.worker.targets import Targets

if TYPE_CHECKING:
    from collections.abc import Callable

    from kadence.log.memory import MemoryLog, MemoryProcess
    from kadence.log.memory.admin import MemoryAdmin
    from kadence.log.memory.consumer import MemoryConsumer
    from kadence.log.memory.reader import MemoryReader
    from kadence.log.memory.writer import MemoryAppender
    from kadence.log.port import Assigned, LogWriter, Record, Revoked
    from tests.sim.times import MachineClock

NAMESPACE: Final = "kadence"


class PromptReader:
    """A reader that never waits: in virtual time nothing comes while one does."""

    def __init__(self, reader: MemoryReader) -> None:
        self.inner = reader

    def assign(self, topic: str, partition: int, offset: int) -> None:
        self.inner.assign(topic, partition, offset)

    def unassign(self, topic: str, partition: int) -> None:
        self.inner.unassign(topic, partition)

    def read(self, limit: int, timeout: float) -> list[Record]:
        return self.inner.read(limit, 0)

    def position(self, topic: str, partition: int) -> int:
        return self.inner.position(topic, partition)

    def bounds(self, topic: str, partition: int, timeout: float) -> tuple[int, int]:
        return self.inner.bounds(topic, partition, 0)

    def offset_at(self, topic: str, partition: int, timestamp: int, timeout: float) -> int:
        return self.inner.offset_at(topic, partition, timestamp, 0)

    def partitions(self, topic: str, timeout: float) -> int:
        return self.inner.partitions(topic, 0)

    def close(self) -> None:
        self.inner.close()


class _Nobody:
    """The membership of a machine whose assignments come from the simulation itself."""

    def poll(self, timeout: float) -> list[Assigned | Revoked]:
        return []

    def leave(self) -> None:
        """There is nothing to leave."""


class ProcessLog:
    """A `kadence.log.port.Log`: a memory process whose readers never wait."""

    def __init__(self, process: MemoryProcess) -> None:
        self.process = process

    def reader(self) -> PromptReader:
        return PromptReader(self.process.reader())

    def writer(self, transactional_id: str) -> LogWriter:
        return self.process.writer(transactional_id)

    def appender(self) -> MemoryAppender:
        return self.process.appender()

    def admin(self) -> MemoryAdmin:
        return self.process.admin()

    def join(self, group: str, topic: str) -> _Nobody:
        return _Nobody()

    def consume(self, group: str, topic: str, on_revoked: Callable[[frozenset[int], bool], None]) -> MemoryConsumer:
        return self.process.consume(group, topic, on_revoked)


class Machine:
    """Runs the shards it believes are its own, whatever the simulation believes. Dead or alive."""

    def __init__(self, log: MemoryLog, name: str, clock: MachineClock, shards: int, max_transaction: int) -> None:
        self._log = log
        self._shards = shards
        self._max_transaction = max_transaction
        self._nonces = count()
        self.name = name
        self.clock = clock
        self.believes: set[int] = set()
        self.runners: dict[int, ShardRunner] = {}
        self.environment: Environment | None = None

    @property
    def alive(self) -> bool:
        return self.environment is not None

    def start(self) -> bool:
        """Begin a new life; False where the log did not let it."""
        process = self._log.start(self.name)
        log = ProcessLog(process)
        try:
            admin = log.admin()
            self.environment = Environment(
                log=log,
                clock=self.clock,
                namespace=NAMESPACE,
                shards=self._shards,
                worker=self.name,
                control_topic_id=lambda: admin.describe([f"{NAMESPACE}.control"])[f"{NAMESPACE}.control"].topic_id,
                tail=Tail(log.reader(), NAMESPACE, self._shards),
                targets=Targets(admin, self.clock),
                appender=log.appender(),
                metrics=Metrics(),
                nonce=lambda: f"{self.name}-{next(self._nonces)}",
                max_transaction=self._max_transaction,
            )
        except (SimulatedCrash, LogError):
            self.die()
        return self.alive

    def die(self) -> None:
        """End without another word."""
        if self.environment is not None:
            self.environment.log.process.kill()  # type: ignore[attr-defined]  # it is a ProcessLog
        self.environment = None
        self.runners.clear()
        self.believes.clear()

    def give(self, shard: int) -> None:
        """The machine hears that a shard is its own."""
        self.believes.add(shard)
        if self.environment is not None and shard not in self.runners:
            self.runners[shard] = ShardRunner(self.environment, shard, lambda: shard in self.believes)

    def take(self, shard: int) -> None:
        """The machine hears that a shard is not its own any more."""
        self.believes.discard(shard)
        runner = self.runners.pop(shard, None)
        if runner is not None:
            runner.close()

    def step(self, shard: int) -> int | None:
        """Step one runner; None where the machine stopped or died (of it)."""
        runner = self.runners.get(shard)
        try:
            return None if runner is None else runner.step()
        except SimulatedCrash:
            self.die()
        except ClockSkewError:
            self.leave()
        return None

    def poll(self) -> int:
        """Let the tail read once."""
        if self.environment is None:
            return 0
        try:
            return self.environment.tail.poll(0)
        except SimulatedCrash:
            self.die()
        except LogError:
            pass  # the tail's thread logs it and goes on
        return 0

    def refresh_targets(self) -> None:
        """Let the upkeep look at targets that are due for it."""
        try:
            if self.environment is not None:
                self.environment.targets.refresh()
        except SimulatedCrash:
            self.die()

    def leave(self) -> None:
        """Stop properly: a clock too far off, or the end."""
        for shard in list(self.runners):
            self.take(shard)
        self.die()

    def ready(self, shard: int) -> bool:
        """Whether the shard is taken over here."""
        runner = self.runners.get(shard)
        return runner is not None and runner.book is not None and runner.problem is None
