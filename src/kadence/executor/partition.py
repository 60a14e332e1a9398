"""One partition of the executions topic, from its assignment to its revocation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kadence.executor.ledger import Ledger

if TYPE_CHECKING:
    from collections import deque

    from kadence.executor.execution import Execution
    from kadence.executor.work import Work
    from kadence.log.port import Record

_REMEMBERED: Final = 5_000
"""Firings, and up to twice as many, whose second copy is known: only a torn transaction leaves one, and soon."""


class Partition:
    """What is in hand of it. The consumer's own, but for ``gone``, which the loop reads, and ``answers``."""

    __slots__ = (
        "_known",
        "_known_before",
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
        self._known_before: set[str] = set()

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
                self._known_before = self.earlier | self._known_before
                self.earlier = set()
        if id_ in self._known or id_ in self._known_before:
            return True
        self._known.add(id_)
        if len(self._known) >= _REMEMBERED:
            self._known_before, self._known = self._known, set()
        return False
