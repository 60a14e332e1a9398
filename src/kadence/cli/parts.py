"""What an app's process is made of: its deployment, an executor, perhaps a worker, and one port for all."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from kadence import foreground
from kadence.executor.executor import Executor, collect_less
from kadence.health import HealthServer
from kadence.log.topics import counted
from kadence.worker.worker import Worker

if TYPE_CHECKING:
    from kadence.cli.context import Invocation
    from kadence.handlers.app import App
    from kadence.settings import Settings

_NAMED: Final = 5

_log = logging.getLogger("kadence.deploy")


class Deployment:
    """Writes the specs of an app where they differ from what is so. A part that is over when it has started."""

    ended = False
    failure = None

    def __init__(self, app: App, invocation: Invocation) -> None:
        """Nothing is written before `start`."""
        self._app = app
        self._invocation = invocation

    def start(self) -> None:
        """Deploy. That no worker confirms it is no reason not to run: it is recorded, and comes into force."""
        with self._invocation.client() as client:
            deployed = client.deploy(self._app.specs(), self._app.name)
        steps = deployed.plan.steps
        for step in steps:
            if step.what != "unchanged":
                _log.info("job %s: %s", step.name, step.what)
        waiting = [one.name for one in deployed.written if one.fate == "recorded"]
        if waiting:
            _log.warning(
                "no worker has confirmed %s (%s): recorded, and in force once a worker runs (kadence worker)",
                counted(len(waiting), "definition"),
                ", ".join(waiting[:_NAMED]) + (", …" if len(waiting) > _NAMED else ""),
            )
        if steps and all(step.what == "foreign" for step in steps):
            _log.error("no job of app %s is its own, so it has nothing to run: see the warnings", self._app.name)

    def stop(self) -> None:
        """Nothing is open."""

    def hurry(self) -> None:
        """It waits for nothing."""


class Pages:
    """One port for a worker and an executor."""

    ended = False
    failure = None

    def __init__(self, settings: Settings, worker: Worker, executor: Executor) -> None:
        """The port is taken by `start`."""
        self._settings = settings
        self._worker = worker
        self._executor = executor
        self._server: HealthServer | None = None

    def start(self) -> None:
        """Raises `ConfigurationError` where no port can be had."""
        settings = self._settings
        place = (settings.metrics_host, settings.metrics_port, settings.metrics_port_explicit)
        self._server = HealthServer(*place, self._worker.metrics, self._not_live, self._not_ready)
        self._server.start()

    def stop(self) -> None:
        """Give the port back."""
        if self._server is not None:
            self._server.stop()

    def hurry(self) -> None:
        """It waits for nothing."""

    def _not_live(self) -> str | None:
        return self._worker.not_live() or self._executor.not_live()

    def _not_ready(self) -> str | None:
        return self._worker.not_ready() or self._executor.not_ready()


def run_executor(app: App, settings: Settings, invocation: Invocation) -> None:
    """Deploy, and run the handlers until SIGTERM or Ctrl-C."""
    executor = Executor(app, settings)
    collect_less()
    foreground.run(Deployment(app, invocation), executor)


def run_both(app: App, settings: Settings, invocation: Invocation) -> None:
    """The same with a worker beside the executor. It comes first, since it confirms what is deployed."""
    worker = Worker(settings, health=False)
    settings = settings.model_copy(update={"worker_id": worker.worker_id})  # one process, one name
    executor = Executor(app, settings, metrics=worker.metrics, health=False)
    collect_less()
    foreground.run(Pages(settings, worker, executor), worker, Deployment(app, invocation), executor)
