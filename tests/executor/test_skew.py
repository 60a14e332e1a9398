"""An executor whose clock is off says so, and only where that lasts."""

from __future__ import annotations

import pytest

from kadence.executor.skew import LIMIT, Skew
from kadence.log.port import Receipt
from kadence.testing import ManualClock


@pytest.mark.parametrize(("off", "told"), [(LIMIT, "30 s ahead of"), (-3_600_000, "3600 s behind"), (LIMIT - 1, None)])
def test_a_clock_that_is_off_for_a_while_is_told(off: int, told: str | None, caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    skew = Skew(clock)
    skew.compare(Receipt(1, clock.wall() - off))
    assert skew.problem is None, "one acknowledgement may have waited"
    clock.advance("6s")
    for _ in range(3):
        skew.compare(Receipt(2, clock.wall() - off))
    assert (skew.problem is None) if told is None else told in str(skew.problem)
    assert len(caplog.records) == (told is not None)
    skew.compare(Receipt(3, clock.wall()))
    assert skew.problem is None
