from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadence.domain.spec import FIELDS
from kadence.domain.stimulus import Change, Rejected, ResumeJob, Trigger
from kadence.wire import control

KEYS = [b"job/a", b"pause/a", b"hold/a", b"trigger/a/1", b"skip/a/1", b"backfill/a/1"]
JOB: dict[str, object] = {"schedule": {"every": "1m"}}
GOOD: dict[bytes, dict[str, object]] = {
    b"job/a": JOB,
    b"pause/a": {"paused": True},
    b"hold/a": {"match": {"all": True}},
    b"trigger/a/1": {},
    b"skip/a/1": {"count": 1},
    b"backfill/a/1": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"},
}


def read(key: bytes | None, value: object) -> Change:
    raw = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
    return control.decode(key, raw, 7, 8, "kadence")


def error(key: bytes | None, value: object) -> str:
    change = read(key, value)
    assert isinstance(change.wish, Rejected), change
    assert (change.offset, change.timestamp) == (7, 8)
    return change.wish.error


@pytest.mark.parametrize("key", KEYS)
def test_who_why_version_and_condition_go_with_every_value(key: bytes) -> None:
    change = read(key, {**GOOD[key], "v": 1, "by": "x" * 1000, "reason": "because", "if_offset": -1})
    assert not isinstance(change.wish, Rejected)
    assert (change.by, change.reason, change.if_offset) == ("x" * 1000, "because", -1)
    assert (change.kind, change.name) == tuple(key.decode().split("/")[:2])


ENVELOPE: list[tuple[dict[str, object], str]] = [
    ({"v": 2}, "v: this worker knows contract version 1, not 2"),
    ({"v": True}, "v: this worker"),
    ({"by": "x" * 1001}, "by: has 1001 characters"),
    ({"reason": 5}, "reason: must be a string"),
    ({"if_offset": -2}, "if_offset: must be a whole number"),
    ({"if_offset": "1"}, "if_offset: must be a whole number"),
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(("fields", "why"), ENVELOPE)
def test_a_bad_envelope_is_rejected_under_every_key(key: bytes, fields: dict[str, object], why: str) -> None:
    assert why in error(key, {**GOOD[key], **fields})


@pytest.mark.parametrize(
    ("key", "field", "meant"),
    [
        (b"job/a", "shedule", "schedule"),
        (b"pause/a", "untill", "until"),
        (b"hold/a", "mach", "match"),
        (b"trigger/a/1", "paylod", "payload"),
        (b"skip/a/1", "cuont", "count"),
        (b"backfill/a/1", "strat", "start"),
    ],
)
def test_an_unknown_field_is_named_with_the_nearest(key: bytes, field: str, meant: str) -> None:
    assert f"unknown field {field!r}" in error(key, {**GOOD[key], field: 1})
    assert f"did you mean {meant!r}" in error(key, {**GOOD[key], field: 1})


BAD_KEYS: list[tuple[bytes | None, str]] = [
    (None, "no key"),
    (b"", "is no control key"),
    (b"\xff", "not UTF-8"),
    (b"jobs/a", "is no control key"),
    (b"job", "is no name"),
    (b"job/", "is no name"),
    (b"job/a/b", "a job record's is job/<name>"),
    (b"job/a b", "is no name"),
    (b"pause/" + b"x" * 201, "is no name"),
    (b"trigger/a", "trigger/<name>/<id>"),
    (b"trigger/a/", "is no id"),
    (b"trigger/a/b/c", "is no id"),
    (b"trigger/a/probe-1", "the breaker's own"),
]


@pytest.mark.parametrize(("key", "why"), BAD_KEYS)
def test_a_bad_key_is_rejected_with_its_bytes(key: bytes | None, why: str) -> None:
    change = read(key, b'{"x": 1}')
    assert isinstance(change.wish, Rejected)
    assert why in change.wish.error
    assert b'{"x": 1}' in change.wish.excerpt


BAD_VALUES: list[tuple[bytes, object, str]] = [
    (b"job/a", [], "must be a JSON object, not a list"),
    (b"job/a", b"null", "must be a JSON object, not null"),
    (b"job/a", b"", "not JSON"),
    (b"job/a", {}, "schedule is missing"),
    (b"job/a", {"schedule": {"every": "1m"}, "target": {"topic": "kadence.state"}}, "kadence's own"),
    (b"pause/a", {}, "paused is missing"),
    (b"pause/a", {"paused": "yes"}, "paused: must be true or false"),
    (b"pause/a", {"paused": True, "catch_up": "all"}, "catch_up: does not go with paused: true"),
    (b"pause/a", {"paused": True, "spread": 5}, "spread: does not go with paused: true"),
    (b"pause/a", {"paused": False, "until": "2026-01-01T00:00:00Z"}, "until: does not go with paused: false"),
    (b"pause/a", {"paused": True, "until": "tomorrow"}, "RFC 3339"),
    (b"hold/a", {}, "match is missing"),
    (b"hold/a", {"match": {}}, "match: selects nothing"),
    (b"hold/a", {"match": {"all": True}, "start": "2026-01-02T00:00:00Z", "end": "2026-01-02T00:00:00Z"}, "end: must"),
    (b"hold/a", {"match": {"all": True}, "every": {"cron": "* * * * *"}}, "every: takes cron, timezone and duration"),
    (b"skip/a/1", {}, "count is missing"),
    (b"skip/a/1", {"count": 0}, "count: must be a whole number"),
    (b"backfill/a/1", {"start": "2026-01-02T00:00:00Z"}, "start and end"),
    (b"backfill/a/1", {"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}, "end: must be later"),
    (b"backfill/a/1", {**GOOD[b"backfill/a/1"], "rate": 0}, "rate: must be a number"),
]


@pytest.mark.parametrize(("key", "value", "why"), BAD_VALUES)
def test_a_bad_value_is_rejected_and_says_why(key: bytes, value: object, why: str) -> None:
    assert why in error(key, value)


def test_the_first_kib_of_a_bad_value_goes_with_the_rejection() -> None:
    change = read(b"job/a", b"[" + b"x" * 5000)
    assert isinstance(change.wish, Rejected)
    assert change.wish.excerpt == b"[" + b"x" * 1023


def test_the_barrier_is_nobodys_business_and_never_raises() -> None:
    for value in (None, b"", b"\xff", b"{}"):
        assert read(b"barrier/3", value).kind == "barrier"


def test_a_null_field_is_as_good_as_an_absent_one() -> None:
    spec = {field: None for field in FIELDS if field != "schedule"}
    assert read(b"job/a", {**JOB, **spec}).wish == read(b"job/a", JOB).wish
    assert read(b"pause/a", {"paused": False, "catch_up": None}).wish == ResumeJob()
    assert read(b"trigger/a/1", {"payload": None}).wish == Trigger("1", b"null")
    assert read(b"trigger/a/1", {}).wish == Trigger("1")


# --- limits ----------------------------------------------------------------------------------------------

LIMITS: list[tuple[str, dict[str, object], dict[str, object]]] = [
    ("tags", {"tags": [f"t{n}" for n in range(100)]}, {"tags": [f"t{n}" for n in range(101)]}),
    (
        "headers",
        {"target": {"headers": {f"h{n}": "" for n in range(50)}}},
        {"target": {"headers": {f"h{n}": "" for n in range(51)}}},
    ),
    ("attempts", {"retry": {"attempts": 100}}, {"retry": {"attempts": 101}}),
    ("years", {"start": "2000-01-01T00:00:00Z"}, {"start": "1999-12-31T23:59:59.999Z"}),
    ("years", {"end": "2199-12-31T23:59:59.999Z"}, {"end": "2200-01-01T00:00:00Z"}),
    ("cron", {"schedule": {"cron": "0 0 29 2 *"}}, {"schedule": {"cron": "0 0 30 2 *"}}),
    ("every", {"schedule": {"every": "100ms"}}, {"schedule": {"every": "99ms"}}),
]


@pytest.mark.parametrize(("limit", "within", "beyond"), LIMITS)
def test_the_limits_of_the_contract(limit: str, within: dict[str, object], beyond: dict[str, object]) -> None:
    assert not isinstance(read(b"job/a", {**JOB, **within}).wish, Rejected)
    assert isinstance(read(b"job/a", {**JOB, **beyond}).wish, Rejected)


# --- total -----------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["1s", "2026-01-01T00:00:00Z"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELD_NAMES = sorted({*FIELDS, "paused", "until", "match", "every", "catch_up", "count", "rate", "end", "v", "by"})
near_values = st.dictionaries(st.sampled_from(FIELD_NAMES), json_values, max_size=5)
keys = st.none() | st.binary(max_size=20) | st.sampled_from([*KEYS, b"barrier/0"])


@given(keys, st.none() | st.binary(max_size=60) | st.text().map(str.encode))
def test_any_bytes_are_a_change(key: bytes | None, value: bytes | None) -> None:
    assert isinstance(control.decode(key, value, 0, 0, "kadence"), Change)


@given(keys, st.one_of(json_values, near_values, near_values.map(lambda value: {**JOB, **value})))
def test_any_json_is_a_change_and_what_is_good_is_written_back_as_the_same(key: bytes | None, value: object) -> None:
    change = control.decode(key, json.dumps(value).encode(), 0, 0, "kadence")
    if not isinstance(change.wish, Rejected):
        again = control.decode(key, control.encode(change.wish), 0, 0, "kadence")
        assert again.wish == change.wish


def test_a_payload_that_is_larger_than_a_value_once_its_numbers_are_written_out_is_rejected() -> None:
    value = json.dumps({"payload": [1e15] * 40_000}).replace("1000000000000000.0", "1e15").encode()
    assert len(value) < 256 * 1024
    rejected = control.decode(b"trigger/a/1", value, 0, 0, "kadence").wish
    assert isinstance(rejected, Rejected)
    assert "payload: has" in rejected.error


@pytest.mark.parametrize(("body", "payload"), [({}, None), ({"payload": None}, b"null"), ({"payload": [1]}, b"[1]")])
def test_a_triggers_null_payload_is_a_payload(body: dict[str, object], payload: bytes | None) -> None:
    wish = control.decode(b"trigger/a/1", json.dumps(body).encode(), 0, 0, "kadence").wish
    assert wish == Trigger("1", payload)


@pytest.mark.parametrize("key", [b"trigger/a/" + b"\x01" * 200_000, b"job/" + b"a" * 200_000, b"x" * 200_000])
def test_a_key_beyond_bounds_is_not_repeated(key: bytes) -> None:
    change = control.decode(key, b"{}", 0, 0, "kadence")
    assert isinstance(change.wish, Rejected)
    assert len(change.key) + len(change.wish.error) + len(change.wish.excerpt) < 2_000
