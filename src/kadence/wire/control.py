"""Control records: key and value bytes to a `Change`, and wishes to bytes for whoever writes them.

`decode` is total: what cannot be read is a `Change` whose wish is `Rejected`, never an exception.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from kadence.domain import fields as read
from kadence.domain.duration import format_duration, format_time
from kadence.domain.fields import InvalidError, read_fields
from kadence.domain.holds import parse_hold
from kadence.domain.names import command_id, job_name
from kadence.domain.spec import compact_json, json_payload, parse_spec, policy
from kadence.domain.stimulus import (
    Backfill,
    CancelCommand,
    Change,
    DeleteJob,
    LiftPause,
    PauseJob,
    PutHold,
    PutJob,
    Rejected,
    ReleaseHold,
    ResumeJob,
    Skip,
    Trigger,
    Wish,
)
from kadence.wire import strict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kadence.domain.spec import Payload

VERSION: Final = 1
EXCERPT: Final = 1024
KINDS: Final = ("job", "pause", "hold", "trigger", "skip", "backfill", "barrier")
COMMANDS: Final = frozenset({"trigger", "skip", "backfill"})
_MAX_COUNT: Final = 2**53


def split_key(key: bytes | None) -> tuple[str, str, str]:
    """(kind, name, id) of a control key; id is empty for kinds without one. Raises `InvalidError`."""
    if key is None:
        msg = "the record has no key; give <kind>/<name>"
        raise InvalidError(msg)
    try:
        text = key.decode()
    except UnicodeDecodeError:
        msg = "the key is not UTF-8"
        raise InvalidError(msg) from None
    kind, _, rest = text.partition("/")
    if kind not in KINDS:
        msg = f"{text[:64]!r} is no control key: it starts with one of {', '.join(f'{kind}/' for kind in KINDS)}"
        raise InvalidError(msg)
    name, slash, id_ = rest.partition("/")
    if kind == "barrier":
        return kind, rest, ""
    job_name(name)
    if (kind in COMMANDS) != bool(slash):
        form = f"{kind}/<name>/<id>" if kind in COMMANDS else f"{kind}/<name>"
        msg = f"{text[:64]!r} is no control key: a {kind} record's is {form}"
        raise InvalidError(msg)
    return kind, name, id_


def decode(key: bytes | None, value: bytes | None, offset: int, timestamp: int, namespace: str) -> Change:
    """The change that a record asks for; one that cannot be read asks for nothing, and says why."""
    excerpt = (value or b"")[:EXCERPT]
    try:
        kind, name, id_ = split_key(key)
    except InvalidError as error:
        return Change(offset, timestamp, "", "", Rejected(str(error), (key or b"")[:EXCERPT] + b" " + excerpt))
    if kind == "barrier":
        return Change(offset, timestamp, kind, name, Rejected("a barrier is its worker's own"))
    try:
        if kind in COMMANDS:
            command_id(id_)
    except InvalidError as error:  # which may be as long as the key: it is not repeated
        return Change(offset, timestamp, kind, name, Rejected(str(error), excerpt))
    try:
        if value is None:
            return Change(offset, timestamp, kind, name, _absent(kind, id_), id=id_)
        envelope, body = _open(strict.loads(value))
        wish = _WISHES[kind](name, id_, body, namespace)
    except InvalidError as error:
        return Change(offset, timestamp, kind, name, Rejected(str(error), excerpt), id=id_)
    return Change(offset, timestamp, kind, name, wish, id=id_, **envelope)  # type: ignore[arg-type]  # read by _ENVELOPE


def _absent(kind: str, id_: str) -> Wish:
    match kind:
        case "job":
            return DeleteJob()
        case "pause":
            return LiftPause()
        case "hold":
            return ReleaseHold()
        case _:
            return CancelCommand(id_)


_ENVELOPE: Final[Mapping[str, Callable[[object], object]]] = {
    "by": read.text,
    "reason": read.text,
    "if_offset": read.integer(-1, _MAX_COUNT),
}


def _open(document: object) -> tuple[dict[str, object], dict[str, object]]:
    """Split a value into what every record may carry and what its kind means by the rest."""
    if not isinstance(document, dict):
        msg = f"the value must be a JSON object, not {read.kind_of(document)}"
        raise InvalidError(msg)
    body = dict(document)
    version = body.pop("v", VERSION)
    if version != VERSION or isinstance(version, bool):
        msg = f"v: this worker knows contract version {VERSION}, not {str(version)[:20]}"
        raise InvalidError(msg)
    envelope = read_fields({name: body.pop(name) for name in _ENVELOPE if name in body}, _ENVELOPE, "a record")
    return envelope, body


def _job(name: str, _id: str, body: dict[str, object], namespace: str) -> Wish:
    return PutJob(parse_spec(name, body, namespace))


def _pause(_name: str, _id: str, body: dict[str, object], _namespace: str) -> Wish:
    found = read_fields(
        body,
        {"paused": read.boolean, "until": read.time, "catch_up": policy, "spread": read.duration},
        "a pause",
    )
    if "paused" not in found:
        msg = "paused is missing: true pauses, false resumes"
        raise InvalidError(msg)
    others = ("catch_up", "spread") if found["paused"] else ("until",)
    wrong = next((field for field in others if field in found), None)
    if wrong is not None:
        msg = f"{wrong}: does not go with paused: {str(found['paused']).lower()}"
        raise InvalidError(msg)
    paused = found.pop("paused")
    return PauseJob(**found) if paused else ResumeJob(**found)  # type: ignore[arg-type]  # read above


def _hold(_name: str, _id: str, body: dict[str, object], _namespace: str) -> Wish:
    return PutHold(parse_hold(body))


def _trigger(_name: str, id_: str, body: dict[str, object], _namespace: str) -> Wish:
    payload = cast("Payload | None", read_fields(body, {"payload": json_payload}, "a trigger").get("payload"))
    if payload is None:
        return Trigger(id_, b"null" if "payload" in body else None)
    return Trigger(id_, payload.data)


def _skip(_name: str, id_: str, body: dict[str, object], _namespace: str) -> Wish:
    found = read_fields(body, {"count": read.integer(1, _MAX_COUNT)}, "a skip")
    if "count" not in found:
        msg = "count is missing: how many due times to leave out"
        raise InvalidError(msg)
    return Skip(id_, cast("int", found["count"]))


def _backfill(_name: str, id_: str, body: dict[str, object], _namespace: str) -> Wish:
    found = read_fields(
        body, {"start": read.time, "end": read.time, "rate": read.number(0.001, 1_000_000)}, "a backfill"
    )
    if not {"start", "end"} <= found.keys():
        msg = "start and end are both needed: every due time in [start, end) is run"
        raise InvalidError(msg)
    if cast("int", found["end"]) <= cast("int", found["start"]):
        msg = "end: must be later than start"
        raise InvalidError(msg)
    return Backfill(id_, **found)  # type: ignore[arg-type]  # read above


_WISHES: Final[Mapping[str, Callable[[str, str, dict[str, object], str], Wish]]] = {
    "job": _job,
    "pause": _pause,
    "hold": _hold,
    "trigger": _trigger,
    "skip": _skip,
    "backfill": _backfill,
}


def key_of(kind: str, name: str, id_: str | None = None) -> bytes:
    """The key under which a wish is written."""
    return f"{kind}/{name}".encode() if id_ is None else f"{kind}/{name}/{id_}".encode()


def encode(
    wish: Wish, *, by: str | None = None, reason: str | None = None, if_offset: int | None = None
) -> bytes | None:
    """The value of a control record; None is a tombstone. A `Rejected` has no encoding: ValueError."""
    body: dict[str, object]
    match wish:
        case PutJob(spec):
            body = spec.document()
        case PauseJob(until):
            body = {"paused": True} if until is None else {"paused": True, "until": format_time(until)}
        case ResumeJob(catch_up, spread):
            body = {"paused": False}
            body |= {"catch_up": catch_up} if catch_up is not None else {}
            body |= {"spread": format_duration(spread)} if spread else {}
        case PutHold(hold):
            body = hold.document()
        case Trigger(_, payload):
            body = {} if payload is None else {"payload": strict.loads(payload)}
        case Skip(_, count):
            body = {"count": count}
        case Backfill(_, start, end, rate):
            body = {"start": format_time(start), "end": format_time(end), "rate": rate}
        case DeleteJob() | LiftPause() | ReleaseHold() | CancelCommand():
            return None
        case Rejected():
            msg = "a rejected record has no encoding"
            raise ValueError(msg)
    extra = {"by": by, "reason": reason, "if_offset": if_offset}
    return compact_json({**body, **{name: value for name, value in extra.items() if value is not None}})
