"""Reading a JSON object field by field: one table of readers per object, unknown names answered with the nearest."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

from kadence.domain.duration import parse_duration, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MAX_TEXT: Final = 1_000
"""Characters of ``by`` and ``reason``."""
_MAX_DESCRIPTION: Final = 10_000


MAX_ERROR: Final = 300
"""Characters of an error. It stands in the cursor beside those of a whole transaction, so it quotes no 200 KB name."""


class InvalidError(ValueError):
    """A value breaks the contract; ``str(error)`` names the field and what it takes, in at most `MAX_ERROR`."""

    def __init__(self, message: str) -> None:
        super().__init__(message if len(message) <= MAX_ERROR else f"{message[: MAX_ERROR - 1]}…")


def read_fields(document: object, readers: Mapping[str, Callable[[object], object]], what: str) -> dict[str, object]:
    """Read each field that is present with its reader; a null is as good as absent.

    Raises `InvalidError` for a value that is not an object, an unknown field (naming the nearest known one) and
    whatever a reader refuses (prefixed with the field's name).
    """
    if not isinstance(document, dict):
        msg = f"{what} must be a JSON object, not {kind_of(document)}"
        raise InvalidError(msg)
    values: dict[str, object] = {}
    for name, raw in document.items():
        reader = readers.get(name)
        if reader is None:
            raise InvalidError(unknown_field(name, readers, what))
        if raw is None:
            continue
        try:
            values[name] = reader(raw)
        except ValueError as error:
            msg = f"{name}: {error}"
            raise InvalidError(msg) from None
    return values


def unknown_field(name: str, known: Iterable[str], what: str) -> str:
    """One sentence: the field is not known, and which one was probably meant."""
    near = difflib.get_close_matches(name[:64], list(known), n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else f"; it takes {', '.join(sorted(known))}"
    return f"unknown field {name[:64]!r} in {what}{hint}"


def kind_of(value: object) -> str:
    """The JSON name of a value's type, for messages."""
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")


def text(value: object) -> str:
    """A string of at most 1,000 characters."""
    if not isinstance(value, str):
        msg = f"must be a string, not {kind_of(value)}"
        raise InvalidError(msg)
    if len(value) > MAX_TEXT:
        msg = f"has {len(value)} characters; the most is {MAX_TEXT}"
        raise InvalidError(msg)
    return value


def long_text(value: object) -> str:
    """A string of at most 10,000 characters."""
    if not isinstance(value, str):
        msg = f"must be a string, not {kind_of(value)}"
        raise InvalidError(msg)
    if len(value) > _MAX_DESCRIPTION:
        msg = f"has {len(value)} characters; the most is {_MAX_DESCRIPTION}"
        raise InvalidError(msg)
    return value


def boolean(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        msg = f"must be true or false, not {kind_of(value)}"
        raise InvalidError(msg)
    return value


def integer(least: int, most: int) -> Callable[[object], int]:
    """A reader of whole numbers within [least, most]."""

    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            msg = f"must be a whole number from {least} to {most}"
            raise InvalidError(msg)
        return value

    return read


def number(least: float, most: float) -> Callable[[object], float]:
    """A reader of numbers within [least, most]."""

    def read(value: object) -> float:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not least <= value <= most:
            msg = f"must be a number from {least:g} to {most:g}"
            raise InvalidError(msg)
        return float(value)

    return read


def choice(*options: str) -> Callable[[object], str]:
    """A reader of one of a few words."""

    def read(value: object) -> str:
        for option in options:
            if value == option:
                return option
        msg = f"must be one of {', '.join(options)}"
        raise InvalidError(msg)

    return read


def duration(value: object) -> int:
    """A duration of the contract, in ms."""
    return parse_duration(value)


def positive_duration(value: object) -> int:
    """A duration of at least 1 ms, in ms."""
    length = parse_duration(value)
    if length <= 0:
        msg = "must be longer than nothing"
        raise InvalidError(msg)
    return length


def time(value: object) -> int:
    """A time of the contract, in ms since the epoch."""
    return parse_time(value)
