from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadence.domain.fields import InvalidError
from kadence.domain.job import Job, Owed, Stage
from kadence.domain.schedule import Every
from kadence.domain.spec import Timing
from kadence.domain.stimulus import BadOutcome, Outcome, Rejected
from kadence.wire import outcome, state
from tests.domain.story import at
from tests.wire import golden
from tests.wire.test_control import json_values

ID = "a@2026-11-23T09:00:00Z"


@pytest.mark.parametrize("status", outcome.STATUSES)
def test_every_status_is_read(status: outcome.Status) -> None:
    heard = outcome.decode(b"a", outcome.encode(ID, status), 3, 4)
    assert heard == Outcome(3, 4, "a", ID, status)


def test_an_outcome_goes_over_the_wire_and_back() -> None:
    error = outcome.failure("ValueError", "no", "Traceback ...")
    value = outcome.encode(
        ID, "snoozed", error=error, started_at=at(1), finished_at=at(2), until=at(3), executor="e-1", result={"n": 1}
    )
    assert outcome.decode(b"a", value, 3, 4) == Outcome(3, 4, "a", ID, "snoozed", error, at(1), at(2), at(3), "e-1")


def test_a_long_traceback_is_cut_in_its_middle() -> None:
    cut = outcome.failure("E", traceback="first\n" + "x" * 50_000 + "\nlast").traceback
    assert len(cut) < outcome.MAX_TRACEBACK + 100
    assert cut.startswith("first")
    assert cut.endswith("last")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        ({"type": "E", "message": "no\n  way"}, "E: no way"),
        ({"message": "no"}, "no"),
        ({"type": "E"}, "E"),
        ({"type": "E", "message": "m" * 5000}, "E: " + "m" * 497),
        ({}, ""),
    ],
)
def test_an_error_becomes_one_line(error: dict[str, str], line: str) -> None:
    heard = outcome.decode(b"a", json.dumps({"id": ID, "status": "failed", "error": error}).encode(), 3, 4)
    assert isinstance(heard, Outcome)
    assert heard.error is not None
    assert heard.error.line == line


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        (None, b"{}", "is no name"),
        (b"a b", b"{}", "is no name"),
        (b"\xff", b"{}", "is no name"),
        (b"a", None, "must be a JSON object, not null"),
        (b"a", b"[]", "must be a JSON object"),
        (b"a", b"{}", "id and status"),
        (b"a", b'{"id": "x", "status": "done"}', "status: must be one of"),
        (b"a", b'{"id": "x", "status": "failed", "error": "no"}', "error: must be an object"),
        (b"a", b'{"id": "x", "status": "failed", "eror": {}}', "did you mean 'error'"),
        (b"a", b'{"id": "x", "status": "started", "started_at": 5}', "RFC 3339"),
        (b"a", b'{"id": "x", "status": "started", "v": 2}', "v: must be"),
    ],
)
def test_a_bad_outcome_says_why(key: bytes | None, value: bytes | None, why: str) -> None:
    heard = outcome.decode(key, value, 3, 4)
    assert isinstance(heard, BadOutcome)
    assert why in heard.rejected.error


@given(st.none() | st.binary(max_size=9) | st.just(b"a"), st.none() | st.binary(max_size=40))
def test_any_bytes_are_an_outcome_or_a_bad_one(key: bytes | None, value: bytes | None) -> None:
    assert isinstance(outcome.decode(key, value, 0, 0), Outcome | BadOutcome)


@given(st.dictionaries(st.sampled_from(["id", "status", "error", "until", "result", "v"]), json_values))
def test_any_json_is_an_outcome_or_a_bad_one(value: dict[str, object]) -> None:
    assert isinstance(outcome.decode(b"a", json.dumps(value).encode(), 0, 0), Outcome | BadOutcome)


JOB_FIELDS = json.loads(state.encode_job(golden.jobs()["with everything"]))
HOLD_FIELDS = json.loads(state.encode_hold(golden.hold()))
CURSOR_FIELDS = json.loads(state.encode_cursor(golden.cursor()))


def damaged(document: dict[str, object]) -> st.SearchStrategy[bytes]:
    """The record with any value in one or two of its fields, or without them."""
    fields = st.dictionaries(st.sampled_from(sorted(document)), json_values, max_size=2)
    missing = st.sets(st.sampled_from(sorted(document)), max_size=1)
    return st.builds(
        lambda put, gone: json.dumps({k: v for k, v in {**document, **put}.items() if k not in gone}).encode(),
        fields,
        missing,
    )


@given(st.binary(max_size=30) | json_values.map(lambda value: json.dumps(value).encode()) | damaged(JOB_FIELDS))
def test_no_job_record_raises(value: bytes) -> None:
    assert isinstance(state.decode_job("invoices", value, "kadence"), state.JobRecord | Rejected)


@given(st.sampled_from(["pause", "breaker", "progress", "rejected"]), json_values, damaged(JOB_FIELDS["pause"]))
def test_no_damaged_part_of_a_job_record_raises(part: str, value: object, pause: bytes) -> None:
    for broken in (value, [value], json.loads(pause), {"failed": value}, {"target": value}, {"offset": value}):
        record = json.dumps({**JOB_FIELDS, part: broken}).encode()
        assert isinstance(state.decode_job("invoices", record, "kadence"), state.JobRecord | Rejected)


@given(st.binary(max_size=30) | json_values.map(lambda value: json.dumps(value).encode()) | damaged(HOLD_FIELDS))
def test_no_hold_record_raises(value: bytes) -> None:
    state.decode_hold("freeze", value)


@given(st.binary(max_size=30) | json_values.map(lambda value: json.dumps(value).encode()) | damaged(CURSOR_FIELDS))
def test_no_cursor_or_barrier_raises(value: bytes) -> None:
    assert isinstance(state.decode_cursor(value), state.CursorRecord | Rejected)
    assert state.barrier_nonce(value) is None or b"nonce" in value


def test_bounds_from_before_any_time_that_can_be_written_survive_a_round_trip() -> None:
    job = Job("a")
    job.floor = -(10**12)
    job.owed = (Owed(Timing(Every(1000)), 5, golden.NINE, Stage.RUNNING),)
    read = state.decode_job("a", state.encode_job(job), "kadence")
    assert isinstance(read, state.JobRecord)
    assert (read.job.floor, read.job.owed) == (0, (Owed(Timing(Every(1000)), 0, golden.NINE, Stage.RUNNING),))


def test_a_cursor_that_names_500_of_the_longest_errors_fits_a_record_and_is_read_back() -> None:
    errors = tuple((offset, str(InvalidError("\x01" * 10_000))) for offset in range(500))
    record = state.CursorRecord(golden.NINE, None, 500, "id", 0, "w", "2026f", errors)
    value = state.encode_cursor(record)
    assert len(value) < 1_000_000, "librdkafka's message.max.bytes"
    assert state.decode_cursor(value) == record


@pytest.mark.parametrize("part", ["pause", "rejected"])
def test_an_offset_of_another_type_is_not_read_as_one(part: str) -> None:
    record = {**JOB_FIELDS, part: {**JOB_FIELDS[part], "offset": "9"}}
    read = state.decode_job("invoices", json.dumps(record).encode(), "kadence")
    assert isinstance(read, Rejected)
    assert "whole number" in read.error


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("control", "9"),
        ("outcomes", 1.5),
        ("after", 7),
        ("control", True),
        ("control", -5),
        ("outcomes", 10**30),
        ("through", None),
    ],
)
def test_a_cursor_with_a_field_of_another_type_is_no_cursor(field: str, value: object) -> None:
    assert isinstance(state.decode_cursor(json.dumps({**CURSOR_FIELDS, field: value}).encode()), Rejected)
