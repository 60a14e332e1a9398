"""An app whose handlers fail while a file is there: ``BROKEN`` names it. ``HOLD`` keeps a run in hand while it is."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from kadence import App

app = App("fragile", defaults={"overlap": "allow"})
_pause = threading.Event()


def _work() -> None:
    while Path(os.environ["HOLD"]).exists():
        _pause.wait(0.02)
    if Path(os.environ["BROKEN"]).exists():
        password = "hunter2"
        message = f"ledger closed, password={password}"
        raise RuntimeError(message)


app.job("resumed", every="500ms", breaker={"failures": 3})(_work)
app.job("probed", every="500ms", breaker={"failures": 2, "probe_after": "1s"})(_work)
app.job("careful", every="500ms")(_work)
