"""The worker without its threads: the production shard runners, tail and targets, stepped by hand."""

from __future__ import annotations

import sys
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Final

from kadence.metrics import Metrics
from kadence.testing.waiting import WaitingLog
from kadence.worker.environment import Environment
from kadence.worker.runner import ShardRunner
from kadence.worker.tail import Tail
from kadence.worker.targets import Targets

if TYPE_CHECKING:
    from kadence.log.memory import MemoryLog
    from kadence.testing.clock import ManualClock

WORKER: Final = "kadence.testing"
_MOST_STEPS: Final = 100_000
_COMPACT_EVERY: Final = 5_000
"""Offsets of a state partition after which the log cleaner passes, so that reading it stays quick."""


class Shards:
    """All shards of a namespace, owned by one worker. Nothing happens but in `settle`, and nothing waits there."""

    def __init__(self, memory: MemoryLog, clock: ManualClock, namespace: str, shards: int) -> None:
        """Takes every shard over."""
        log = WaitingLog(memory.start(WORKER))
        admin, control, nonces = log.admin(), f"{namespace}.control", count()
        self._memory = memory
        self._clock = clock
        self._state = f"{namespace}.state"
        self._tail = Tail(log.reader(), namespace, shards)
        self._targets = Targets(admin, clock)
        environment = Environment(
            log=log,
            clock=clock,
            namespace=namespace,
            shards=shards,
            worker=WORKER,
            control_topic_id=lambda: admin.describe([control])[control].topic_id,
            tail=self._tail,
            targets=self._targets,
            appender=log.appender(),
            metrics=Metrics(),
            nonce=lambda: f"{WORKER}-{next(nonces)}",
            longest_gap=sys.maxsize,  # time jumps here, and nobody else can have become the owner meanwhile
        )
        self._runners = [ShardRunner(environment, shard, lambda: True) for shard in range(shards)]
        self._again: dict[int, int] = dict.fromkeys(range(shards), clock.wall())
        self._news: set[int] = set()
        self._targets_seen = self._targets.version
        self._compacted = [0] * shards
        for shard in range(shards):
            self._tail.listen(shard, partial(self._news.add, shard))
        self.settle()

    def next_due(self) -> int | None:
        """The next instant (ms) at which some shard has something to do by itself."""
        due = (self._due(shard) for shard in range(len(self._runners)))
        return min((at for at in due if at is not None), default=None)

    def _due(self, shard: int) -> int | None:
        """When it wants to be stepped: for what is due, or to take over (again)."""
        runner = self._runners[shard]
        return self._again[shard] if runner.book is None else runner.next_due

    def settle(self, *, everyone: bool = False) -> None:
        """Decide whatever can be decided now. ``everyone``: also let those say so that have nothing to decide."""
        now = self._clock.wall()
        self._targets.refresh()
        self._hear()
        everyone |= self._targets.version != self._targets_seen
        self._targets_seen = self._targets.version
        due = {shard for shard in range(len(self._runners)) if self._is_due(shard, now)}
        pending = set(range(len(self._runners))) if everyone else due | self._news
        steps = 0
        while pending:
            self._news.clear()
            again = {shard for shard in sorted(pending) if self._step(shard, now) == 0}
            self._hear()
            pending = again | self._news
            steps += 1
            if steps > _MOST_STEPS:
                raise RuntimeError("the shards do not come to rest; this is a bug in kadence")
        self._compact()

    def _is_due(self, shard: int, now: int) -> bool:
        due = self._due(shard)
        return due is not None and due <= now

    def _step(self, shard: int, now: int) -> int:
        wait = self._runners[shard].step()
        if self._runners[shard].book is None:  # it is taking over, and waits for the tail at most
            self._again[shard] = now + wait
        return wait

    def _hear(self) -> None:
        while self._tail.poll(0):
            pass

    def _compact(self) -> None:
        for shard, compacted in enumerate(self._compacted):
            end = self._memory.end(self._state, shard)
            if end - compacted >= _COMPACT_EVERY:
                self._memory.roll(self._state, shard)
                self._memory.compact(self._state, shard)
                self._compacted[shard] = end

    def close(self) -> None:
        """Let go of the shards."""
        for runner in self._runners:
            runner.close()
        self._tail.close()
