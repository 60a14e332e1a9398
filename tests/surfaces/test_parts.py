"""What a process of an app consists of, and what it says when it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kadence import App, Client, foreground
from kadence.cli import parts
from kadence.settings import Settings
from tests.surfaces.owner import NS, Owner, a_log

if TYPE_CHECKING:
    import pytest

    from kadence.log.memory import MemoryLog


class _Invocation:
    """Gives clients of a log in memory."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    def client(self) -> Client:
        return Client(log=self._log, namespace=NS)


def _deploy(app: App, log: MemoryLog) -> None:
    parts.Deployment(app, _Invocation(log)).start()  # type: ignore[arg-type]  # all that is asked of one


def _app(name: str) -> App:
    app = App(name)
    app.job("tick", every="1h")(lambda: None)
    return app


def test_what_no_worker_has_confirmed_is_said_to_be_recorded(caplog: pytest.LogCaptureFixture) -> None:
    _deploy(_app("billing"), a_log())
    assert "no worker has confirmed 1 definition (tick): recorded, and in force once a worker runs" in caplog.text


def test_an_app_whose_jobs_are_all_anothers_is_told(caplog: pytest.LogCaptureFixture) -> None:
    log = a_log()
    with Owner(log):
        _deploy(_app("billing"), log)
        assert "nothing to run" not in caplog.text
        _deploy(_app("shipping"), log)
    assert "no job of app shipping is its own, so it has nothing to run" in caplog.text


def test_a_worker_and_an_executor_in_one_process_have_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Any] = []
    monkeypatch.setattr(foreground, "run", lambda *given: found.extend(given))
    monkeypatch.setattr(parts, "collect_less", lambda: None)
    parts.run_both(_app("billing"), Settings(namespace=NS), _Invocation(a_log()))  # type: ignore[arg-type]
    worker, executor = found[1], found[3]
    assert executor.executor_id == worker.worker_id
    assert not executor.settings.metrics_port_explicit
    executor.stop()
