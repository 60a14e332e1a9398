"""From the end of a shard's owner to the first execution by the next, with the default session timeout of 10 s."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.cluster.processes import WorkerProcess
    from tests.cluster.stage import Stage

SIGNALS: Final = ("SIGTERM", "SIGKILL")
_ROUNDS: Final = 20
_DEFAULTS: Final = {"KADENCE_KAFKA_SESSION_TIMEOUT_MS": "10000", "KADENCE_KAFKA_HEARTBEAT_INTERVAL_MS": "500"}


def measure(stage: Stage, signal: str) -> list[int]:
    """Milliseconds, one per round: a job due every 100 ms, its owner ends, a standby goes on."""
    stage.topics(1)
    alive: dict[str, WorkerProcess] = {}
    for number in range(2):
        alive[f"w{number}"] = stage.worker(f"w{number}", _DEFAULTS)
    stage.until("the workers are ready", lambda: all(worker.ready() for worker in alive.values()))
    stage.write.job("job", {"schedule": {"every": "100ms"}})
    stage.until("it fires", lambda: bool(stage.executions()))
    found: list[int] = []
    for number in range(_ROUNDS):
        stage.catch_up()
        owner = stage.cursors()[0].worker
        ended = alive.pop(owner)
        at = stage.clock.wall()
        if signal == "SIGTERM":
            ended.terminate()
        else:
            ended.kill()
        stage.until("another owns the shard", lambda owner=owner: stage.cursors()[0].worker != owner)  # type: ignore[misc]
        barrier = stage.state("barrier")
        if barrier is None:
            raise AssertionError
        began = barrier.timestamp
        stage.until("it fires there", lambda began=began: stage.executions()[-1].timestamp > began)  # type: ignore[misc]
        found.append(next(one.timestamp for one in stage.executions() if one.timestamp > began) - at)
        ended.await_end()
        name = f"w{number + 2}"
        alive[name] = stage.worker(name, _DEFAULTS)
        stage.until("the next standby is ready", lambda name=name: alive[name].ready())  # type: ignore[misc]
    return found
