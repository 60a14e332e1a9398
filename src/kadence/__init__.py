"""A periodic job runner that lives in Kafka.

`Client` writes what people want and waits until it is in force, `Worker` runs shards, `Executor` the handlers of an
app, `Settings` configures them. `App` holds handlers in Python, `Run` is what they are given, `Snooze` and `Cancel` are
what they raise beside errors.
Every error of kadence's own is a `KadenceError`. All are imported when first used, so that a client never loads a
worker, and a module of handlers no Kafka client.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kadence.client import Client
    from kadence.errors import KadenceError
    from kadence.executor.executor import Executor
    from kadence.handlers.app import App
    from kadence.handlers.run import Cancel, Run, Snooze
    from kadence.settings import Settings
    from kadence.worker.worker import Worker

__all__ = ["App", "Cancel", "Client", "Executor", "KadenceError", "Run", "Settings", "Snooze", "Worker", "__version__"]

__version__ = _version("kadence")

_HOMES = {
    "App": "kadence.handlers.app",
    "Cancel": "kadence.handlers.run",
    "Client": "kadence.client",
    "Executor": "kadence.executor.executor",
    "KadenceError": "kadence.errors",
    "Run": "kadence.handlers.run",
    "Settings": "kadence.settings",
    "Snooze": "kadence.handlers.run",
    "Worker": "kadence.worker.worker",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  as typed above
    """Load one of the public names (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'kadence' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
