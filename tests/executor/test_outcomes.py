"""What is sent of a run, and again where it was not taken."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from kadence.domain.firing import Firing
from kadence.errors import UnreachableError
from kadence.executor.execution import Execution
from kadence.executor.outcomes import Outcomes
from kadence.executor.partition import Partition
from kadence.executor.work import Work
from kadence.handlers.handler import Ending
from kadence.log.port import Receipt
from kadence.wire.outcome import encode, failure
from tests.executor.place import DUE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kadence.errors import LogError


class _Appender:
    """Takes what is posted, or does not."""

    def __init__(self) -> None:
        self.values: list[bytes | None] = []
        self.answer: Receipt | LogError = Receipt(0, 0)

    def post(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        *,
        done: Callable[[Receipt | LogError], None],
    ) -> None:
        self.values.append(value)
        done(self.answer)


def _work(executor: str = 'né"1') -> tuple[Outcomes, _Appender, Work]:
    appender = _Appender()
    partition = Partition(0, deque())
    firing = Firing("tick@2026-11-23T09:00:00Z", "tick", DUE, None, 1)
    work = Work(Execution(firing, DUE, 1, "schedule", None, "billing", "", {}, None, 0, 0, 0), None, partition)
    return Outcomes(appender, "ns", 2, executor), appender, work  # type: ignore[arg-type]  # all that is asked of one


def test_the_short_way_spells_a_success_as_the_long_one_does() -> None:
    outcomes, appender, work = _work()
    work.started_at = DUE + 1
    outcomes.final(work, "succeeded", DUE + 2_000, Ending("succeeded"))
    long = encode(work.id, "succeeded", started_at=DUE + 1, finished_at=DUE + 2_000, executor='né"1')
    assert appender.values == [long]
    assert work.answered


def test_everything_else_goes_the_long_way() -> None:
    outcomes, appender, work = _work()
    work.started_at = DUE
    ending = Ending("failed", failure("ValueError", "no"))
    outcomes.final(work, "failed", DUE + 5, ending)
    outcomes.final(work, "succeeded", DUE + 5, Ending("succeeded", result=[1]))
    assert b'"error":{"type":"ValueError","message":"no"}' in (appender.values[0] or b"")
    assert b'"result":[1]' in (appender.values[1] or b"")


def test_the_answer_reaches_the_consumer_and_the_waits_grow() -> None:
    outcomes, appender, work = _work()
    appender.answer = UnreachableError("nobody there")
    outcomes.final(work, "expired", DUE, None)
    assert list(work.partition.answers) == [work]
    waits = [outcomes.wait(work) for _ in range(8)]
    assert waits == [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]
    appender.answer = Receipt(7, 8)
    outcomes.send(work)
    assert work.answer == Receipt(7, 8)
    assert appender.values[0] == appender.values[1]
