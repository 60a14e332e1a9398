"""How late executions are, by broker append time, when so many jobs are due at each second. One worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.cluster.stage import Stage

SECONDS: Final = 30


def measure(stage: Stage, jobs: int) -> list[int]:
    """Milliseconds from due to append, one per execution. They are read afterwards, not to slow the worker down."""
    stage.topics(12, read=["state"])
    worker = stage.worker("one")
    stage.owned_by("one")
    spec = {"schedule": {"every": "1s"}, "payload": {"amount": 1}}
    written = stage.write.jobs({f"job-{number:05d}": spec for number in range(jobs)})
    last = max(written.values(), key=lambda place: place.offset)
    if jobs > 1:
        stage.acknowledged(last.offset, timeout=120)
    begin = (stage.clock.wall() // 1000 + 3) * 1000
    end = begin + SECONDS * 1000
    stage.decided_through(end, 120)
    worker.terminate()
    worker.await_end()
    stage.reading.add(f"{stage.namespace}.executions")
    stage.catch_up(300)
    found = [one.timestamp - one.due for one in stage.executions() if begin < one.due <= end]
    if len(found) != jobs * SECONDS:
        message = f"{len(found)} executions instead of {jobs * SECONDS}"
        raise AssertionError(message)
    return found
