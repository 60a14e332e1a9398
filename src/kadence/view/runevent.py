"""Events that tell of a run's end, where only its shard's owner decides it: ``job.run_failed`` and ``job.run_lost``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kadence.domain.fields import InvalidError
from kadence.domain.firing import read_firing
from kadence.domain.run import RunStatus
from kadence.domain.stimulus import Failure
from kadence.wire import strict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kadence.log.port import Record

_KINDS: Final[Mapping[bytes, RunStatus | None]] = {
    b"kadence.job.run_failed.v1": None,
    b"kadence.job.run_lost.v1": RunStatus.LOST,
}


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended and when (broker time, ms). ``status`` None: it failed, or timed out; the event does not say."""

    run: str
    at: int
    status: RunStatus | None
    attempts: int | None = None
    error: str | None = None


def read_run_end(record: Record) -> RunEnd | None:
    """The end of a run that an event record tells of; None for any other, and for what cannot be read."""
    kind = next((value for name, value in record.headers if name == "ce_type"), b"")
    if kind not in _KINDS:
        return None
    try:
        found = strict.loads(record.value or b"null", own=True)
    except InvalidError:
        return None
    if not isinstance(found, dict) or not isinstance(run := found.get("run"), str):
        return None
    about = read_firing(run)
    if about is None or about.n > 1:
        return None
    attempts, told = found.get("attempts"), found.get("status")
    status = _KINDS[kind] or next((one for one in (RunStatus.FAILED, RunStatus.TIMED_OUT) if one == told), None)
    return RunEnd(run, record.timestamp, status, attempts if type(attempts) is int else None, _line(found.get("error")))


def _line(error: object) -> str | None:
    """The error in one line; the contract gives an object, and a text is as clear."""
    match error:
        case str():
            return Failure("", error).line or None
        case {"type": str(kind), "message": str(message)}:
            return Failure(kind, message).line or None
        case {"type": str(kind)}:
            return Failure(kind).line or None
        case {"message": str(message)}:
            return Failure("", message).line or None
        case _:
            return None
