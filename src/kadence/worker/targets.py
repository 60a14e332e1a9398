"""Target topics, looked at before they are used: a topic that cannot be written must not cost a shard a transaction.

The process remembers what it found, not the fold: a refusal kills the fold, and the next one must know better.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from kadence.errors import LogError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kadence.clock import Clock
    from kadence.log.port import LogAdmin, TopicInfo

logger = logging.getLogger(__name__)

LEAST_RECORD: Final = 1_000_000
"""Bytes: librdkafka's ``batch.size``; a batch larger than the topic takes is refused whole, never split."""
EVERY: Final = 60_000
EVERY_WHILE_LOST: Final = 5_000
GLANCE_EVERY: Final = 5_000
"""Milliseconds between looks at what can change from one moment to the next: existence, rights, leaders.

A transaction that touches a partition without a leader cannot end before there is one (its marker has nowhere to
go), and holds up its whole shard: the later such a partition is noticed, the more likely a job fires into it.
"""
REFUSALS_FORGOTTEN: Final = 600_000
"""Milliseconds without a refusal after which a topic that looks well is believed as quickly as any."""
_PATIENCE: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Finding:
    """What is known of a topic: the problem, and when (monotonic ms) it was last looked at, and glanced at.

    A topic that refused records while it looked well is not believed for a while, longer with each refusal.
    """

    problem: str | None
    looked: int
    glanced: int
    config: Mapping[str, str] = field(default_factory=dict)
    refusals: int = 0
    refused_at: int = 0

    def believed(self, now: int) -> bool:
        """Whether a look that finds nothing wrong means that records will be taken."""
        wait = min(EVERY_WHILE_LOST << (self.refusals - 1), EVERY) if self.refusals else 0
        return now - self.refused_at >= wait


_NOTHING: Final = _Finding(None, 0, 0)
_ANY_NUMBER: Final[Mapping[str, int]] = MappingProxyType({})


class Targets:
    """What is known of each target topic. Safe for several threads; ``version`` changes with any finding."""

    def __init__(
        self, admin: LogAdmin, clock: Clock, *, enabled: bool = True, partitions: Mapping[str, int] = _ANY_NUMBER
    ) -> None:
        """``enabled`` False (the demo's broker answers no admin call): every target is taken as it is.

        ``partitions``: of topics to whose partitions shards write by number, how many there must be at least.
        """
        self._partitions = partitions
        self._admin = admin
        self._clock = clock
        self._enabled = enabled
        self._lock = threading.Lock()
        self._findings: dict[str, _Finding] = {}
        self.version = 0

    def ensure(self, topics: Iterable[str]) -> None:
        """Look at those of these topics that were never looked at; returns within a few seconds."""
        unknown = {topic for topic in topics if topic not in self._findings}
        if unknown:
            self._look(unknown)

    def refresh(self) -> None:
        """Look again at what is due for it: every minute, every five seconds while there is a problem."""
        now = self._clock.monotonic()
        with self._lock:
            known = dict(self._findings)
        stale = {
            topic
            for topic, found in known.items()
            if now - found.looked >= (EVERY if found.problem is None else EVERY_WHILE_LOST)
        }
        if stale:
            self._look(stale)
        unseen = {topic for topic, found in known.items() if now - found.glanced >= GLANCE_EVERY} - stale
        if unseen:
            self._look(unseen, glance=True)

    def problem(self, topic: str) -> str | None:
        """Why a topic cannot be written, or None."""
        found = self._findings.get(topic)
        return None if found is None else found.problem

    def refused(self, topic: str, reason: str) -> None:
        """A topic refused a record although it had looked well."""
        logger.error(
            "topic %s refused a record (%s); jobs that write to it are errored until it takes records again, and "
            "failed runs that go there are not kept",
            topic,
            reason,
        )
        now = self._clock.monotonic()
        with self._lock:
            known = self._findings.get(topic, _NOTHING)
            recent = known.refusals if now - known.refused_at < REFUSALS_FORGOTTEN else 0
            refused = replace(known, problem=reason, looked=now, glanced=now, refusals=recent + 1, refused_at=now)
            self._findings[topic] = refused
            self.version += 1

    def _look(self, topics: set[str], *, glance: bool = False) -> None:
        """Ask the cluster; ``glance``: not for the settings, which seldom change and are most of the answer."""
        if not self._enabled:
            self._found(dict.fromkeys(topics), {}, glance=glance)
            return
        try:
            facts = self._admin.describe(topics, timeout=_PATIENCE, config=not glance)
        except LogError as error:
            unknown = dict.fromkeys(topics - self._findings.keys(), f"could not be looked up: {error}")
            self._found({topic: self.problem(topic) for topic in topics} | unknown, {}, glance=glance)
            return
        if glance:
            facts = {name: replace(info, config=self._findings[name].config) for name, info in facts.items()}
        problems = {topic: problem_of(facts.get(topic), self._partitions.get(topic, 0)) for topic in topics}
        self._found(problems, facts, glance=glance)

    def _found(self, problems: Mapping[str, str | None], facts: Mapping[str, TopicInfo], *, glance: bool) -> None:
        now = self._clock.monotonic()
        with self._lock:
            for topic, seen in problems.items():
                known = self._findings.get(topic, _NOTHING)
                problem = seen if seen is not None or known.believed(now) else known.problem
                if topic not in self._findings or known.problem != problem:
                    self.version += 1
                self._findings[topic] = replace(
                    known,
                    problem=problem,
                    looked=known.looked if glance else now,
                    glanced=now,
                    config=facts[topic].config if topic in facts else known.config,
                )


def problem_of(info: TopicInfo | None, partitions: int = 0) -> str | None:
    """Why a topic with these facts cannot be a target, in a few words; None where it can.

    ``partitions``: how many it must have at least.
    """
    if info is None:
        return "does not exist"
    if info.error is not None:
        return info.error
    if not info.writable:
        return "may not be written: this worker lacks the WRITE permission"
    if info.partitions < partitions:
        return f"has {info.partitions} partitions only, but there are {partitions} shards"
    if info.leaderless:
        return f"cannot be written: {info.leaderless} of its {info.partitions} partitions have no leader"
    needed = int(info.config.get("min.insync.replicas", "1"))
    if info.in_sync < needed:
        return f"cannot be written: a partition has {info.in_sync} replicas in sync, min.insync.replicas is {needed}"
    largest = info.config.get("max.message.bytes")
    if largest is not None and int(largest) < LEAST_RECORD:
        return f"is too small: max.message.bytes is {largest}, a batch may have {LEAST_RECORD}"
    return None
