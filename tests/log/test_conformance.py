"""One list of cases, held against both implementations of the port."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.log.cases import CASES

if TYPE_CHECKING:
    from tests.log.bench import Bench

IMPLEMENTATIONS = ("memory", pytest.param("kafka", marks=pytest.mark.broker))


@pytest.mark.parametrize("sentence", CASES)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_conforms(bench: Bench, sentence: str) -> None:
    CASES[sentence](bench)


def test_both_implementations_answer_to_the_same_list(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of what this session collected: a case that one of them were spared would show here."""
    if request.config.option.markexpr:
        pytest.skip("a part of the tests was chosen, by -m")
    answered: dict[str, set[str]] = {"memory": set(), "kafka": set()}
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.originalname == test_conforms.__name__:
            row = item.callspec.params
            answered[str(row["implementation"])].add(str(row["sentence"]))
    with capsys.disabled():
        for implementation, sentences in answered.items():
            print(f"\nconformance cases held against {implementation}: {len(sentences)}", end="")  # noqa: T201
    assert answered["memory"] == answered["kafka"] <= CASES.keys()
