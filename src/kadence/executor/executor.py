"""The executor process: a consumer, a loop and a few threads that run an app's handlers."""

from __future__ import annotations

import gc
import logging
import os
import secrets
import socket
import threading
from typing import TYPE_CHECKING, Final

from kadence import foreground
from kadence.clock import SystemClock
from kadence.errors import KadenceError, UnreachableError
from kadence.executor.dispatcher import Dispatcher
from kadence.executor.gate import Gate
from kadence.executor.history import History
from kadence.executor.intake import Intake
from kadence.executor.loop import LoopThread
from kadence.executor.outcomes import Outcomes
from kadence.executor.topics import outcome_partitions
from kadence.handlers.secrets import Mask
from kadence.health import HealthServer
from kadence.log.kafka import KafkaLog
from kadence.log.topics import counted
from kadence.metrics import Metrics
from kadence.metrics_executor import ExecutorMetrics
from kadence.settings import Settings, secret_values

if TYPE_CHECKING:
    from kadence.clock import Clock
    from kadence.handlers.app import App
    from kadence.log.port import Log, LogAppender, LogConsumer

logger = logging.getLogger(__name__)

_STILL: Final = 60_000
"""Milliseconds after which a consumer that has not ticked counts as stuck; a handover takes half of that at most."""
_PAUSE: Final = 0.5
_PATIENCE: Final = 30.0
_YOUNG: Final = 50_000
_AFTER: Final = 3.0
"""Seconds that ending takes at most once the drain is over; what hangs longer dies with the process."""
_FOR_THE_REST: Final = 1.0
"""Of these, the seconds that are left for everything but the last words of runs, the last commit and the leaving."""
_LATE: Final = 0.1


class Executor:
    """Runs the handlers of one app until stopped. Embeddable: installs no signal handlers unless `run` is used.

    ``log`` and ``clock`` are for tests; ``metrics`` and ``health`` are for a process that serves them itself.
    """

    def __init__(
        self,
        app: App,
        settings: Settings | None = None,
        *,
        log: Log | None = None,
        clock: Clock | None = None,
        metrics: Metrics | None = None,
        health: bool = True,
    ) -> None:
        """Nothing is opened before `start`."""
        self.app = app
        self.settings = settings or Settings()
        self.executor_id = self.settings.worker_id or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self.metrics = metrics or Metrics()
        self._log = log
        self._clock = clock or SystemClock()
        self._with_health = health
        self._health: HealthServer | None = None
        self._counts = ExecutorMetrics()
        self.metrics.registry.register(self._counts)
        self._loop = LoopThread()
        self._history: History | None = None
        self._gate: Gate | None = None
        self._appender: LogAppender | None = None
        self._dispatcher: Dispatcher | None = None
        self._intake: Intake | None = None
        self._consumer: LogConsumer | None = None
        self._thread: threading.Thread | None = None
        self._tick = self._clock.monotonic()
        self._drain = self.settings.executor_drain
        self._stop_at: int | None = None
        self._stopping = threading.Event()
        self._hurry = threading.Event()
        self._drained = threading.Event()
        self._stopped = False
        self._ending = threading.Lock()
        self._failure: KadenceError | None = None

    # --- life --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Check the topics, join the group, and return; runs begin when partitions are assigned.

        Raises `ConfigurationError` where topics or settings are not as they must be, `UnreachableError`; what was
        opened until then is released.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        settings, namespace = self.settings, self.settings.namespace
        log = self._log or KafkaLog(settings.bootstrap_servers, settings.kafka, client_id=self.executor_id)
        shards = outcome_partitions(log, namespace)
        self._appender = log.appender()
        outcomes = Outcomes(self._appender, namespace, shards, self.executor_id)
        self._history = History(log, namespace)
        self._history.start()
        handlers, gate = self.app.handlers, None
        if not self.app.run_paused_backlog:
            gate = self._gate = Gate(log, namespace, handlers.keys(), self._clock)
        mask = Mask(secret_values(settings.kafka))
        self._loop.start()
        dispatcher = self._dispatcher = self._loop.call(
            lambda: Dispatcher(
                self.app.name,
                handlers,
                self._clock,
                outcomes,
                gate,
                self._counts,
                mask,
                settings.executor_concurrency,
                settings.executor_threads,
            ),
            _PATIENCE,
        )
        intake = self._intake = Intake(
            self.app.name,
            group=self.app.group or "",
            clock=self._clock,
            loop=self._loop.loop,
            dispatcher=dispatcher,
            outcomes=outcomes,
            history=self._history,
            metrics=self._counts,
            handover=settings.executor_handover,
            hurry=self._hurry,
        )
        self._counts.watch(lambda: (dispatcher.running, max(intake.in_hand - dispatcher.running, 0)))
        if self._with_health:
            given = (settings.metrics_host, settings.metrics_port, settings.metrics_port_explicit)
            self._health = HealthServer(*given, self.metrics, self.not_live, self.not_ready)
            self._health.start()
        group = self.app.group_of(namespace)
        self._consumer = intake.consumer = log.consume(group, f"{namespace}.executions", intake.revoked)
        self._thread = threading.Thread(target=self._consume, name="kadence-consumer", daemon=True)
        self._thread.start()
        told = counted(len(handlers), "job")
        logger.info("executor %s started: app %s, namespace %s, %s", self.executor_id, self.app.name, namespace, told)

    def stop(self, timeout: float | None = None) -> None:
        """Let running handlers finish for ``timeout`` seconds (None: as the settings say), and release everything.

        What could not finish is handed back: another executor is given it. Idempotent.
        """
        if timeout is not None:
            self._drain = timeout
        self._stopping.set()
        with self._ending:  # a failure's stop and the owner's may meet
            self._end()

    def hurry(self) -> None:
        """Wait for running handlers no longer, in a `stop` that is under way."""
        self._hurry.set()

    def _end(self) -> None:
        if self._stop_at is None:
            self._stop_at = self._clock.monotonic()
        if self._thread is not None:
            self._drained.wait(max(0.0, self._drain - self._since(self._stop_at)) + _LATE)
        begin = self._clock.monotonic()
        if self._thread is not None:
            self._thread.join(_AFTER - _FOR_THE_REST)
        if self._gate is not None:
            self._gate.stop(self._left(begin))
        if self._history is not None:
            self._history.stop(self._left(begin))
        if self._dispatcher is not None:
            self._loop.loop.call_soon_threadsafe(self._dispatcher.close)
            self._dispatcher = None
        self._loop.stop(self._left(begin))
        if self._appender is not None:
            closing = threading.Thread(target=self._appender.close, name="kadence-close", daemon=True)
            closing.start()
            closing.join(self._left(begin))
            self._appender = None
        if self._health is not None:
            self._health.stop()
        if self._thread is not None and not self._stopped:
            logger.info("executor %s stopped", self.executor_id)
        self._stopped = True

    def run(self) -> None:
        """Run in the foreground until SIGTERM, SIGINT or a failure that no retry mends (which is raised)."""
        collect_less()
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

    def not_live(self) -> str | None:
        """Why the process should be restarted, or None. A handler that takes long is no reason."""
        still = self._clock.monotonic() - self._tick
        return f"the consumer has not ticked for {still // 1000} s" if self._thread and still > _STILL else None

    def not_ready(self) -> str | None:
        """Why this executor is not ready, or None."""
        if self._intake is None or self._consumer is None or self._history is None:
            return "starting"
        stuck = None if self._dispatcher is None else self._dispatcher.problem
        return self._history.trouble or self._intake.problem or stuck

    def _since(self, moment: int) -> float:
        return (self._clock.monotonic() - moment) / 1000

    def _left(self, begin: int) -> float:
        """Seconds that one more thing may take to end; the last ones are given a little in any case."""
        return max(_LATE, (_AFTER - self._since(begin)) / 2)

    # --- the consumer's thread ---------------------------------------------------------------------------

    def _consume(self) -> None:
        consumer, intake = self._consumer, self._intake
        assert consumer is not None  # noqa: S101  the thread is started after both
        assert intake is not None  # noqa: S101
        try:
            while not self._stopping.is_set():
                self._tick = self._clock.monotonic()
                self._step(intake, consumer)
            self._let_finish(intake, consumer)
            intake.hand_back(consumer)
        except Exception:
            logger.exception("the last runs were not waited for: this is a bug in kadence")
        finally:
            self._drained.set()
            consumer.leave()

    def _let_finish(self, intake: Intake, consumer: LogConsumer) -> None:
        if self._stop_at is None:
            self._stop_at = self._clock.monotonic()
        intake.drain(consumer, self._stop_at, self._drain)
        self._drained.set()

    def _step(self, intake: Intake, consumer: LogConsumer) -> None:
        try:
            intake.step(consumer)
        except UnreachableError as error:
            logger.warning("consumer: %s", error)
            self._stopping.wait(_PAUSE)
        except KadenceError as error:
            self._fail(error)
        except Exception:
            logger.exception("consumer: this is a bug in kadence; going on")
            self._stopping.wait(_PAUSE)

    def _fail(self, error: KadenceError) -> None:
        """Leave the group, so that a healthy executor takes our partitions; `run` then raises the error."""
        if self._failure is None:
            self._failure = error
            logger.critical("executor %s stops: %s", self.executor_id, error)
            self._stopping.set()
            threading.Thread(target=self.stop, name="kadence-stop", daemon=True).start()


def collect_less() -> None:
    """Have Python look for garbage in cycles less often, for a process that is an executor's own.

    Every record in hand is a few objects that live for some ms and are in no cycle; looking through them after each
    700 takes a quarter of the time that there is.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 20)
