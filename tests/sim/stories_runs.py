"""Stories about how runs went: what an executor has reported is heard, whatever the log does meanwhile."""

# ruff: noqa: ANN401 - a function that takes the place of a method
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from typing_extensions import override

from kadence.errors import UnreachableError
from kadence.wire import outcome
from kadence.worker.outcomes import Outcomes
from kadence.worker.tail import Tail
from tests.sim.bench import OUTCOMES, Bench
from tests.sim.machine import NAMESPACE, PromptReader
from tests.sim.variants import Broken, Story

if TYPE_CHECKING:
    from kadence.log.memory.reader import MemoryReader


class _FailingOnce(PromptReader):
    """It cannot be assigned outcomes at the first attempt."""

    def __init__(self, reader: MemoryReader) -> None:
        super().__init__(reader)
        self.failures = 1

    @override
    def assign(self, topic: str, partition: int, offset: int) -> None:
        if topic == OUTCOMES and self.failures:
            self.failures -= 1
            raise UnreachableError("no broker answers")
        super().assign(topic, partition, offset)


def shards_whose_outcomes_cannot_be_read_at_first_hear_them_all_the_same() -> None:
    bench = Bench(shards=2)
    tail = Tail(_FailingOnce(bench.log.start("w0").reader()), NAMESPACE, 2)
    for shard in range(2):
        bench.client.append(OUTCOMES, shard, b"a", outcome.encode("a@2026-01-01T00:00:01Z", "failed"))
        tail.outcomes.follow(shard, 0)
    with pytest.raises(UnreachableError):
        tail.poll(0)
    for _ in range(2):
        tail.poll(0)
    assert [len(tail.outcomes.take(shard, 10)) for shard in range(2)] == [1, 1]


_prepare: Final = Outcomes.prepare


def _forget_what_was_asked(self: Any) -> None:
    try:
        _prepare(self)
    except UnreachableError:
        self._requests.clear()
        raise


STORIES: Final = (
    Story(
        shards_whose_outcomes_cannot_be_read_at_first_hear_them_all_the_same,
        Broken(((Outcomes, "prepare", _forget_what_was_asked),)),
    ),
)
