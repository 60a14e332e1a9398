"""Commits that the group refuses: nobody is told unless it lasts."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from kadence.errors import UnreachableError
from kadence.executor.intake import Intake
from kadence.executor.partition import Partition
from kadence.testing.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest


class _Group:
    """Takes commits, or does not."""

    def __init__(self) -> None:
        self.takes = False
        self.taken: list[dict[int, int]] = []

    def commit(self, offsets: Mapping[int, int]) -> None:
        if not self.takes:
            raise UnreachableError("another generation")
        self.taken.append(dict(offsets))


def test_a_commit_that_is_refused_is_news_when_it_lasts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    clock, group, partition, loop = ManualClock(), _Group(), Partition(3, deque()), asyncio.new_event_loop()
    partition.ledger.take(7)
    partition.ledger.finish(7)
    unused: Any = SimpleNamespace(lanes={})
    intake = Intake(
        "billing",
        group="",
        clock=clock,
        loop=loop,
        dispatcher=unused,
        outcomes=unused,
        history=unused,
        metrics=unused,
        handover=1,
        hurry=threading.Event(),
    )
    levels = []
    for _ in range(7):
        intake._tell(group, [partition])  # type: ignore[arg-type]  # all that is asked of one
        levels.append(caplog.records[-1].levelno)
        clock.advance(10)
    assert [level == logging.WARNING for level in levels] == [False, False, False, True, False, False, True]
    assert "what is finished of partitions [3] is not committed: another generation" in caplog.text
    group.takes = True
    intake._tell(group, [partition])  # type: ignore[arg-type]
    assert group.taken == [{3: 8}]
    loop.close()
