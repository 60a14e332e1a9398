"""From sending a pause to having seen the cursor that acknowledges it, as a client with `wait` experiences it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.cluster.stage import Stage

_ROUNDS: Final = 200
_JOBS: Final = 100


def measure(stage: Stage) -> list[int]:
    """Milliseconds, one per pause: a hundred jobs due every second, on twelve shards of one worker."""
    stage.topics(12)
    stage.worker("one")
    stage.owned_by("one")
    names = [f"job-{number}" for number in range(_JOBS)]
    stage.write.jobs({name: {"schedule": {"every": "1s"}} for name in names})
    stage.until("all fire", lambda: len({one.key for one in stage.executions()}) == _JOBS)
    found: list[int] = []
    for number in range(_ROUNDS):
        name = names[number % _JOBS]
        sent = stage.clock.monotonic()
        paused = stage.write.pause(name)
        stage.acknowledged(paused.offset, name)
        found.append(stage.clock.monotonic() - sent)
        stage.acknowledged(stage.write.resume(name).offset, name)
    return found
