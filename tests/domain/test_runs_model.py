"""The state machine of runs against a naive model, in random histories; and shards that are wrong, which it catches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.domain.runs_broken import VARIANTS
from tests.domain.runs_history import histories
from tests.domain.runs_together import DifferError, live

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.domain.runs_history import Step

EXAMPLES = 100
CONTROLS = 300
"""Most of them are caught within twenty."""
limits = st.lists(st.sampled_from([1, 2, 1_000]), min_size=1, max_size=5)
deaths = st.lists(st.sampled_from(["", "", "before", "after"]), min_size=1, max_size=7)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories)
def test_runs_go_as_the_contract_says(history: Sequence[Step]) -> None:
    live(history)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories, limits, deaths)
def test_and_the_same_however_often_the_owner_dies_before_or_after_a_commit(
    history: Sequence[Step], cuts: Sequence[int], died: Sequence[str]
) -> None:
    live(history, cuts, died)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_shard_that_is_wrong_is_caught(name: str) -> None:
    @settings(
        max_examples=CONTROLS,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(histories, limits, deaths)
    def compare(history: Sequence[Step], cuts: Sequence[int], died: Sequence[str]) -> None:
        live(history, cuts, died)

    with VARIANTS[name].in_place(), pytest.raises(DifferError):
        compare()
