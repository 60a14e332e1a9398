"""Due times around every clock change 1990-2037 in twelve zones, against two independent computations."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product

import pytest
from croniter import croniter

from kadence.domain.duetimes import due_times
from kadence.domain.schedule import Cron, _cron_fields, _cron_texts
from kadence.domain.walltime import Fold, Gap, timeline
from tests.domain.brute_force import brute_force_due
from tests.domain.cronsim_oracle import (
    EXPRESSIONS,
    ZONES,
    changes,
    counted,
    cronsim_due,
    kadence_due,
    table,
    zone_info,
)

REASONS, ROWS = table()
HOUR = 3_600_000
SECONDS_TOO = ("*/10 59 1 * * *", "0,59 */30 0-3 * * *", "30 0 * * * *")


@pytest.mark.parametrize("zone", ZONES)
def test_every_difference_from_cronsim_has_its_row_and_every_row_its_differences(zone: str) -> None:
    assert counted(zone) == {row.kind: row.number for row in ROWS if row.kind.zone == zone}


def test_the_table_has_one_reason_per_row_and_uses_every_reason() -> None:
    assert len({row.kind for row in ROWS}) == len(ROWS)
    assert {row.reason for row in ROWS} == set(REASONS)
    assert {row.kind.zone for row in ROWS} <= set(ZONES)


def test_the_comparison_is_as_wide_as_it_claims() -> None:
    assert len(set(EXPRESSIONS)) == 40
    assert len(ZONES) == 12
    assert {zone: len(changes(zone)) for zone in ("Europe/Berlin", "Pacific/Apia")} == {
        "Europe/Berlin": 96,
        "Pacific/Apia": 23,
    }


def croniter_due(expression: str, zone: str, low: int, high: int) -> set[int]:
    """The broken variant the contract speaks of: croniter walks the zone itself."""
    walker = croniter(expression, datetime.fromtimestamp(low // 1000 - 1, zone_info(zone)), ret_type=datetime)
    due: set[int] = set()
    while (instant := int(walker.get_next().timestamp()) * 1000) < high:
        due.add(instant)
    return due


def fold_blind_due(expression: str, zone: str, low: int, high: int) -> set[int]:
    """A broken variant: every cron follows the wall clock, whatever its hour field."""
    fields, line = _cron_fields(_cron_texts(expression)), timeline(zone, None)
    due, instant = set(), line.next_after(fields, low - 1)
    while instant is not None and instant < high:
        due.add(instant)
        instant = line.next_after(fields, instant)
    return due


@pytest.mark.parametrize("broken", [croniter_due, fold_blind_due])
def test_the_oracle_catches_a_fixed_time_that_fires_twice_when_clocks_go_back(broken: object) -> None:
    assert callable(broken)
    for change in changes("Europe/Berlin", 2025, 2026):
        low, high = change.at - 12 * HOUR, change.at + 12 * HOUR
        right = cronsim_due("30 2 * * *", "Europe/Berlin", low, high)
        assert kadence_due("30 2 * * *", "Europe/Berlin", low, high) == right
        if change.after < change.before:
            assert broken("30 2 * * *", "Europe/Berlin", low, high) != right


@pytest.mark.parametrize("zone", ZONES)
def test_every_rule_agrees_with_brute_force_around_a_sample_of_changes(zone: str) -> None:
    for change in {changes(zone)[0], *changes(zone)[-2:], *changes(zone, 2011, 2011)}:
        low, high = change.at - 14 * HOUR, change.at + 14 * HOUR
        for expression in EXPRESSIONS[::3]:
            for rules in product(Gap, Fold):
                cron = Cron(expression, zone, *rules)
                right = brute_force_due(expression, zone, rules, (low, high), 60)
                assert list(due_times(cron, low, high)) == right, (expression, change)
                for asked in range(change.at - 3 * HOUR, change.at + 3 * HOUR, HOUR // 4):
                    expected = next((due for due in right if due > asked), None)
                    if expected is not None:
                        assert cron.next_after(asked) == expected, (expression, change, asked)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns"])
def test_seconds_agree_with_brute_force(zone: str) -> None:
    for change in changes(zone, 2005, 2005):
        low, high = change.at - 3 * HOUR, change.at + 3 * HOUR
        for expression in SECONDS_TOO:
            for fold in Fold:
                ours = list(due_times(Cron(expression, zone, Gap.AFTER, fold), low, high))
                assert ours == brute_force_due(expression, zone, (Gap.AFTER, fold), (low, high), 1), expression


def test_brute_force_itself_tells_the_rules_apart() -> None:
    """A control of the control: on a day with a fold the three rules give three answers."""
    change = next(change for change in changes("Europe/Berlin", 2026, 2026) if change.after < change.before)
    window = (change.at - 6 * HOUR, change.at + 6 * HOUR)
    found = [
        [
            datetime.fromtimestamp(due // 1000, UTC).hour
            for due in brute_force_due("30 2 * * *", "Europe/Berlin", rules, window, 60)
        ]
        for rules in [(Gap.AFTER, fold) for fold in Fold]
    ]
    assert found == [[0], [1], [0, 1]]
