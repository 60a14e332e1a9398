from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from kadence.domain import diagram
from kadence.domain.job import (
    FITNESS,
    OPERATOR,
    Fitness,
    Job,
    Operator,
    Pause,
    Signal,
    State,
    Streak,
    Trouble,
    effective_state,
)

STATES_PAGE = Path(__file__).parents[2] / "docs" / "states.md"


def test_the_tables_are_total_and_closed() -> None:
    assert set(OPERATOR) == set(product(Operator, Signal))
    assert set(FITNESS) == set(product(Fitness, Signal))
    assert set(OPERATOR.values()) == set(Operator)
    assert set(FITNESS.values()) == set(Fitness)


def test_the_axes_do_not_move_each_other() -> None:
    """Only a resume speaks to both; what people do leaves targets alone, what fails leaves pauses alone."""
    moves_operator = {signal for (state, signal), after in OPERATOR.items() if state is not after}
    moves_fitness = {signal for (state, signal), after in FITNESS.items() if state is not after}
    assert moves_operator & moves_fitness == {Signal.RESUME}
    lost = {Fitness.LOST, Fitness.TRIPPED_AND_LOST}
    for (state, signal), after in FITNESS.items():
        if signal not in {Signal.LOSE_TARGET, Signal.FIND_TARGET}:
            assert (state in lost) == (after in lost)


@pytest.mark.parametrize("signal", Signal)
def test_a_signal_that_comes_twice_changes_nothing_more(signal: Signal) -> None:
    for table in (OPERATOR, FITNESS):
        for (state, known), after in table.items():
            if known is signal:
                assert table[after, signal] is after, state  # type: ignore[index]  # each table has its own states


def test_errored_shows_over_paused_and_finished_over_all() -> None:
    shown = {
        (operator, fitness, held, finished): effective_state(operator, fitness, held=held, finished=finished)
        for operator, fitness, held, finished in product(Operator, Fitness, (False, True), (False, True))
    }
    for (operator, fitness, held, finished), state in shown.items():
        if finished:
            assert state is State.FINISHED
        elif fitness is not Fitness.CLOSED:
            assert state is State.ERRORED
        else:
            assert state is (State.PAUSED if held or operator is Operator.PAUSED else State.RUNNING)


def test_a_job_reads_its_place_on_both_axes_off_its_records() -> None:
    job = Job("a")
    assert (job.operator, job.fitness) == (Operator.OPEN, Fitness.CLOSED)
    job.pause = Pause(1, active=True, since=10)
    job.lost = Trouble(20, "target t: gone")
    assert (job.operator, job.fitness) == (Operator.PAUSED, Fitness.LOST)
    job.streak = Streak(tripped=Trouble(30, "E"))
    assert job.fitness is Fitness.TRIPPED_AND_LOST
    assert list(job.windows()) == [(10, None), (30, None), (20, None)]
    assert [job.kept_at(instant) for instant in (9, 10)] == [False, True]


def test_the_page_of_states_is_drawn_from_the_tables() -> None:
    assert STATES_PAGE.read_text(encoding="utf-8") == diagram.page(), (
        "docs/states.md is stale: write kadence.domain.diagram.page() to it"
    )


def test_every_row_of_the_tables_is_on_the_page() -> None:
    page = diagram.page()
    for table in (OPERATOR, FITNESS):
        for (state, signal), after in table.items():
            assert diagram.row(state, signal, after) in page
