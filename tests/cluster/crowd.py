"""An app of a thousand jobs that fail now and then, in a way that depends on nothing but the attempt's name."""

from __future__ import annotations

import asyncio
from typing import Final

from kadence import App, Run
from kadence.domain.partition import murmur2

JOBS: Final = 1_000
ATTEMPTS: Final = 3
FAILING: Final = 20
"""Of a hundred attempts so many fail."""

app = App(
    "crowd",
    defaults={
        "retry": {"attempts": ATTEMPTS, "delay": "1s", "factor": 1},
        "breaker": {"failures": 0},
        "timeout": "20s",
    },
)


def name_of(number: int) -> str:
    return f"job-{number:04d}"


def period_of(number: int) -> int:
    """Seconds, from five to twenty."""
    return 5 + number % 16


def fails(firing: str) -> bool:
    return murmur2(firing.encode()) % 100 < FAILING


async def work(run: Run[object]) -> None:
    await asyncio.sleep(0.02 + murmur2(run.id.encode()) % 10 * 0.03)
    if fails(run.firing):
        message = f"attempt {run.attempt} was to fail"
        raise RuntimeError(message)


for _number in range(JOBS):
    app.job(name_of(_number), every=period_of(_number))(work)
