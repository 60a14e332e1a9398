from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadence.domain.fields import InvalidError
from kadence.domain.spec import FIELDS, JobSpec, fixed_delay, parse_spec
from tests.domain.story import NAMESPACE, at, when

EVERY: dict[str, object] = {"every": "10s"}

# (field, what is written, what document() gives back for it)
GOOD: list[tuple[str, object, object]] = [
    ("start", when(5), when(5)),
    ("end", when(5), when(5)),
    ("max_runs", 3, 3),
    ("jitter", "90s", "1m30s"),
    ("jitter", 0, None),
    ("catch_up", {"policy": "all", "window": "1h"}, {"policy": "all", "window": "1h"}),
    ("catch_up", {"policy": "latest", "grace": 30, "after_pause": "skip"}, None),
    ("catch_up", {"grace": 0, "after_pause": "latest"}, {"grace": "0s", "after_pause": "latest"}),
    ("overlap", "skip", "skip"),
    ("overlap", "allow", None),
    ("timeout", "PT5M", "5m"),
    ("expires_after", 0.25, "250ms"),
    ("retry", {"attempts": 100, "factor": 1.5}, {"attempts": 100, "factor": 1.5}),
    ("breaker", {"failures": 3, "probe_after": "5m"}, {"failures": 3, "probe_after": "5m"}),
    (
        "target",
        {"topic": "t", "key": "k", "headers": {"b": "1", "a": "2"}},
        {"topic": "t", "key": "k", "headers": {"b": "1", "a": "2"}},
    ),
    ("target", {"topic": f"{NAMESPACE}.executions"}, {"topic": f"{NAMESPACE}.executions"}),
    ("payload", {"any": ["json", None]}, {"any": ["json", None]}),
    ("payload", None, None),
    ("payload_text", "raw ✓", "raw ✓"),
    ("payload_base64", "AP8=", "AP8="),
    ("tags", ["b", "a", "b"], ["a", "b"]),
    ("tags", [], None),
    ("description", "d" * 10_000, "d" * 10_000),
    ("owner", "o", "o"),
    ("managed_by", "m", "m"),
    ("revision", 0, 0),
    ("paused", True, True),
    ("paused", False, None),
    *[(field, None, None) for field in FIELDS if field != "schedule"],
]
BAD: list[tuple[str, object, str]] = [
    ("schedule", {"evry": "1s"}, "every"),
    ("schedule", 5, "must be an object"),
    ("start", "2026-01-01", "RFC 3339"),
    ("start", 5, "RFC 3339"),
    ("end", "1999-01-01T00:00:00Z", "outside the years"),
    ("max_runs", 0, "whole number from 1"),
    ("max_runs", True, "whole number"),
    ("jitter", "1 s", "is not a duration"),
    ("jitter", -1, "negative"),
    ("catch_up", "all", "must be a JSON object, not a string"),
    ("catch_up", {"policy": "some"}, "policy: must be one of skip, latest, all"),
    ("catch_up", {"polciy": "all"}, "did you mean 'policy'"),
    ("catch_up", {"window": 0}, "longer than nothing"),
    ("overlap", "queue", "one of allow, skip"),
    ("timeout", 0, "longer than nothing"),
    ("expires_after", [], "duration"),
    ("retry", {"attempts": 101}, "from 1 to 100"),
    ("retry", {"factor": 0.5}, "number from 1 to 100"),
    ("breaker", {"failures": -1}, "from 0 to 1000"),
    ("breaker", {"failures": 1.0}, "whole number"),
    ("target", {"topic": "__consumer_offsets"}, "no job may write"),
    ("target", {"topic": f"{NAMESPACE}.control"}, "kadence's own"),
    ("target", {"topik": "a"}, "did you mean 'topic'"),
    ("target", {"headers": {"ce_id": "x"}}, "kadence's own"),
    ("target", {"headers": {"": "x"}}, "kadence's own"),
    ("target", {"headers": {"a": 1}}, "a: must be a string, not a number"),
    ("target", {"headers": {f"h{n}": "" for n in range(51)}}, "at most 50 headers"),
    ("payload_text", {}, "must be a string, not an object"),
    ("payload_base64", "A", "base64"),
    ("payload", [1e15] * 14_000, "payload: has 266001 bytes"),
    ("payload_base64", "AP8=\n", "base64"),
    ("payload_base64", 5, "base64"),
    ("tags", ["ok", "not ok"], "is no tag"),
    ("tags", ["a"] * 101, "at most 100 tags"),
    ("tags", "a", "at most 100 tags"),
    ("description", "d" * 10_001, "10001 characters"),
    ("owner", "o" * 1_001, "1001 characters"),
    ("managed_by", 5, "must be a string, not a number"),
    ("revision", -1, "whole number"),
    ("revision", 2**53 + 1, "whole number"),
    ("paused", "yes", "true or false"),
]


def parse(**fields: object) -> JobSpec:
    return parse_spec("job", {"schedule": EVERY, **fields}, NAMESPACE)


@pytest.mark.parametrize(("field", "written", "document"), GOOD)
def test_every_field_is_read_and_written_back(field: str, written: object, document: object) -> None:
    spec = parse(**{field: written})
    assert spec.document() == {"schedule": EVERY, **({} if document is None else {field: document})}
    assert parse_spec("job", spec.document(), NAMESPACE) == spec


def test_every_field_of_the_contract_is_in_the_table() -> None:
    assert {field for field, *_ in GOOD} | {"schedule"} == set(FIELDS)


@pytest.mark.parametrize(("field", "written", "error"), BAD)
def test_an_error_names_the_field(field: str, written: object, error: str) -> None:
    with pytest.raises(InvalidError, match=error) as caught:
        parse(**{field: written})
    assert str(caught.value).startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("field", "meant"),
    [("schedul", "schedule"), ("catchup", "catch_up"), ("playload", "payload"), ("Tags", "tags"), ("retries", "retry")],
)
def test_an_unknown_field_is_an_error_that_names_the_nearest(field: str, meant: str) -> None:
    with pytest.raises(InvalidError, match=f"unknown field {field!r} in a job; did you mean {meant!r}"):
        parse(**{field: 1})


def test_a_field_like_no_other_is_answered_with_the_whole_list() -> None:
    with pytest.raises(InvalidError, match="it takes breaker, catch_up"):
        parse(zzzzzz=1)


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ([], "a job must be a JSON object, not a list"),
        ({}, "schedule is missing"),
        ({"schedule": None}, "schedule is missing"),
        ({"schedule": EVERY, "start": when(5), "end": when(5)}, "end: must be later than start"),
        ({"schedule": EVERY, "payload": 1, "payload_text": "a"}, "give one of payload, payload_text, payload_base64"),
    ],
)
def test_what_no_single_field_shows(document: object, error: str) -> None:
    with pytest.raises(InvalidError, match=error):
        parse_spec("job", document, NAMESPACE)


def test_parts_that_jobs_share_are_one_object() -> None:
    shared = {"retry": {"attempts": 3}, "target": {"topic": "t"}, "catch_up": {"policy": "all"}}
    one, other = (parse_spec(name, {"schedule": EVERY, **shared}, NAMESPACE) for name in ("a", "b"))
    assert one.timing is other.timing
    assert (one.retry is other.retry, one.target is other.target, one.catch_up is other.catch_up) == (True, True, True)


@given(st.text("abcdef", min_size=1, max_size=20), st.integers(0, 10**10))
def test_a_fixed_delay_is_whole_and_within_its_jitter(name: str, jitter: int) -> None:
    delay = fixed_delay(name, jitter)
    assert 0 <= delay < max(jitter, 1)
    assert delay == fixed_delay(name, jitter)


def test_fixed_delays_spread_out() -> None:
    delays = [fixed_delay(f"job-{index}", 1000) for index in range(10_000)]
    tenths = [sum(low <= delay < low + 100 for delay in delays) for low in range(0, 1000, 100)]
    assert min(tenths) > 800


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
durations = st.integers(1, 10**9).map(lambda ms: f"{ms}ms")
documents = st.fixed_dictionaries(
    {
        "schedule": st.one_of(
            st.integers(100, 10**8).map(lambda ms: {"every": f"{ms}ms", "offset": f"{ms // 3}ms"}),
            st.sampled_from(["0 9 * * MON-FRI", "H H * * *", "*/5 * * * * *", "@daily"]).map(
                lambda text: {"cron": text}
            ),
            st.just([{"at": when(9)}, {"cron": "1 2 L * *", "timezone": "Europe/Berlin", "dst": {"fold": "both"}}]),
        )
    },
    optional={
        "start": st.just(when(1)),
        "end": st.just(when(2)),
        "jitter": durations,
        "max_runs": st.integers(1, 9),
        "catch_up": st.fixed_dictionaries(
            {}, optional={"policy": st.sampled_from(["skip", "latest", "all"]), "window": durations, "grace": durations}
        ),
        "retry": st.fixed_dictionaries({}, optional={"attempts": st.integers(1, 100), "delay": durations}),
        "breaker": st.fixed_dictionaries({}, optional={"failures": st.integers(0, 9), "probe_after": durations}),
        "target": st.fixed_dictionaries(
            {}, optional={"topic": st.just("t"), "key": st.text(max_size=9), "headers": st.just({"z": "1", "a": ""})}
        ),
        "payload": json_values,
        "tags": st.lists(st.sampled_from("abc"), max_size=3),
        "timeout": durations,
        "expires_after": durations,
        "description": st.text(max_size=9),
        "paused": st.booleans(),
    },
)


@given(documents)
def test_a_document_round_trips(document: dict[str, object]) -> None:
    spec = parse_spec("job", document, NAMESPACE)
    text = json.dumps(spec.document())
    assert parse_spec("job", json.loads(text), NAMESPACE) == spec


def test_a_timing_knows_its_range() -> None:
    timing = parse(start=when(25), end=when(50)).timing
    assert [timing.next_after(at(second)) for second in (0, 29, 30, 40)] == [at(30), at(30), at(40), None]
    assert timing.count(at(0), at(1000)).number == 2
    assert timing.latest_before(at(0), at(1000)) == at(40)
    assert timing.latest_before(at(0), at(30)) is None
