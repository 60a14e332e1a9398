"""Control records to be written, checked before they are: what a worker would reject, nobody gets to write.

Times are aware datetimes or RFC 3339 text, durations timedeltas or text such as ``"1h30m"``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from kadence.domain import plain
from kadence.domain.fields import InvalidError
from kadence.domain.names import job_name
from kadence.domain.spec import JobSpec, compact_json
from kadence.domain.stimulus import Rejected
from kadence.errors import InvalidSpecError
from kadence.wire import control

if TYPE_CHECKING:
    from kadence.domain.stimulus import Wish

Time = datetime | str
Spec = JobSpec | Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Command:
    """One control record: bytes as they will be written, and the job or hold that they are about."""

    kind: str
    name: str
    key: bytes
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Signature:
    """Who writes a record, why, and on top of which one (an offset; -1: none; None: whichever)."""

    by: str | None = None
    reason: str | None = None
    if_offset: int | None = None

    def fields(self) -> dict[str, object]:
        """Those that are given, as the contract names them."""
        given = {"by": self.by, "reason": self.reason, "if_offset": self.if_offset}
        return {name: value for name, value in given.items() if value is not None}


NOBODY = Signature()


def put(name: str, spec: Spec, namespace: str, signature: Signature = NOBODY) -> Command:
    """``job/<name>`` with the definition as it was given, so that a person finds in the log what they wrote."""
    document = spec.document() if isinstance(spec, JobSpec) else spec
    if not isinstance(document, Mapping):
        raise InvalidSpecError(f"job {name}: a job must be a mapping such as {{'schedule': {{'every': '30s'}}}}")
    try:
        value = compact_json({**_plain_mapping(document), **signature.fields()})
    except (TypeError, ValueError) as error:
        raise InvalidSpecError(f"job {name}: it does not fit into JSON: {error}") from error
    return _checked("job", name, control.key_of("job", name), value, namespace)


def wish(
    kind: str, name: str, wanted: Wish, namespace: str, signature: Signature = NOBODY, id_: str | None = None
) -> Command:
    """The record for a wish that the domain has a value for."""
    value = control.encode(wanted, by=signature.by, reason=signature.reason, if_offset=signature.if_offset)
    return _checked(kind, name, control.key_of(kind, name, id_), value, namespace)


def document(
    kind: str, name: str, body: Mapping[str, object], namespace: str, signature: Signature = NOBODY
) -> Command:
    """The record for a value in the contract's JSON."""
    value = compact_json({**_plain_mapping(body), **signature.fields()})
    return _checked(kind, name, control.key_of(kind, name), value, namespace)


def _checked(kind: str, name: str, key: bytes, value: bytes | None, namespace: str) -> Command:
    """Read the record as a worker will; a bad name would only look like a bad key to it."""
    try:
        job_name(name)
    except InvalidError as error:
        raise InvalidSpecError(str(error)) from error
    change = control.decode(key, value, 0, 0, namespace)
    if isinstance(change.wish, Rejected):
        raise InvalidSpecError(f"{kind} {name}: {change.wish.error}")
    return Command(kind, name, key, value)


def _plain_mapping(value: Mapping[str, object]) -> dict[str, object]:
    try:
        return plain.plain_mapping(value)
    except InvalidError as error:
        raise InvalidSpecError(str(error)) from error


def instant(time: Time) -> int:
    """A time in ms since the epoch. Raises `InvalidSpecError`."""
    try:
        return plain.instant(time)
    except InvalidError as error:
        raise InvalidSpecError(str(error)) from error


def length(duration: timedelta) -> int:
    """A duration in ms. Raises `InvalidSpecError`."""
    try:
        return plain.length(duration)
    except InvalidError as error:
        raise InvalidSpecError(str(error)) from error


def until(end: Time | timedelta | None, start: int) -> int | None:
    """An end in ms since the epoch; a timedelta counts from ``start``."""
    if end is None:
        return None
    return start + length(end) if isinstance(end, timedelta) else instant(end)
