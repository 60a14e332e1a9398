from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadence.domain.duration import (
    END_INSTANT,
    FIRST_INSTANT,
    LONGEST,
    format_duration,
    format_time,
    parse_duration,
    parse_time,
)

DURATIONS: list[tuple[object, int]] = [
    ("250ms", 250),
    ("30s", 30_000),
    ("1h30m", 5_400_000),
    ("7d", 604_800_000),
    ("1d2h3m4s5ms", 93_784_005),
    ("1.5h", 5_400_000),
    ("0s", 0),
    ("PT30S", 30_000),
    ("PT0.25S", 250),
    ("PT0,25S", 250),
    ("P1DT2H", 93_600_000),
    ("P2W", 1_209_600_000),
    (30, 30_000),
    (0.1, 100),
    (1.001, 1001),
    (0, 0),
    ("73048d", 73_048 * 86_400_000),
]
NO_DURATIONS: list[tuple[object, str]] = [
    (True, "text or a number"),
    (None, "text or a number"),
    (["1s"], "text or a number"),
    ("", "is not a duration"),
    ("P", "is not a duration"),
    ("PT", "is not a duration"),
    ("P1DT", "is not a duration"),
    ("P1M", "is not a duration"),
    ("30", "is not a duration"),
    ("30 s", "is not a duration"),
    ("30S", "is not a duration"),
    ("1m1h", "is not a duration"),
    ("1e3s", "is not a duration"),
    ("٣s", "is not a duration"),
    ("9" * 100_000 + "s", "is not a duration"),
    ("-5s", "must not be negative"),
    ("-PT5S", "must not be negative"),
    (-1, "must not be negative"),
    (float("nan"), "finite"),
    (float("inf"), "finite"),
    (10**400, "200 years"),
    ("999999999999d", "200 years"),
    (0.0005, "whole number of milliseconds"),
    ("0.5ms", "whole number of milliseconds"),
    (0.1 + 0.2, "whole number of milliseconds"),
]


@pytest.mark.parametrize(("value", "duration"), DURATIONS)
def test_a_duration_is_read_in_all_its_forms(value: object, duration: int) -> None:
    assert parse_duration(value) == duration


@pytest.mark.parametrize(("value", "hint"), NO_DURATIONS)
def test_what_is_no_duration_is_refused_in_one_short_sentence(value: object, hint: str) -> None:
    with pytest.raises(ValueError, match=hint) as caught:
        parse_duration(value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("duration", "text"),
    [(0, "0s"), (250, "250ms"), (5_400_000, "1h30m"), (604_800_000, "7d"), (90_061_001, "1d1h1m1s1ms")],
)
def test_a_duration_is_written_in_its_shortest_form(duration: int, text: str) -> None:
    assert format_duration(duration) == text


def test_a_negative_duration_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="negative"):
        format_duration(-1)


@given(st.integers(0, LONGEST))
def test_a_written_duration_reads_back_the_same(duration: int) -> None:
    assert parse_duration(format_duration(duration)) == duration
    assert parse_duration(duration // 1000) == duration // 1000 * 1000


TIMES: list[tuple[str, int]] = [
    ("2026-11-23T09:00:00Z", 1_795_424_400_000),
    ("2026-11-23t09:00:00z", 1_795_424_400_000),
    ("2026-11-23T10:00:00+01:00", 1_795_424_400_000),
    ("2026-11-23T05:30:00-03:30", 1_795_424_400_000),
    ("2026-11-23T09:00:00-00:00", 1_795_424_400_000),
    ("2026-11-23T09:00:00.25Z", 1_795_424_400_250),
    ("2026-11-23T09:00:00.250999Z", 1_795_424_400_250),
    ("2000-01-01T00:00:00Z", FIRST_INSTANT),
    ("1999-12-31T23:00:00-01:00", FIRST_INSTANT),
    ("2199-12-31T23:59:59.999Z", END_INSTANT - 1),
]
NO_TIMES: list[tuple[object, str]] = [
    (None, "RFC 3339"),
    (1_795_424_400, "RFC 3339"),
    ("2026-11-23T09:00:00", "with an offset"),
    ("2026-11-23 09:00:00Z", "RFC 3339"),
    ("2026-11-23", "RFC 3339"),
    ("2026-11-23T09:00Z", "RFC 3339"),
    ("2026-11-23T09:00:00+0100", "RFC 3339"),
    ("٢026-11-23T09:00:00Z", "RFC 3339"),
    ("2026-11-23T09:00:00Z\n", "RFC 3339"),
    ("2026-11-23T09:00:00." + "1" * 100_000 + "Z", "RFC 3339"),
    ("2016-12-31T23:59:60Z", "leap second"),
    ("2026-02-29T00:00:00Z", "not a time that exists"),
    ("2026-11-23T24:00:00Z", "not a time that exists"),
    ("2026-11-23T09:00:00+24:00", "not a time that exists"),
    ("2026-11-23T09:00:00+01:60", "not a time that exists"),
    ("0000-01-01T00:00:00Z", "not a time that exists"),
    ("0001-01-01T00:00:00+23:00", "outside the years|not a time"),
    ("1999-12-31T23:59:59Z", "outside the years 2000 to 2199"),
    ("2200-01-01T00:00:00Z", "outside the years 2000 to 2199"),
    ("2200-01-01T00:30:00+00:30", "outside the years 2000 to 2199"),
]


@pytest.mark.parametrize(("text", "instant"), TIMES)
def test_a_time_is_read_with_its_offset(text: str, instant: int) -> None:
    assert parse_time(text) == instant


@pytest.mark.parametrize(("value", "hint"), NO_TIMES)
def test_what_is_no_time_is_refused_in_one_short_sentence(value: object, hint: str) -> None:
    with pytest.raises(ValueError, match=hint) as caught:
        parse_time(value)
    assert len(str(caught.value)) < 200


def test_milliseconds_are_written_only_where_they_are_not_zero() -> None:
    assert format_time(1_795_424_400_000) == "2026-11-23T09:00:00Z"
    assert format_time(1_795_424_400_007) == "2026-11-23T09:00:00.007Z"


@given(st.integers(FIRST_INSTANT, END_INSTANT - 1))
def test_a_written_time_reads_back_the_same(instant: int) -> None:
    assert parse_time(format_time(instant)) == instant
