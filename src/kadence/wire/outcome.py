"""Outcome records: how a firing of a run went, as executors in any language report it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from kadence.domain import fields as read
from kadence.domain.duration import format_time
from kadence.domain.fields import InvalidError, read_fields
from kadence.domain.names import job_name
from kadence.domain.spec import compact_json
from kadence.domain.stimulus import BadOutcome, Outcome, Rejected
from kadence.wire import strict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

STATUSES: Final = ("started", "succeeded", "failed", "cancelled", "expired", "snoozed")
_EXCERPT: Final = 1024
_LINE: Final = 500


def _error(value: object) -> str:
    """One line that says what went wrong: ``type: message``."""
    if not isinstance(value, dict):
        msg = f"must be an object with type, message and traceback, not {read.kind_of(value)}"
        raise InvalidError(msg)
    parts = [str(value[name]) for name in ("type", "message") if value.get(name)]
    return " ".join(": ".join(parts).split())[:_LINE]


def _anything(value: object) -> object:
    return value


_READERS: Final[Mapping[str, Callable[[object], object]]] = {
    "v": read.integer(1, 1),
    "id": read.text,
    "status": read.choice(*STATUSES),
    "started_at": read.time,
    "finished_at": read.time,
    "until": read.time,
    "error": _error,
    "executor": read.text,
    "result": _anything,
}


def decode(key: bytes | None, value: bytes | None, offset: int, timestamp: int) -> Outcome | BadOutcome:
    """The outcome in a record, or why there is none."""
    name = (key or b"").decode("utf-8", "replace")
    try:
        job_name(name)
        found = _read(value or b"null")
    except InvalidError as error:
        return BadOutcome(offset, timestamp, name[:200], Rejected(str(error), (value or b"")[:_EXCERPT]))
    return Outcome(
        offset,
        timestamp,
        name,
        cast("str", found["id"]),
        cast("str", found["status"]),
        cast("str | None", found.get("error")),
    )


def _read(value: bytes) -> dict[str, object]:
    found = read_fields(strict.loads(value), _READERS, "an outcome")
    if not {"id", "status"} <= found.keys():
        msg = "id and status are both needed"
        raise InvalidError(msg)
    return found


def encode(id_: str, status: str, *, error: Mapping[str, str] | None = None, finished_at: int | None = None) -> bytes:
    """The value of an outcome record."""
    body: dict[str, object] = {"id": id_, "status": status}
    if finished_at is not None:
        body["finished_at"] = format_time(finished_at)
    if error is not None:
        body["error"] = dict(error)
    return compact_json(body)
