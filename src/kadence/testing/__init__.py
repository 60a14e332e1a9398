"""What kadence is tested with, shipped so that its users can test with it too.

`MemoryCluster` runs the jobs of an `App` without a broker, in a time that a test lets pass; the pytest fixture
``kadence_cluster`` makes them. `kadence.testing.broker` starts a real Kafka.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kadence.testing.clock import ManualClock
    from kadence.testing.memorycluster import MemoryCluster
    from kadence.testing.records import Event, Execution
    from kadence.testing.running import HandlerFailure

__all__ = ["Event", "Execution", "HandlerFailure", "ManualClock", "MemoryCluster"]

_HOMES = {
    "Event": "kadence.testing.records",
    "Execution": "kadence.testing.records",
    "HandlerFailure": "kadence.testing.running",
    "ManualClock": "kadence.testing.clock",
    "MemoryCluster": "kadence.testing.memorycluster",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  as typed above
    """Load one of the public names (PEP 562): pytest loads the plugin in here in every run, and it needs none."""
    if name not in _HOMES:
        raise AttributeError(f"module 'kadence.testing' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
