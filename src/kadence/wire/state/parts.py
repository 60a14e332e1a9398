"""What state records are made of: how times stand in them, and readers that refuse a value of another type."""

from __future__ import annotations

from typing import Final

from kadence.domain.duration import FIRST_INSTANT, format_time, parse_time
from kadence.domain.fields import InvalidError, integer, kind_of

Document = dict[str, object]


def present(document: Document) -> Document:
    """The document without what is None or an empty list."""
    return {name: value for name, value in document.items() if value is not None and value != []}


def written(instant: int | None) -> str | None:
    """An instant (ms) as text."""
    return None if instant is None else format_time(instant)


def bound(value: int) -> str | None:
    """A lower bound of due times; one before any time that can be written bounds nothing."""
    return format_time(value) if value >= FIRST_INSTANT else None


def instant(value: object) -> int:
    """An instant (ms); 0 where there is none."""
    return 0 if value is None else parse_time(value)


def optional_instant(value: object) -> int | None:
    """An instant (ms), or None."""
    return None if value is None else parse_time(value)


def text(value: object) -> str:
    """A string."""
    if not isinstance(value, str):
        msg = f"a string was expected, not {kind_of(value)}"
        raise InvalidError(msg)
    return value


def optional_text(value: object) -> str | None:
    """A string, or None."""
    return None if value is None else text(value)


whole: Final = integer(-1, 2**63 - 1)
"""A reader of whole numbers; -1 is the offset of what is not there."""
offset: Final = integer(0, 2**63 - 1)
"""A reader of offsets."""


def read_object(value: object) -> Document:
    """A JSON object."""
    if not isinstance(value, dict):
        msg = f"an object was expected, not {kind_of(value)}"
        raise InvalidError(msg)
    return value


def read_list(value: object) -> list[object]:
    """A JSON array; None is an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        msg = f"a list was expected, not {kind_of(value)}"
        raise InvalidError(msg)
    return value


def explained(error: ValueError | KeyError) -> str:
    """What is wrong with a record, in words."""
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
