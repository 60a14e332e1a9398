"""Target topics, looked at before they are used: a topic that cannot be written must not cost a shard a transaction.

The process remembers what it found, not the fold: a refusal kills the fold, and the next one must know better.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from kadence.errors import LogError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kadence.clock import Clock
    from kadence.log.port import LogAdmin, TopicInfo

logger = logging.getLogger(__name__)

LEAST_RECORD: Final = 1_000_000
"""Bytes: librdkafka's ``batch.size``; a batch larger than the topic takes is refused whole, never split."""
EVERY: Final = 60_000
EVERY_WHILE_LOST: Final = 5_000
_PATIENCE: Final = 5.0


class Targets:
    """What is known of each target topic. Safe for several threads; ``version`` changes with any finding."""

    def __init__(self, admin: LogAdmin, clock: Clock, *, enabled: bool = True) -> None:
        """``enabled`` False (the demo's broker answers no admin call): every target is taken as it is."""
        self._admin = admin
        self._clock = clock
        self._enabled = enabled
        self._lock = threading.Lock()
        self._problems: dict[str, str | None] = {}
        self._looked: dict[str, int] = {}
        self.version = 0

    def ensure(self, topics: Iterable[str]) -> None:
        """Look at those of these topics that were never looked at; returns within a few seconds."""
        unknown = {topic for topic in topics if topic not in self._problems}
        if unknown:
            self._look(unknown)

    def refresh(self) -> None:
        """Look again at what is due for it: every minute, every five seconds while there is a problem."""
        now = self._clock.monotonic()
        with self._lock:
            stale = {
                topic
                for topic, problem in self._problems.items()
                if now - self._looked[topic] >= (EVERY if problem is None else EVERY_WHILE_LOST)
            }
        if stale:
            self._look(stale)

    def problem(self, topic: str) -> str | None:
        """Why a topic cannot be written, or None."""
        return self._problems.get(topic)

    def refused(self, topic: str, reason: str) -> None:
        """A topic refused a record although it had looked well."""
        logger.error(
            "target %s refused a record (%s); its jobs are errored until it can be written again", topic, reason
        )
        self._found({topic: reason})

    def _look(self, topics: set[str]) -> None:
        if not self._enabled:
            self._found(dict.fromkeys(topics))
            return
        try:
            facts = self._admin.describe(topics, timeout=_PATIENCE)
        except LogError as error:
            unseen = topics - self._problems.keys()
            self._found({topic: self._problems.get(topic) for topic in topics - unseen})
            self._found(dict.fromkeys(unseen, f"could not be looked up: {error}"))
            return
        self._found({topic: problem_of(facts.get(topic)) for topic in topics})

    def _found(self, problems: dict[str, str | None]) -> None:
        now = self._clock.monotonic()
        with self._lock:
            for topic, problem in problems.items():
                self._looked[topic] = now
                if topic not in self._problems or self._problems[topic] != problem:
                    self._problems[topic] = problem
                    self.version += 1


def problem_of(info: TopicInfo | None) -> str | None:
    """Why a topic with these facts cannot be a target, in a few words; None where it can."""
    if info is None:
        return "does not exist"
    if info.error is not None:
        return info.error
    if not info.writable:
        return "may not be written: this worker lacks the WRITE permission"
    largest = info.config.get("max.message.bytes")
    if largest is not None and int(largest) < LEAST_RECORD:
        return f"is too small: max.message.bytes is {largest}, a batch may have {LEAST_RECORD}"
    return None
