"""One partition of the executions topic, from its assignment to its revocation."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from kadence.executor.ledger import Ledger

if TYPE_CHECKING:
    from kadence.executor.execution import Execution
    from kadence.executor.work import Work
    from kadence.log.port import Record

_REMEMBERED: Final = 10_000
"""Firings whose second copy would be known: only a torn transaction leaves one, soon after the first."""


class Partition:
    """What is in hand of it. The consumer's own, but for ``gone``, which the loop reads, and ``answers``."""

    __slots__ = (
        "_known",
        "_order",
        "answers",
        "committed",
        "earlier",
        "earlier_until",
        "gone",
        "ledger",
        "number",
        "paused",
        "unread",
        "works",
    )

    def __init__(self, number: int, answers: deque[Work]) -> None:
        """``answers`` takes every piece of work whose outcome the log has answered, of all partitions."""
        self.number = number
        self.answers = answers
        self.ledger = Ledger()
        self.committed: int | None = None
        self.gone = False
        """Set at its revocation: what is queued of it will not begin, and no outcome is tried again."""
        self.paused = False
        self.works: dict[int, Work] = {}
        """All that is not finished, by offset."""
        self.unread: list[Record] | None = []
        """Records that wait until the outcomes of earlier owners are read; None once they are."""
        self.earlier: set[str] = set()
        """The firings that earlier owners finished after the first of our records was written."""
        self.earlier_until = 0
        """Broker time of the last of their outcomes: no record written later can be answered by one of them."""
        self._known: set[str] = set()
        self._order: deque[str] = deque()

    @property
    def in_hand(self) -> int:
        """How many records of it are not finished, those included that were not looked at yet."""
        return len(self.works) + len(self.unread or ())

    def is_repeated(self, execution: Execution, id_: str) -> bool:
        """Whether this firing has a final outcome, or is in hand already. It is from now on."""
        if self.earlier:
            if id_ in self.earlier:
                return True
            if execution.timestamp > self.earlier_until:
                self._remember_all(self.earlier)
                self.earlier = set()
        if id_ in self._known:
            return True
        self._remember(id_)
        return False

    def _remember_all(self, ids: set[str]) -> None:
        for id_ in ids - self._known:
            self._remember(id_)

    def _remember(self, id_: str) -> None:
        self._known.add(id_)
        self._order.append(id_)
        if len(self._order) > _REMEMBERED:
            self._known.discard(self._order.popleft())
