"""What stories about runs have in common: how a job is made to fail, and what its records and events say then."""

from __future__ import annotations

import json
from typing import Any

from kadence.domain.duration import parse_time
from kadence.domain.job import State
from tests.domain.story import START, Story, every, when

HOUR = 3_600.0
DAY = 86_400.0
MIDNIGHT = 15 * HOUR
"""The story begins at nine."""
WAYS: dict[str, tuple[str, object, object]] = {
    "pause": ("pause/a", {"paused": True}, None),
    "hold": ("hold/h", {"match": {"all": True}}, None),
}
"""How people keep a job from firing, and let it fire again (a resume would close its breaker, too)."""


def run(second: float, name: str = "a") -> str:
    return f"{name}@{when(second)}"


def job_a(period: float = 10, **fields: object) -> Story:
    """A job ``a``, ten seconds after it was created."""
    story = Story()
    story.control("job/a", every(period, **fields), at=0)
    story.tick(10)
    return story


def record(story: Story, id_: str) -> dict[str, Any] | None:
    """The state record of a run."""
    story.commit()
    value = story.state.get(b"run/" + id_.encode())
    return None if value is None else json.loads(value)


def breaker(story: Story, name: str = "a") -> dict[str, Any]:
    """What the job's state record says of its breaker."""
    story.commit()
    found: dict[str, Any] = json.loads(story.state[b"job/" + name.encode()]).get("breaker", {})
    return found


def second(text: str) -> float:
    """The second of the story at which a time stands."""
    return (parse_time(text) - START) / 1000


def next_at(story: Story, id_: str) -> float:
    """When a run is to be fired again."""
    found = record(story, id_)
    assert found is not None
    return second(found["next_at"])


def again(story: Story, id_: str) -> list[str]:
    """The firings of a run after its first, as they were emitted."""
    return [fired for fired in story.fires if fired.startswith(f"{id_}#")]


def fail_all_attempts(story: Story, id_: str, attempts: int, error: str = "E: no") -> None:
    """Report each attempt of a run as failed as soon as it is fired."""
    for n in range(1, attempts + 1):
        story.outcome(id_ if n == 1 else f"{id_}#{n}", "failed", error=error)
        if n < attempts:
            story.tick(next_at(story, id_))


def details(story: Story, kind: str) -> list[dict[str, Any]]:
    story.commit()
    return [said.detail for said in story.said(kind)]


def errored(**fields: object) -> Story:
    """A job that is errored since fifteen seconds, its one run having failed."""
    story = job_a(breaker={"failures": 1, **fields}, catch_up={"after_pause": "skip"})
    story.tick(15)
    story.outcome(run(10), "failed", error="E: first")
    story.commit()
    assert story.job().state is State.ERRORED
    return story


def probes(story: Story) -> list[str]:
    return [id_ for id_ in story.fires if "!probe-" in id_]


def probe(at_second: float) -> str:
    return f"a!probe-{START + round(at_second * 1000)}"
