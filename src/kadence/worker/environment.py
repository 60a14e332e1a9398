"""What all the shards of one process share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from kadence.clock import Clock
    from kadence.log.port import Log, LogAppender
    from kadence.metrics import Metrics
    from kadence.worker.tail import Tail
    from kadence.worker.targets import Targets

SKEW_WARNING: Final = 1_000
"""Milliseconds between our clock and the broker's at which the log says so."""
SKEW_LIMIT: Final = 30_000
"""... and at which nothing fires any more, and the group is left to a healthy worker."""


@dataclass(frozen=True, slots=True)
class Environment:
    """The log, the clock and the process-wide parts that a shard's runner works with."""

    log: Log
    clock: Clock
    namespace: str
    shards: int
    worker: str
    control_topic_id: Callable[[], str]
    """Looked up at every takeover: a control topic that was recreated has another id."""
    tail: Tail
    targets: Targets
    appender: LogAppender
    metrics: Metrics
    nonce: Callable[[], str]
    """A fresh, unguessable text per takeover."""
    max_transaction: int = 10_000
    longest_gap: int = 5_000
    """Half the session timeout, ms: after a longer standstill ownership is confirmed before anything fires."""
    broker_clock: bool = True
    """False only for the demo's broker, which reports no append times."""

    def topic(self, name: str) -> str:
        """The full name of one of kadence's topics, e.g. ``control``."""
        return f"{self.namespace}.{name}"
