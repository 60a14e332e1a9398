"""How far may be committed, against a computation that looks at everything each time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kadence.executor.ledger import Ledger


def test_nothing_is_committed_before_anything_was_taken() -> None:
    assert Ledger().position is None


def test_the_first_unfinished_record_holds_the_position() -> None:
    ledger = Ledger()
    for offset in (5, 6, 9):
        ledger.take(offset)
    ledger.finish(6)
    assert (ledger.position, len(ledger)) == (5, 2)
    ledger.finish(5)
    assert (ledger.position, len(ledger)) == (9, 1)
    ledger.finish(9)
    assert (ledger.position, len(ledger)) == (10, 0)


@given(gaps=st.lists(st.integers(1, 5), max_size=20), choices=st.lists(st.integers(0, 40), max_size=60))
def test_every_record_below_the_position_is_finished_and_the_one_at_it_is_not(
    gaps: list[int], choices: list[int]
) -> None:
    ledger = Ledger()
    taken: list[int] = []
    finished: set[int] = set()
    waiting = list(gaps)
    for choice in choices:
        if choice % 2 and waiting:
            taken.append((taken[-1] if taken else 100) + waiting.pop())
            ledger.take(taken[-1])
        elif taken:
            finished.add(taken[choice % len(taken)])
            ledger.finish(taken[choice % len(taken)])
        left = [offset for offset in taken if offset not in finished]
        assert ledger.position == (left[0] if left else taken[-1] + 1 if taken else None)
        assert len(ledger) == len(left)
