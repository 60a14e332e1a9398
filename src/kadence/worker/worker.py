"""The worker process: membership in the group, one thread per owned shard, one for the tail, health and metrics.

Three small loops and no more: *membership* turns assignments into shard threads, *tail* reads control, cursors and
outcomes, *upkeep* looks at targets again. A shard's thread steps its `ShardRunner` and waits for news.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from typing import TYPE_CHECKING, Final

from kadence import foreground
from kadence.clock import SystemClock
from kadence.errors import ConfigurationError, KadenceError, MissingError, OffsetOutOfRangeError, UnreachableError
from kadence.health import HealthServer
from kadence.log.kafka import KafkaLog
from kadence.log.port import Assigned
from kadence.log.topics import DEAD_LETTERS, check_topics, counted, init_command, init_topics
from kadence.metrics import Metrics
from kadence.settings import Settings
from kadence.worker.environment import Environment
from kadence.worker.shard_thread import ShardThread
from kadence.worker.tail import Tail
from kadence.worker.targets import Targets

if TYPE_CHECKING:
    from collections.abc import Callable

    from kadence.clock import Clock
    from kadence.domain.book import Book
    from kadence.log.port import Log, LogAdmin, Membership
    from kadence.wire.state import CursorRecord

logger = logging.getLogger(__name__)

_LOOP: Final = 0.5
_MEMBERSHIP_LOOP: Final = 0.1  # a stop waits for it
_TAIL_LOOP: Final = 0.1  # so does a shard that asks whether it has heard every outcome
_SESSION: Final = "10000"
_STILL: Final = 30_000
"""Milliseconds after which a loop that has not ticked counts as stuck."""
_CONTACT: Final = 5_000
_SILENCE: Final = 20_000
"""Milliseconds without an answer from any broker after which a worker is not ready."""
_PATIENCE: Final = 30.0


class Worker:
    """Runs shards of one namespace until stopped. Embeddable: installs no signal handlers unless `run` is used.

    ``log``, ``clock`` and ``broker_checks`` are for the demo and for tests; everyone else gives settings alone.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        log: Log | None = None,
        clock: Clock | None = None,
        broker_checks: bool = True,
        health: bool = True,
    ) -> None:
        """Nothing is opened before `start`."""
        self.settings = settings or Settings()
        self.worker_id = self.settings.worker_id or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self.metrics = Metrics()
        self._log = log
        self._clock = clock or SystemClock()
        self._checked = broker_checks
        self._with_health = health
        self._health: HealthServer | None = None
        self._env: Environment | None = None
        self._admin: LogAdmin | None = None
        self._tail_end = 0
        self._membership: Membership | None = None
        self._shards: dict[int, ShardThread] = {}
        self._leaving: dict[int, ShardThread] = {}
        self._threads: list[threading.Thread] = []
        self._ticks: dict[str, int] = {}
        self._stopping = threading.Event()
        self._stopped = threading.Event()
        self._ending = threading.Lock()
        self._joined = False
        self._failure: KadenceError | None = None
        self._contact = self._clock.monotonic()
        self._control_id = ""
        self._trouble: str | None = None

    # --- life --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Check the topics, join the group, and return; shards are taken over in the background.

        Raises `ConfigurationError` where topics or settings are not as they must be, `UnreachableError`; what was
        opened until then is released.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        settings = self.settings
        log = self._log or KafkaLog(settings.bootstrap_servers, settings.kafka, client_id=self.worker_id)
        self._admin = log.admin()
        shards, self._control_id = self._check()
        self._tail_end = self._control_end(log)
        tail = Tail(log.reader(), settings.namespace, shards, self._on_cursor)
        self._env = Environment(
            log=log,
            clock=self._clock,
            namespace=settings.namespace,
            shards=shards,
            worker=self.worker_id,
            control_topic_id=self._current_control_id if self._checked else lambda: self._control_id,
            tail=tail,
            targets=Targets(
                self._admin,
                self._clock,
                enabled=self._checked,
                partitions={f"{settings.namespace}.{DEAD_LETTERS.suffix}": shards},
            ),
            appender=log.appender(),
            metrics=self.metrics,
            nonce=lambda: secrets.token_hex(16),
            max_transaction=settings.max_transaction,
            longest_gap=int(settings.kafka.get("session.timeout.ms", _SESSION)) // 2,
            broker_clock=self._checked,
        )
        self.metrics.watch(self._books, self._clock)
        if self._with_health:
            self._health = HealthServer(
                settings.metrics_host,
                settings.metrics_port,
                settings.metrics_port_explicit,
                self.metrics,
                self.not_live,
                self.not_ready,
            )
            self._health.start()
        self._membership = log.join(f"{settings.namespace}.workers", f"{settings.namespace}.state")
        for name, loop in (("membership", self._members), ("tail", self._follow), ("upkeep", self._upkeep)):
            thread = threading.Thread(target=self._guarded, args=(name, loop), name=f"kadence-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()
        told = counted(shards, "shard")
        logger.info("worker %s started: namespace %s, %s", self.worker_id, settings.namespace, told)

    def stop(self, timeout: float = _PATIENCE) -> None:
        """Finish the transactions in hand, leave the group at once, and release everything. Idempotent."""
        self._stopping.set()
        with self._ending:  # a failure's stop and the owner's may meet
            self._end(timeout)

    def hurry(self) -> None:
        """Nothing to do: a worker's transactions take no longer than it takes to give them up."""

    def _end(self, timeout: float) -> None:
        for shard in list(self._shards.values()):
            shard.signal_stop()
        for thread in self._threads[:1]:  # membership: it starts no further shard, and alone may use its client
            thread.join(timeout)
        for shard in self._shards.values():
            shard.signal_stop()
        for shard in (*self._leaving.values(), *self._shards.values()):
            shard.join(timeout)
        if self._membership is not None:
            self._membership.leave()
        for thread in self._threads:
            thread.join(timeout)
        if self._health is not None:
            self._health.stop()
        if self._env is not None:
            self._env.tail.close()
            self._env.appender.close()
        if self._admin is not None:
            self._admin.close()
        if self._threads and not self._stopped.is_set():
            logger.info("worker %s stopped", self.worker_id)
        self._stopped.set()

    def run(self) -> None:
        """Run in the foreground until SIGTERM, SIGINT or a failure that no retry mends (which is raised)."""
        foreground.run(self)

    @property
    def ended(self) -> bool:
        """Whether it has been stopped, or stops by itself."""
        return self._stopping.is_set()

    @property
    def failure(self) -> KadenceError | None:
        """What it stopped of by itself, which no retry mends."""
        return self._failure

    @property
    def port(self) -> int | None:
        """The port of /metrics, /livez and /readyz."""
        return None if self._health is None else self._health.port

    @property
    def shards(self) -> int:
        """How many shards the namespace has; 0 before `start`."""
        return 0 if self._env is None else self._env.shards

    def not_live(self) -> str | None:
        """Why the process should be restarted, or None."""
        now = self._clock.monotonic()
        stuck = [name for name, at in list(self._ticks.items()) if now - at > _STILL]
        return f"loops that do not tick: {', '.join(stuck)}" if stuck else None

    def not_ready(self) -> str | None:
        """Why this worker is not ready, or None; a spare without shards is ready."""
        env = self._env
        if env is None or not self._joined:
            return "joining the group"
        silent = self._clock.monotonic() - self._contact
        if self._checked and silent > _SILENCE:
            return f"no broker has answered for {silent // 1000} s"
        if self._trouble is not None:
            return self._trouble
        if env.tail.position < self._tail_end:
            return f"reading control: at offset {env.tail.position} of {self._tail_end}"
        waiting = {index: shard.problem for index, shard in list(self._shards.items()) if shard.problem is not None}
        return "; ".join(f"shard {index}: {problem}" for index, problem in sorted(waiting.items())) or None

    # --- start-up ----------------------------------------------------------------------------------------

    def _check(self) -> tuple[int, str]:
        """Shards and the control topic's id, once everything is found as it must be."""
        settings, admin = self.settings, self._admin
        if not self._checked or admin is None:
            return settings.shards, ""
        if settings.create_topics:
            for done in init_topics(admin, settings.namespace, settings.shards, settings.replication):
                logger.info("%s", done)
        report = check_topics(admin, settings.namespace, servers=settings.bootstrap_servers)
        for warning in report.warnings:
            logger.warning("%s", warning.sentence)
        if report.errors:
            raise ConfigurationError("\n".join(error.sentence for error in report.errors))
        return report.shards, report.control_topic_id

    def _current_control_id(self) -> str:
        """The control topic's id. Raises `UnreachableError`, also where the topic is missing."""
        if self._admin is None:
            raise UnreachableError("the worker is not started")
        found = self._admin.describe([self._control], timeout=_CONTACT / 1000, config=False).get(self._control)
        if found is None or found.error is not None:
            why = (
                found.error if found else f"it does not exist; create it with: {init_command(self.settings.namespace)}"
            )
            raise MissingError(f"{self._control} cannot be looked up: {why}")
        return found.topic_id

    @property
    def _control(self) -> str:
        return f"{self.settings.namespace}.control"

    def _made_anew(self) -> ConfigurationError:
        return ConfigurationError(
            f"{self._control} was made anew, restored or truncated while this worker ran; start the worker again, so "
            "that it looks at what is there now"
        )

    def _control_end(self, log: Log) -> int:
        reader = log.reader()
        try:
            return reader.bounds(self._control, 0, _PATIENCE)[1]
        finally:
            reader.close()

    # --- the loops ---------------------------------------------------------------------------------------

    def _guarded(self, name: str, loop: Callable[[], None]) -> None:
        """Tick a loop until the worker stops; a failure that no retry mends stops the worker."""
        while not self._stopping.is_set():
            self._ticks[name] = self._clock.monotonic()
            try:
                loop()
            except UnreachableError as error:
                logger.warning("%s: %s", name, error)
                self._stopping.wait(_LOOP)
            except KadenceError as error:
                self._fail(error)
            except Exception:
                logger.exception("%s: this is a bug in kadence; going on", name)
                self._stopping.wait(_LOOP)
        self._ticks.pop(name, None)

    def _fail(self, error: KadenceError) -> None:
        """Leave the group, so that a healthy worker takes our shards; `run` then raises the error."""
        if self._failure is None:
            self._failure = error
            logger.critical("worker %s stops: %s", self.worker_id, error)
            threading.Thread(target=self.stop, name="kadence-stop", daemon=True).start()

    def _members(self) -> None:
        if self._membership is None or self._env is None:
            return
        for change in self._membership.poll(_MEMBERSHIP_LOOP):
            self._joined = True
            if isinstance(change, Assigned):
                for index in sorted(change.partitions - self._shards.keys()):
                    former = self._leaving.pop(index, None)
                    shard = self._shards[index] = ShardThread(self._env, index, self._fail, former)
                    shard.start()
            else:
                for index in sorted(change.partitions & self._shards.keys()):
                    logger.info("shard %d: given up", index)
                    shard = self._leaving[index] = self._shards.pop(index)
                    shard.signal_stop()

    def _follow(self) -> None:
        if self._env is not None:
            try:
                self._env.tail.poll(_TAIL_LOOP)
            except OffsetOutOfRangeError as error:
                raise self._made_anew() from error

    def _upkeep(self) -> None:
        if self._env is not None:
            self._env.targets.refresh()
        self._look_at_control()
        self._stopping.wait(1.0)

    def _look_at_control(self) -> None:
        """A worker that reaches no broker, or no control topic, is not ready, even where its shards were taken from it.

        Nor does one go on whose control topic was made anew: what it has read would hide what is written now.
        """
        if not self._checked or self._clock.monotonic() - self._contact < _CONTACT:
            return
        try:
            control_id = self._current_control_id()
        except MissingError as error:
            self._contact, self._trouble = self._clock.monotonic(), str(error)
            raise
        self._contact, self._trouble = self._clock.monotonic(), None
        if control_id != self._control_id:
            raise self._made_anew()

    def _on_cursor(self, shard: int, cursor: CursorRecord) -> None:
        self.metrics.shard_cursor(shard, cursor.through)

    def _books(self) -> list[Book]:
        books = [shard.book for shard in list(self._shards.values())]
        return [book for book in books if book is not None]
