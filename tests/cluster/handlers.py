"""An app whose handlers wait for the test: ``GO`` names a file, and what waits goes on when it is there."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from kadence import App, Run

app = App("cluster", defaults={"breaker": {"failures": 0}, "overlap": "allow"})
_pause = threading.Event()


@app.job("quick", every="1h")
async def quick() -> None:
    """Ends at once."""


@app.job("waiting", every="1h", concurrency=1)
def waiting() -> None:
    """Ends when the file is there."""
    go = Path(os.environ["GO"])
    while not go.exists():
        _pause.wait(0.02)


@app.job("long", every="1h")
def long(run: Run[object]) -> None:
    """Takes fifteen seconds, which is longer than its executor's session."""
    run.cancelled.wait(15)


@app.job("often", every="200ms")
async def often() -> None:
    """Is due all the time."""


@app.job("as_often", every="200ms")
async def as_often() -> None:
    """The same, and nobody pauses it."""
