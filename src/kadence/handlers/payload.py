"""The type that a handler declares its payload as, and reading an execution's bytes into it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kadence.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import TypeAdapter, ValidationError

_JSON: Final = "application/json"
_EACH: Final = 5


class InvalidPayloadError(Exception):
    """The bytes are no value of the type; ``str(error)`` says where and why, and quotes nothing of them."""


@dataclass(frozen=True, slots=True)
class Payload:
    """A declared type; without ``adapter``: any JSON."""

    type: object = Any
    adapter: TypeAdapter[Any] | None = None

    def read(self, value: bytes | None, headers: Mapping[str, bytes]) -> object:
        """The payload of an execution; a record without a value is JSON's null.

        JSON is validated into the type (pydantic's lax mode). What the content type does not call JSON is handed on
        as it is where the type allows: as bytes, or as text. Raises `InvalidPayloadError`, and whatever a validator
        of the user's raises.
        """
        if self.type is bytes:
            return value or b""
        value = b"null" if value is None else value
        if (self.type is str or self.adapter is None) and not _is_json(headers):
            return _text(value, strict=self.adapter is not None)
        if self.adapter is None:
            return _any(value)
        from pydantic_core import ValidationError  # noqa: PLC0415  loaded already, for the adapter

        try:
            return self.adapter.validate_json(value)
        except ValidationError as error:
            raise InvalidPayloadError(_explain(error)) from None


ANYTHING: Final = Payload()


def payload_of(name: str, kind: Any) -> Payload:  # noqa: ANN401  a type, in any of the forms that types have
    """The payload type of job ``name``'s handler. Raises `ConfigurationError` for one that pydantic cannot read.

    Raises NameError where it refers to a type that is not defined (yet).
    """
    if kind is Any:
        return ANYTHING
    from pydantic import PydanticUserError, TypeAdapter  # noqa: PLC0415  apps without payload types need none of it

    try:
        adapter = TypeAdapter(kind)
        if not adapter.pydantic_complete:  # a field's type is not defined yet
            adapter.rebuild(raise_errors=True)
        return Payload(kind, adapter)
    except PydanticUserError as error:
        why = str(error).splitlines()[0].rstrip(".")
        raise ConfigurationError(
            f"job {name}: the payload of its handler cannot be read as {shown(kind)}: {why}; declare a dataclass, a "
            "pydantic model, a TypedDict or a type of Python's own"
        ) from error


def shown(kind: object) -> str:
    """A type's name for messages."""
    return kind.__name__ if isinstance(kind, type) else str(kind)


def _is_json(headers: Mapping[str, bytes]) -> bool:
    if headers.get("content-type") == b"application/json":  # as kadence writes it
        return True
    given = next((value for name, value in headers.items() if name.lower() == "content-type"), b"")
    kind = given.decode("latin-1").partition(";")[0].strip().lower()
    return kind == _JSON or kind.endswith("+json")


def _text(value: bytes, *, strict: bool) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        if strict:
            raise InvalidPayloadError(f"it is not UTF-8 text (byte {error.start})") from None
        return value


def _any(value: bytes) -> object:
    if value == b"null":
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        why = f" ({error.msg}, byte {error.pos})" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidPayloadError(f"it is not JSON{why}") from None


def _explain(error: ValidationError) -> str:
    """What is wrong, field by field, in one sentence."""
    wrong = error.errors(include_url=False, include_context=False, include_input=False)
    told = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}".removeprefix(": ") for one in wrong[:_EACH]]
    more = f"; and {len(wrong) - _EACH} more" if len(wrong) > _EACH else ""
    return f"it is not a valid {error.title}: {'; '.join(told)}{more}"
