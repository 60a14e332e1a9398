"""A pause that was acknowledged holds, whoever owns the shard next: nothing fires after it, in the order of the log."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from tests.cluster.processes import WorkerProcess
    from tests.cluster.stage import Stage

pytestmark = [pytest.mark.cluster, pytest.mark.broker]

_ROUNDS: Final = 20
_JOB: Final = "every-second"
_QUICK: Final = {"KADENCE_KAFKA_SESSION_TIMEOUT_MS": "1500", "KADENCE_KAFKA_HEARTBEAT_INTERVAL_MS": "300"}


def test_nothing_fires_after_an_acknowledged_pause_whoever_dies(stage: Stage) -> None:
    stage.topics(1)
    alive: dict[str, WorkerProcess] = {}
    for number in range(3):  # the owner, one that takes over, and one that is still starting
        alive[f"w{number}"] = stage.worker(f"w{number}", _QUICK)
    stage.until("the shard is owned", lambda: 0 in stage.cursors())
    stage.until("all are ready, the two spares as well", lambda: all(worker.ready() for worker in alive.values()))
    stage.write.job(_JOB, {"schedule": {"every": "1s"}, "catch_up": {"grace": "30s"}})
    chance = random.Random(20)

    for round_number in range(_ROUNDS):
        fired = len(stage.executions())
        stage.until("it fires", lambda fired=fired: len(stage.executions()) > fired)  # type: ignore[misc]
        threading.Event().wait(chance.random())  # any phase of the second
        pause = stage.write.pause(_JOB, reason=f"round {round_number}")
        acknowledgement = stage.acknowledged(pause.offset)
        threading.Event().wait(chance.random() * 0.05)
        alive.pop(acknowledgement.worker).kill()
        name = f"w{round_number + 3}"
        alive[name] = stage.worker(name, _QUICK)

        stage.until("another took over", lambda: stage.cursors()[0].worker != acknowledgement.worker)  # noqa: B023
        successor = stage.cursors()[0]
        # Several due times pass under the new owner: a job of its own tells how far it has decided.
        witness = stage.write.job(f"witness-{round_number}", {"schedule": {"every": "500ms"}})
        stage.until(
            "due times of the pause are past",
            lambda: sum(one.timestamp > witness.timestamp for one in stage.executions(f"witness-{round_number}")) >= 4,  # noqa: B023
        )
        stage.write.job(f"witness-{round_number}", None)
        resume = stage.write.resume(_JOB)
        stage.acknowledged(resume.offset)
        stage.catch_up()
        broken = [
            one.id for one in stage.executions(_JOB) if acknowledgement.timestamp < one.timestamp <= resume.timestamp
        ]
        assert not broken, f"round {round_number}: fired after the acknowledging cursor: {broken}; then {successor}"
