"""Durations and times as the contract writes them, to and from whole milliseconds.

A duration is ``"250ms"``, ``"30s"``, ``"1h30m"``, ``"7d"``, ISO 8601 (``"PT30S"``, ``"P1DT2H"``) or a number
of seconds. A time is RFC 3339 with an offset, in the years 2000 to 2199. Nothing here reads a clock.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Final

FIRST_INSTANT: Final = 946_684_800_000
"""2000-01-01T00:00:00Z, the first instant a specification may name (ms)."""
END_INSTANT: Final = 7_258_118_400_000
"""2200-01-01T00:00:00Z, the first instant that no specification may name (ms)."""
LONGEST: Final = END_INSTANT - FIRST_INSTANT
"""The longest duration (ms): the 200 years that times can span."""

_UNITS: Final = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_NUMBER: Final = r"[0-9]{1,18}(?:[.,][0-9]{1,9})?"
_TEXT: Final = re.compile(
    rf"(?:({_NUMBER})d)?(?:({_NUMBER})h)?(?:({_NUMBER})m)?(?:({_NUMBER})s)?(?:({_NUMBER})ms)?", re.ASCII
)
_ISO: Final = re.compile(
    rf"P(?:({_NUMBER})D)?(?:T(?=[0-9])(?:({_NUMBER})H)?(?:({_NUMBER})M)?(?:({_NUMBER})S)?)?", re.ASCII
)
_ISO_WEEKS: Final = re.compile(rf"P({_NUMBER})W", re.ASCII)
_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_LONGEST_TEXT: Final = 80  # longer texts are refused before any pattern or big number sees them
_FORMS: Final = 'write "250ms", "30s", "1h30m", "7d", ISO 8601 like "PT30S", or a number of seconds'


def parse_duration(value: object) -> int:
    """Return the duration ``value`` in ms.

    Raises ValueError (one sentence) if it is no duration, negative, longer than 200 years or finer than 1 ms.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        # One error for every bad value, of whatever type: the value comes from a JSON document.
        raise ValueError(f"a duration must be a text or a number of seconds: {_FORMS}")  # noqa: TRY004
    exact = _exact_text(value) if isinstance(value, str) else _exact_number(value)
    if exact < 0:
        raise ValueError(f"the duration {_shown(value)} must not be negative")
    if exact > LONGEST:
        raise ValueError("a duration must not be longer than 200 years")
    whole = int(exact)
    if whole != exact:
        raise ValueError(f"the duration {_shown(value)} must be a whole number of milliseconds")
    return whole


def _exact_number(value: float) -> Decimal:
    """Seconds to ms without binary rounding: 0.1 is 100 ms although no float is a tenth."""
    if not abs(value) <= LONGEST // 1000:  # so put, it refuses NaN too
        raise ValueError("a duration must be a finite number of seconds, not longer than 200 years")
    return Decimal(str(value)) * 1000


def _exact_text(value: str) -> Decimal:
    text = value if len(value) <= _LONGEST_TEXT else ""
    sign = -1 if text.startswith("-") else 1
    text = text.removeprefix("-")
    if match := _ISO_WEEKS.fullmatch(text):
        return sign * _decimal(match[1]) * 7 * _UNITS["d"]
    match = _ISO.fullmatch(text) or _TEXT.fullmatch(text)
    if match is None or not any(match.groups()):
        raise ValueError(f"{_shown(value)} is not a duration: {_FORMS}")
    parts = zip(match.groups("0"), _UNITS.values(), strict=False)  # ISO has no unit for milliseconds
    return sign * sum((_decimal(part) * unit for part, unit in parts), Decimal(0))


def _decimal(text: str) -> Decimal:
    return Decimal(text.replace(",", "."))


def format_duration(duration: int) -> str:
    """Return ``duration`` (ms, not negative) in its canonical, shortest form: ``"1h30m"``, ``"0s"``."""
    if duration < 0:
        raise ValueError(f"a duration must not be negative: {duration} ms")
    text, rest = "", duration
    for unit, size in _UNITS.items():
        number, rest = divmod(rest, size)
        if number:
            text += f"{number}{unit}"
    return text or "0s"


def parse_time(value: object) -> int:
    """Return the instant (ms since the epoch) of an RFC 3339 text; ValueError (one sentence) if it is none.

    The offset is mandatory, ``t`` and ``z`` may be lower case (RFC 3339 section 5.6), digits beyond the
    millisecond are dropped, and the instant must lie in the years 2000 to 2199 of UTC.
    """
    match = _TIME.fullmatch(value) if isinstance(value, str) and len(value) <= _LONGEST_TEXT else None
    if match is None:
        raise ValueError(f'{_shown(value)} is not an RFC 3339 time with an offset, such as "2026-11-23T09:00:00Z"')
    if match[6] == "60":
        raise ValueError(f"{_shown(value)} is a leap second, which has no instant of its own: write second 59")
    try:
        zone = UTC if match[8] is None else _offset(match[8], int(match[9]), int(match[10]))
        moment = datetime(*(int(part) for part in match.group(1, 2, 3, 4, 5, 6)), tzinfo=zone)  # type: ignore[arg-type,misc]
        seconds = (moment - _EPOCH) // _SECOND
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{_shown(value)} is not a time that exists: {error}") from error
    instant = seconds * 1000 + int(((match[7] or "") + "000")[:3])
    if not FIRST_INSTANT <= instant < END_INSTANT:
        raise ValueError(f"{_shown(value)} is outside the years 2000 to 2199")
    return instant


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)


def _offset(sign: str, hours: int, minutes: int) -> timezone:
    if hours > 23 or minutes > 59:  # noqa: PLR2004 - RFC 3339 writes an offset as a time of day
        raise ValueError("the offset must be between -23:59 and +23:59")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(offset if sign == "+" else -offset)


def writable(instant: int) -> int:
    """``instant`` (ms), or the last one that can be written where a long duration leads beyond it."""
    return min(instant, END_INSTANT - 1)


def format_time(instant: int) -> str:
    """Return ``instant`` (ms since the epoch) in UTC RFC 3339, milliseconds only where they are not zero."""
    seconds, milliseconds = divmod(instant, 1000)
    text = datetime.fromtimestamp(seconds, UTC).isoformat()[:19]
    return f"{text}.{milliseconds:03d}Z" if milliseconds else text + "Z"


def _shown(value: object) -> str:
    text = repr(value) if not isinstance(value, str) else f'"{value[:40]}{"…" if len(value) > 40 else ""}"'  # noqa: PLR2004
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"
