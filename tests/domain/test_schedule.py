from __future__ import annotations

import time
from contextlib import suppress
from itertools import islice, pairwise

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from kadence.domain.duetimes import due_times
from kadence.domain.duration import END_INSTANT, format_time, parse_time
from kadence.domain.schedule import (
    At,
    Cron,
    Every,
    Schedule,
    ScheduleError,
    Simple,
    Union,
    cron_for,
    parse_schedule,
    union,
)
from kadence.domain.walltime import TZDATA_VERSION, Fold, Gap

BERLIN = "Europe/Berlin"
MINUTE = 60_000
DAY = 1440 * MINUTE
START = parse_time("2026-01-01T00:00:00Z")


def first(schedule: Schedule, after: str, number: int = 1) -> list[str]:
    return [format_time(due) for due in islice(due_times(schedule, parse_time(after) + 1, END_INSTANT), number)]


CANONICAL = [
    ("0 9 * * MON-FRI", "0 9 * * 1-5"),
    ("0  9 * * mon-fri ", "0 9 * * 1-5"),
    ("0 9 * * 1,2,3,4,5", "0 9 * * 1-5"),
    ("0,15,30,45 * * * *", "*/15 * * * *"),
    ("0 * * * * *", "* * * * *"),
    ("*/5 * * * * *", "*/5 * * * * *"),
    ("0 0 * JAN-MAR *", "0 0 * 1-3 *"),
    ("0 9-9 * * *", "0 9 * * *"),
    ("0 0 * * 7", "0 0 * * 0"),
    ("0 0 * * 5-7", "0 0 * * 0,5,6"),
    ("0 22-2 * * *", "0 0,1,2,22,23 * * *"),
    ("0 0 * * FRI#2", "0 0 * * 5#2"),
    ("0 0 * * 5L", "0 0 * * L5"),
    ("0 0 * * FRIL", "0 0 * * L5"),
    ("0 0 L * *", "0 0 L * *"),
    ("0 0-23 * * *", "0 0-23 * * *"),
    ("0 0 1-31 * MON", "0 0 1-31 * 1"),
    ("0 0 */2 * MON", "0 0 */2 * 1"),
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@Yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
]


@pytest.mark.parametrize(("written", "canonical"), CANONICAL)
def test_crons_that_mean_the_same_are_one_value(written: str, canonical: str) -> None:
    assert Cron(written).expression == canonical
    assert cron_for("a", written) is cron_for("b", canonical)


@pytest.mark.parametrize(
    ("one", "other"),
    [("0 0 * * MON", "0 0 1-31 * MON"), ("0 * * * *", "0 0-23 * * *"), ("0 0 */2 * 1", "0 0 1-31/2 * 1")],
)
def test_a_leading_star_means_something(one: str, other: str) -> None:
    assert Cron(one) != Cron(other)


DUE = [
    ("0 9 * * MON-FRI", "2026-11-20T09:00:00Z", ["2026-11-23T09:00:00Z"]),
    ("30 15 10 * * *", "2026-11-20T10:15:30Z", ["2026-11-21T10:15:30Z"]),
    ("0 0 L * *", "2028-01-31T00:00:00Z", ["2028-02-29T00:00:00Z", "2028-03-31T00:00:00Z"]),
    ("0 0 15,L 2 *", "2026-01-01T00:00:00Z", ["2026-02-15T00:00:00Z", "2026-02-28T00:00:00Z"]),
    ("0 0 * * FRI#5", "2026-01-01T00:00:00Z", ["2026-01-30T00:00:00Z", "2026-05-29T00:00:00Z"]),
    ("0 0 * * FRIL", "2026-01-01T00:00:00Z", ["2026-01-30T00:00:00Z", "2026-02-27T00:00:00Z"]),
    ("0 0 29 2 *", "2096-02-29T00:00:00Z", ["2104-02-29T00:00:00Z"]),
    ("0 0 13 * FRI", "2026-11-01T00:00:00Z", ["2026-11-06T00:00:00Z", "2026-11-13T00:00:00Z"]),
    ("0 0 */10 * FRI", "2026-11-01T00:00:00Z", ["2026-12-11T00:00:00Z"]),
    ("0 0 1 1 *", "2199-06-01T00:00:00Z", []),
    ("* * * * *", "2199-12-31T23:58:00Z", ["2199-12-31T23:59:00Z"]),
]


@pytest.mark.parametrize(("expression", "after", "expected"), DUE)
def test_a_cron_is_due_when_its_fields_say(expression: str, after: str, expected: list[str]) -> None:
    assert first(Cron(expression), after, max(len(expected), 1)) == expected


@pytest.mark.parametrize("name", ["a", "invoices", "nightly-report", "Ω"])
@pytest.mark.parametrize("field", ["H", "H/15", "H(0-29)", "H(0-29)/10", "H(10-20)/40"])
def test_h_is_hashed_by_the_name_as_croniter_does(field: str, name: str) -> None:
    theirs = " ".join(",".join(map(str, values)) for values in croniter.expand(f"{field} H * * H", name.encode())[0])
    assert cron_for(name, f"{field} H * * H") == Cron(theirs)


def test_a_hashed_day_is_one_that_every_month_has() -> None:
    for number in range(300):
        day = int(cron_for(f"job-{number}", "0 0 H * *").expression.split()[2])
        assert 1 <= day <= 28


def test_a_name_of_a_daily_kind_is_not_hashed() -> None:
    assert cron_for("one", "@daily") == cron_for("two", "@daily") == Cron("0 0 * * *")


DST = [
    # clocks go forward at 02:00 on 2026-03-29 (01:00Z) and back at 03:00 on 2026-10-25 (01:00Z)
    (BERLIN, "30 2 * * *", "after", "first", "2026-03-28T12:00:00Z", ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]),
    (BERLIN, "30 2 * * *", "skip", "first", "2026-03-28T12:00:00Z", ["2026-03-30T00:30:00Z"]),
    (BERLIN, "0,30 2,3 * * *", "after", "first", "2026-03-28T12:00:00Z",
     ["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"]),
    (BERLIN, "30 2 29 3 *", "skip", "first", "2025-07-01T00:00:00Z", ["2027-03-29T00:30:00Z"]),
    (BERLIN, "30 2 29 3 *", "after", "first", "2025-07-01T00:00:00Z", ["2026-03-29T01:00:00Z"]),
    (BERLIN, "30 2 25 10 *", "after", "second", "2026-01-01T00:00:00Z", ["2026-10-25T01:30:00Z"]),
    (BERLIN, "30 2 * * *", "after", "first", "2026-10-24T12:00:00Z", ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]),
    (BERLIN, "30 2 * * *", "after", "second", "2026-10-24T12:00:00Z", ["2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"]),
    (BERLIN, "30 2 * * *", "after", "both", "2026-10-24T12:00:00Z", ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]),
    (BERLIN, "30 2 * * *", "after", "first", "2026-10-25T00:30:00Z", ["2026-10-26T01:30:00Z"]),
    (BERLIN, "*/30 2 * * *", "after", "first", "2026-10-25T00:30:00Z", ["2026-10-26T01:00:00Z"]),
    (BERLIN, "30 * * * *", "after", "first", "2026-10-25T00:00:00Z", ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]),
    (BERLIN, "30 */2 * * *", "after", "first", "2026-03-29T00:00:00Z", ["2026-03-29T02:30:00Z"]),
    ("Pacific/Apia", "0 12 * * *", "after", "first", "2011-12-29T23:00:00Z",
     ["2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z"]),
    ("Pacific/Apia", "0 12 * * *", "skip", "first", "2011-12-29T23:00:00Z", ["2011-12-30T22:00:00Z"]),
    ("Australia/Lord_Howe", "15 2 * * *", "after", "first", "2026-10-03T12:00:00Z", ["2026-10-03T15:30:00Z"]),
    ("Antarctica/Troll", "0 2 * * *", "after", "first", "2026-03-28T12:00:00Z", ["2026-03-29T01:00:00Z"]),
    ("America/Sao_Paulo", "0 0 * * *", "after", "first", "2018-11-03T12:00:00Z", ["2018-11-04T03:00:00Z"]),
    ("Europe/Dublin", "30 1 * * *", "after", "second", "2026-10-24T12:00:00Z", ["2026-10-25T01:30:00Z"]),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "expression", "gap", "fold", "after", "expected"), DST)
def test_gaps_and_folds_are_as_the_contract_says(
    zone: str, expression: str, gap: str, fold: str, after: str, expected: list[str]
) -> None:
    schedule = parse_schedule({"cron": expression, "timezone": zone, "dst": {"gap": gap, "fold": fold}}, "job")
    assert first(schedule, after, len(expected)) == expected


def test_rules_that_change_nothing_do_not_tell_schedules_apart() -> None:
    assert Cron("0 * * * *", BERLIN, Gap.SKIP, Fold.BOTH) == Cron("0 * * * *", BERLIN)
    assert Cron("0 9 * * *", "UTC", Gap.SKIP, Fold.BOTH) == Cron("0 9 * * *", "UTC")
    assert Cron("0 9 * * *", BERLIN, Gap.SKIP) != Cron("0 9 * * *", BERLIN)


def test_every_is_aligned_to_the_epoch_plus_offset() -> None:
    assert first(Every(90_000, 30_000), "2026-01-01T00:00:00Z", 2) == ["2026-01-01T00:00:30Z", "2026-01-01T00:02:00Z"]
    assert Every(60_000, 90_000) == Every(60_000, 30_000)
    assert Every(100).count(START, START + 1000) == (10, True)
    assert Every(1000).latest_before(START, START + 1) == START
    assert Every(1000).latest_before(START + 1, START + 1000) is None
    assert Every(1000).next_after(END_INSTANT - 1) is None


def test_at_is_due_once() -> None:
    assert At(START).next_after(START - 1) == START
    assert At(START).next_after(START) is None
    assert (At(START).count(START, START + 1).number, At(START).count(START + 1, START + 2).number) == (1, 0)


def test_a_union_is_due_once_per_instant_and_does_not_depend_on_order() -> None:
    both = [{"cron": "*/2 * * * *"}, {"every": "3m"}, {"cron": "0-58/2 * * * *"}]
    schedule = parse_schedule(both, "job")
    assert schedule == parse_schedule(both[::-1], "job")
    assert isinstance(schedule, Union)
    assert len(schedule.members) == 2
    assert [due - START for due in due_times(schedule, START, START + 7 * MINUTE)] == [
        minute * MINUTE for minute in (0, 2, 3, 4, 6)
    ]
    assert parse_schedule([{"every": 60}, {"every": "1m"}], "job") == Every(60_000)


DOCUMENTS: list[object] = [
    {"cron": "0 9 * * 1-5", "timezone": BERLIN, "dst": {"gap": "skip", "fold": "both"}},
    {"cron": "0 9 * * 1-5"},
    {"every": "1m30s", "offset": "10s"},
    {"at": "2026-11-23T09:00:00Z"},
    [{"at": "2026-11-23T09:00:00Z"}, {"every": "1m"}],
]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_canonical_document_survives_reading_and_writing(document: object) -> None:
    assert parse_schedule(document, "job").document() == document


REFUSED: list[tuple[object, str]] = [
    (None, 'needs|must be an object with "cron"'),
    ({}, 'one of "cron", "every" and "at"'),
    ([], "must not be empty"),
    ([[{"every": 1}]], "must be an object"),
    ([{"every": 1}] * 101, "100 members"),
    ({"cron": "* * * * *", "every": 1}, "write a list"),
    ({"corn": "* * * * *"}, 'did you mean "cron"'),
    ({"cron": "* * * * *", "timezon": "UTC"}, 'did you mean "timezone"'),
    ({"cron": "* * * * *", "x" * 100_000: 1}, "unknown field"),
    ({"cron": "* * * * *", "dst": {"folds": "first"}}, 'did you mean "fold"'),
    ({"cron": "* * * * *", "dst": {"gap": "before"}}, '"after" or "skip"'),
    ({"cron": "* * * * *", "dst": {"gap": ["after"]}}, '"after" or "skip"'),
    ({"cron": "* * * * *", "dst": {"fold": None}}, '"first", "second" or "both"'),
    ({"cron": "* * * * *", "dst": "first"}, '"dst" must be an object'),
    ({"cron": 5}, '"cron" must be a text'),
    ({"cron": "* * * * *", "timezone": None}, '"timezone" must be a text'),
    ({"cron": "* * * * *", "timezone": "europe/berlin"}, 'did you mean "Europe/Berlin"'),
    ({"cron": "* * * * *", "timezone": "Berlin"}, 'did you mean "Europe/Berlin"'),
    ({"cron": "* * * * *", "timezone": "Europe/Berln"}, 'did you mean "Europe/Berlin"'),
    ({"cron": "* * * * *", "timezone": "../../etc/passwd"}, "not a known time zone"),
    ({"cron": "* * * * *", "timezone": "/" * 100_000}, "not a known time zone"),
    ({"every": "50ms"}, "at least 100 ms"),
    ({"every": 0}, "at least 100 ms"),
    ({"every": "1 fortnight"}, "is not a duration"),
    ({"every": 1, "offset": "-1s"}, "must not be negative"),
    ({"every": 1, "timezone": "UTC"}, "unknown field"),
    ({"at": "tomorrow"}, "RFC 3339"),
    ({"at": 1_795_424_400}, "RFC 3339"),
]
REFUSED_CRONS = [
    ("", "0 fields"),
    ("* * * *", "4 fields"),
    ("* * * * * * 2026", "7 fields"),
    ("@reboot", "@hourly"),
    ("0 0 30 2 *", "never matches"),
    ("0 0 31 4,6,9,11 *", "never matches"),
    ("0 0 29 2 */7", "years without a match"),
    ("61 * * * *", "minute field"),
    ("* 24 * * *", "hour field"),
    ("* * 0 * *", "day of the month field"),
    ("* * * 13 *", "month field"),
    ("* * * * 8", "day of the week field"),
    ("60 * * * * *", "second field"),
    ("*/0 * * * *", "never moves"),
    ("H/0 * * * *", "never moves"),
    ("*/90 * * * *", '"every"'),
    ("*/99999999999999999999 * * * *", "not readable"),
    ("0-1000000000 * * * *", "not readable"),
    ("H(0-1000000000) * * * *", "not readable"),
    ("H(5-70) * * * *", "no such value"),
    ("R * * * *", "not readable"),
    ("0 0 15W * *", "not readable"),
    ("0 0 ? * *", "not readable"),
    ("0 0 * * FOO", "not readable"),
    ("0 0 * * FRI#6", "not readable"),
    ("0 0 * * FRI#1,MON", "mixes"),
    ("0 0 * * 0-6,FRI#1", "mixes"),
    ("1,,2 * * * *", "not readable"),
    ("-5 * * * *", "not readable"),
    ("0\t9 * * *", "plain ASCII"),
    ("0 9 * * *\n", "plain ASCII"),
    ("0 9 * * *\x00", "plain ASCII"),
    ("\u0660 9 * * *", "plain ASCII"),
    ("0 9\u00a0* * *", "plain ASCII"),
    ("* " * 5000, "at most 1000"),
    ("1," * 400 + "1 * * *", "4 fields"),
    (",".join(["0-59"] * 190) + " 0 30 2 *", "never matches"),
]
LIMIT_SECONDS = 0.1


def refusal(document: object) -> str:
    with pytest.raises(ScheduleError) as caught:
        parse_schedule(document, "job")
    assert caught.value.message == str(caught.value)
    return caught.value.message


@pytest.mark.parametrize(("document", "hint"), [*REFUSED, *(({"cron": cron}, hint) for cron, hint in REFUSED_CRONS)])
def test_what_is_no_schedule_is_refused_quickly_and_in_one_short_sentence(document: object, hint: str) -> None:
    began = time.process_time()
    message = refusal(document)
    assert time.process_time() - began < LIMIT_SECONDS
    assert any(part in message for part in hint.split("|"))
    assert len(message) < 250
    assert "\n" not in message


def test_an_h_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="hashed by"):
        Cron("H 9 * * *")


def test_the_zones_are_those_of_the_pinned_package() -> None:
    assert TZDATA_VERSION.startswith("20")


def test_due_times_begin_in_1970_and_end_with_2199() -> None:
    assert Cron("* * * * *").next_after(-(10**18)) == 0
    assert Every(1000).next_after(-(10**18)) == 0
    assert Cron("* * * * *").next_after(10**18) is None
    assert Every(1000).next_after(10**18) is None


def fields(low: int, high: int) -> st.SearchStrategy[str]:
    values = st.lists(st.integers(low, high), min_size=1, max_size=3).map(lambda found: ",".join(map(str, found)))
    steps = st.integers(2, max(2, (high - low) // 2)).map("*/{}".format)
    # croniter reads 9-9 as every hour, so such a range is no common ground
    pairs = st.lists(st.integers(low, high), min_size=2, max_size=2, unique=True).map(sorted)
    ranges = pairs.map(lambda pair: f"{pair[0]}-{pair[1]}")
    return st.one_of(st.just("*"), values, steps, ranges)


def often_enough(expression: str) -> bool:
    """Whether it matches every 8 years, or is none for another reason (which a test is to see)."""
    try:
        Cron(expression)
    except ValueError as error:
        return "at least every 8 years" not in str(error)
    return True


EXPRESSIONS = (
    st.tuples(fields(0, 59), fields(0, 23), fields(1, 28), fields(1, 12), fields(0, 6))
    .map(" ".join)
    .filter(often_enough)
)
CRONS = st.builds(
    Cron,
    EXPRESSIONS,
    st.sampled_from([BERLIN, "UTC", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia"]),
    st.sampled_from(Gap),
    st.sampled_from(Fold),
)
SIMPLE: st.SearchStrategy[Simple] = st.one_of(
    CRONS,
    st.builds(Every, st.integers(100, 10**9), st.integers(0, 10**9)),
    st.builds(At, st.integers(START, START + 10**9)),
)
SCHEDULES: st.SearchStrategy[Schedule] = st.one_of(SIMPLE, st.lists(SIMPLE, min_size=1, max_size=3).map(union))
INSTANTS = st.integers(parse_time("2005-01-01T00:00:00Z"), parse_time("2030-01-01T00:00:00Z"))


@given(SCHEDULES, INSTANTS, st.integers(0, 20))
@settings(deadline=None)
def test_the_next_due_time_is_the_first_of_all_that_lie_after(schedule: Schedule, start: int, number: int) -> None:
    dues = list(islice(due_times(schedule, start, END_INSTANT), number))
    assert all(earlier < later for earlier, later in pairwise(dues))
    for earlier, later in pairwise([start - 1, *dues]):
        for between in {earlier, (earlier + later) // 2, later - 1}:
            assert schedule.next_after(between) == later
    assert parse_schedule(schedule.document(), "another") == schedule


@given(SCHEDULES, INSTANTS, st.integers(0, 40 * 86_400_000))
@settings(deadline=None)
def test_counting_and_looking_back_agree_with_going_forward(schedule: Schedule, low: int, length: int) -> None:
    high = low + min(length, 2000 * (schedule.period if isinstance(schedule, Every) else MINUTE))
    dues = list(islice(due_times(schedule, low, high), 3001))
    if len(dues) <= 3000:
        assert schedule.count(low, high) == (len(dues), True)
        assert schedule.latest_before(low, high) == (dues[-1] if dues else None)


@pytest.mark.parametrize("zone", ["America/Sao_Paulo", "Africa/Casablanca", "Australia/Lord_Howe", "Pacific/Apia"])
@pytest.mark.parametrize("expression", ["*/7 * * * *", "*/20 0-3 * * *", "30 2 * * SUN", "15,45 22-23 * * *"])
@pytest.mark.parametrize("gap", Gap)
@pytest.mark.parametrize("fold", Fold)
def test_counting_agrees_with_going_forward_over_thirty_years_of_changes(
    zone: str, expression: str, gap: Gap, fold: Fold
) -> None:
    schedule = Cron(expression, zone, gap, fold)
    edges = [at * 1000 for at in schedule.timeline.starts if 0 < at < 1_900_000_000]
    for edge in edges:
        for low, high in ((edge - DAY, edge + DAY), (edge - DAY, edge), (edge, edge + DAY), (edge + 1, edge + DAY)):
            assert schedule.count(low, high).number == sum(1 for _ in due_times(schedule, low, high)), (low, high)


def test_a_year_of_seconds_is_counted_at_once_and_many_of_a_union_at_least() -> None:
    year = 365 * DAY
    assert Cron("* * * * * *").count(START, START + year) == (365 * 86_400, True)
    both = parse_schedule([{"cron": "* * * * *"}, {"every": "1m", "offset": "1s"}], "job")
    assert both.count(START, START + DAY) == (2 * 1440, True)
    assert both.count(START, START + year) == (365 * 1440, False)


@given(EXPRESSIONS, INSTANTS)
@settings(deadline=None)
def test_in_utc_a_cron_agrees_with_croniter(expression: str, start: int) -> None:
    schedule = Cron(expression)
    walker = croniter(expression, start / 1000, implement_cron_bug=True)
    assert schedule.next_after(start) == int(walker.get_next(float)) * 1000
    assert schedule.latest_before(0, start) == int(walker.get_prev(float, start_time=start / 1000)) * 1000


@given(st.text(max_size=60), st.text(max_size=20))
@settings(deadline=None, max_examples=50)
def test_no_text_makes_reading_a_cron_fail_otherwise_than_by_its_own_error(expression: str, zone: str) -> None:
    for document in ({"cron": expression}, {"cron": "* * * * *", "timezone": zone}, {"every": expression}):
        with suppress(ScheduleError):
            assert parse_schedule(document, "job").document()


@given(st.text(alphabet="0123456789*/,-#LHR()JANMONW ", max_size=30))
@settings(deadline=None)
def test_nothing_that_looks_like_a_cron_fails_otherwise_than_by_its_own_error(expression: str) -> None:
    try:
        schedule = parse_schedule({"cron": expression + " * * * *"}, "job")
    except ScheduleError:
        return
    assert parse_schedule(schedule.document(), "another") == schedule
