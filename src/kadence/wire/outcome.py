"""Outcome records: how a firing of a run went, as executors in any language report it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, cast

from kadence.domain import fields as read
from kadence.domain.duration import format_time
from kadence.domain.fields import InvalidError, read_fields
from kadence.domain.names import job_name
from kadence.domain.spec import compact_json
from kadence.domain.stimulus import BadOutcome, Failure, Outcome, Rejected
from kadence.wire import strict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Status = Literal["started", "succeeded", "failed", "cancelled", "expired", "snoozed"]
STATUSES: Final = ("started", "succeeded", "failed", "cancelled", "expired", "snoozed")
FINAL: Final = frozenset(STATUSES) - {"started"}
"""Those that end a firing."""
MAX_TYPE: Final = 200
MAX_MESSAGE: Final = 2_000
MAX_TRACEBACK: Final = 16_000
"""Characters of an error's parts; longer ones are cut, a traceback in its middle, as both its ends say most."""
_EXCERPT: Final = 1024


def _error(value: object) -> Failure:
    if not isinstance(value, dict):
        msg = f"must be an object with type, message and traceback, not {read.kind_of(value)}"
        raise InvalidError(msg)
    given = {name: str(value[name]) for name in ("type", "message", "traceback") if value.get(name)}
    return failure(given.get("type", ""), given.get("message", ""), given.get("traceback", ""))


def failure(type_: str, message: str = "", traceback: str = "") -> Failure:
    """An error within the bounds of an outcome, and of UTF-8: a file's name may hold what that has no bytes for."""
    parts = type_[:MAX_TYPE], message[:MAX_MESSAGE], _middle_out(traceback)
    return Failure(*(part.encode("utf-8", "backslashreplace").decode() for part in parts))


def _middle_out(text: str) -> str:
    if len(text) <= MAX_TRACEBACK:
        return text
    half = MAX_TRACEBACK // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


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
        cast("Failure | None", found.get("error")),
        cast("int | None", found.get("started_at")),
        cast("int | None", found.get("finished_at")),
        cast("int | None", found.get("until")),
        cast("str | None", found.get("executor")),
    )


def _read(value: bytes) -> dict[str, object]:
    found = read_fields(strict.loads(value), _READERS, "an outcome")
    if not {"id", "status"} <= found.keys():
        msg = "id and status are both needed"
        raise InvalidError(msg)
    return found


def encode(  # noqa: PLR0913  an outcome has this many parts, all but two optional
    id_: str,
    status: Status,
    *,
    error: Failure | None = None,
    started_at: int | None = None,
    finished_at: int | None = None,
    until: int | None = None,
    executor: str | None = None,
    result: object = None,
) -> bytes:
    """The value of an outcome record; its key is the job's name. Times in ms since the epoch.

    Raises ValueError for a ``result`` that JSON does not have.
    """
    body: dict[str, object] = {"id": id_, "status": status}
    times = {"started_at": started_at, "finished_at": finished_at, "until": until}
    body |= {name: format_time(time) for name, time in times.items() if time is not None}
    if error is not None:
        parts = {"type": error.type, "message": error.message, "traceback": error.traceback}
        body["error"] = {name: text for name, text in parts.items() if text}
    body |= {name: value for name, value in (("executor", executor), ("result", result)) if value is not None}
    return compact_json(body)
