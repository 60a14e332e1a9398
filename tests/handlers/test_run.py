"""What a handler is given, and what it may raise instead of an error."""

from __future__ import annotations

import logging
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kadence import Cancel, Run, Snooze
from kadence.domain.duration import END_INSTANT
from kadence.errors import InvalidSpecError
from tests.handlers.executions import NOW

DUE = datetime(2026, 11, 23, 9, tzinfo=UTC)


def a_run() -> Run[str]:
    return Run[str](id="tick@2026-11-23T09:00:00Z", job="tick", due=DUE, payload="hunter22")


def test_a_run_for_a_test_of_a_handler_needs_four_values() -> None:
    run = a_run()
    assert (run.attempt, run.cause, run.headers, run.deadline) == (1, "schedule", {}, None)
    assert run.firing == run.id
    assert not run.cancelled.is_set()


def test_a_run_is_frozen_and_takes_no_other_attribute() -> None:
    run: Any = a_run()
    with pytest.raises(FrozenInstanceError):
        run.payload = "other"
    with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
        run.colour = "red"
    assert not hasattr(run, "__dict__")


def test_a_run_is_shown_without_its_payload() -> None:
    assert repr(a_run()) == "Run(id='tick@2026-11-23T09:00:00Z', attempt=1)"


def test_the_log_says_which_run(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "kadence.run"):
        a_run().log.info("%d sent", 3, extra={"customer": 7})
    [record] = caplog.records
    assert record.getMessage() == "tick@2026-11-23T09:00:00Z: 3 sent"
    assert (record.__dict__["run"], record.__dict__["job"], record.__dict__["customer"]) == (
        "tick@2026-11-23T09:00:00Z",
        "tick",
        7,
    )


SNOOZES: list[tuple[Any, int]] = [
    ("5m", NOW + 300_000),
    ("PT30S", NOW + 30_000),
    (90, NOW + 90_000),
    (0.5, NOW + 500),
    (timedelta(hours=1), NOW + 3_600_000),
    (timedelta(days=-1), NOW),
    (-3, NOW),
    (datetime(2030, 1, 1, tzinfo=UTC), 1_893_456_000_000),
    (datetime(2010, 1, 1, tzinfo=UTC), NOW),
    (datetime(1, 1, 1, tzinfo=UTC), NOW),
    (timedelta(days=365 * 190), END_INSTANT - 1),
]


@pytest.mark.parametrize(("until", "instant"), SNOOZES)
def test_when_a_snooze_is_over(until: Any, instant: int) -> None:  # noqa: ANN401  many kinds
    assert Snooze(until).until(NOW) == instant


BAD: list[Any] = ["soon", "-5m", "", None, True, [], float("nan"), float("inf"), datetime(2030, 1, 1), datetime(9999, 1, 1, tzinfo=UTC)]  # noqa: DTZ001, E501  # fmt: skip


@pytest.mark.parametrize("until", BAD)
def test_a_snooze_that_means_nothing_is_refused_where_it_is_made(until: Any) -> None:  # noqa: ANN401  many kinds
    with pytest.raises(InvalidSpecError, match=r"^Snooze\("):
        Snooze(until)


def test_a_cancel_keeps_its_reason() -> None:
    assert (Cancel("no invoices").reason, str(Cancel("no invoices")), Cancel().reason) == (
        "no invoices",
        "no invoices",
        "",
    )
