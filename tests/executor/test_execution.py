"""Reading executions: what a worker writes, and anything else."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadence.domain.firing import read_firing
from kadence.executor.execution import read_execution
from kadence.log.port import Record

_HEADERS: Final = {
    "ce_type": b"kadence.execution.v1",
    "ce_id": b"tick@2026-11-23T09:00:00Z",
    "ce_subject": b"tick",
    "ce_time": b"2026-11-23T09:00:00Z",
    "kadence-app": b"billing",
}


def _record(**headers: bytes | None) -> Record:
    given = {**_HEADERS, **{name if name == "x" else f"ce_{name}": value for name, value in headers.items()}}
    return Record("ns.executions", 3, 7, 99, b"tick", b"{}", tuple((n, v) for n, v in given.items() if v is not None))


def test_the_first_firing_of_a_due_time() -> None:
    found = read_execution(_record())
    assert found is not None
    assert (found.id, found.firing.job, found.firing.n) == ("tick@2026-11-23T09:00:00Z", "tick", 1)
    assert (found.due, found.attempt, found.cause, found.expires) == (1_795_424_400_000, 1, "schedule", None)
    assert (found.app, found.value, found.partition, found.offset, found.timestamp) == ("billing", b"{}", 3, 7, 99)
    assert found.firing == read_firing(found.id)


def test_a_retry_of_a_triggered_run() -> None:
    found = read_execution(_record(id=b"tick!now#2", cause=b"retry", attempt=b"2", expirytime=b"2026-11-23T09:01:00Z"))
    assert found is not None
    assert (found.id, found.firing.run, found.firing.n) == ("tick!now#2", "tick!now", 2)
    assert (found.attempt, found.cause, found.expires) == (2, "retry", 1_795_424_460_000)


@pytest.mark.parametrize(
    "headers",
    [
        {"type": b"other"},
        {"type": None},
        {"id": None},
        {"time": None},
        {"id": b"tock@2026-11-23T09:00:00Z"},
        {"subject": b"no name", "id": b"no name@2026-11-23T09:00:00Z"},
        {"time": b"2026-11-23T09:00:00.000Z", "id": b"tick@2026-11-23T09:00:00.000Z"},
        {"time": b"yesterday"},
        {"id": b"\xff"},
        {"attempt": b"many"},
        {"expirytime": b"soon"},
    ],
)
def test_what_is_none_of_ours(headers: dict[str, bytes | None]) -> None:
    assert read_execution(_record(**headers)) is None


@given(headers=st.dictionaries(st.sampled_from(["id", "type", "subject", "time", "attempt", "cause"]), st.binary()))
def test_no_bytes_raise(headers: dict[str, bytes]) -> None:
    read_execution(_record(**headers))
