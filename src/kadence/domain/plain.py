"""Python's own times and durations as the contract writes them: for specs that are written in Python."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from kadence.domain.duration import format_duration, format_time, parse_time
from kadence.domain.fields import InvalidError

_ZERO = timedelta(0)


def plain(value: object) -> object:
    """The same value with datetimes and timedeltas as the contract's text, at any depth, and tuples as lists.

    Raises `InvalidError` for a time without a zone, a time outside the contract's years and a negative duration.
    """
    match value:
        case datetime():
            return format_time(instant(value))
        case timedelta():
            return format_duration(length(value))
        case Mapping():
            return plain_mapping(value)
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return value


def plain_mapping(value: Mapping[str, object]) -> dict[str, object]:
    """`plain` for each value of a mapping."""
    return {name: plain(item) for name, item in value.items()}


def instant(time: datetime | str) -> int:
    """A time in ms since the epoch. Raises `InvalidError`."""
    if isinstance(time, datetime):
        if time.tzinfo is None:
            msg = f"the time {time} has no time zone; give an aware datetime"
            raise InvalidError(msg)
        time = time.isoformat(timespec="milliseconds")
    try:
        return parse_time(time)
    except ValueError as error:
        raise InvalidError(str(error)) from error


def length(duration: timedelta) -> int:
    """A duration in ms. Raises `InvalidError`."""
    if duration < _ZERO:
        msg = f"the duration {duration} must not be negative"
        raise InvalidError(msg)
    return duration // timedelta(milliseconds=1)
