"""The conformance cases can fail: logs that are broken on purpose, and the cases that must notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kadence.errors import KadenceError
from tests.log import bench
from tests.log.bench_memory import MemoryBench
from tests.log.broken import VARIANTS
from tests.log.broken_clients import CLIENT_VARIANTS
from tests.log.cases import CASES

if TYPE_CHECKING:
    from tests.log.broken import Broken

_PAIRS = [
    pytest.param(variant, sentence, id=f"{name}: {sentence}")
    for name, variant in (VARIANTS | CLIENT_VARIANTS).items()
    for sentence in variant.caught_by
]


@pytest.mark.parametrize(("variant", "sentence"), _PAIRS)
def test_a_broken_log_is_caught(variant: Broken, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variant.owner, variant.name, variant.wrong)
    monkeypatch.setattr(bench, "WAIT_S", 0.5)  # what a broken log never brings is not worth waiting for
    with pytest.raises((AssertionError, KadenceError, pytest.fail.Exception)):
        CASES[sentence](MemoryBench())
