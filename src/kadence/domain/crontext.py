"""The text of a cron expression: its shape, and what is put plainly before croniter expands it.

croniter decides what the values are. What it would read otherwise than people write it is rewritten here
(``9-9`` is 9, not every hour; ``@daily`` is midnight for every job), and what it accepts beyond the contract
is refused (``R``, ``W``, ``?``, a seventh field). Every refusal is a ValueError with one sentence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from zlib import crc32

LONGEST_EXPRESSION: Final = 1000
_ALIASES: Final = {
    "@YEARLY": "0 0 1 1 *",
    "@ANNUALLY": "0 0 1 1 *",
    "@MONTHLY": "0 0 1 * *",
    "@WEEKLY": "0 0 * * 0",
    "@DAILY": "0 0 * * *",
    "@MIDNIGHT": "0 0 * * *",
    "@HOURLY": "0 * * * *",
}
_MONTH_NAMES: Final = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"
_WEEKDAY_NAMES: Final = "SUNMONTUEWEDTHUFRISAT"
_MONTHS: Final = {_MONTH_NAMES[3 * n : 3 * n + 3]: str(n + 1) for n in range(12)}
_WEEKDAYS: Final = {_WEEKDAY_NAMES[3 * n : 3 * n + 3]: str(n) for n in range(7)}
_NAME: Final = re.compile(r"\b[A-Z]{3}(?=L?\b)", re.ASCII)
_PLAIN: Final = re.compile(r"(?:\*|[0-9]{1,4}(?:-[0-9]{1,4})?)(?:/([0-9]{1,9}))?", re.ASCII)
_HASHED: Final = re.compile(r"H(?:\(([0-9]{1,4})-([0-9]{1,4})\))?(?:/([0-9]{1,9}))?", re.ASCII)
_PLACE: Final = re.compile(r"[0-9](?:-[0-9])?#[1-5]|L[0-9]", re.ASCII)
_LAST_WEEKDAY: Final = re.compile(r"([0-9])L", re.ASCII)
_ONE_VALUE_RANGE: Final = re.compile(r"([0-9]+)-\1(?:/[0-9]+)?", re.ASCII)
_STRANGE: Final = re.compile(r"[^ -~]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """One of the six fields."""

    name: str
    low: int
    high: int

    @property
    def span(self) -> int:
        """How many values the field has."""
        return self.high - self.low + 1


SECOND: Final = Place("second", 0, 59)
MINUTE: Final = Place("minute", 0, 59)
HOUR: Final = Place("hour", 0, 23)
DAY: Final = Place("day of the month", 1, 31)
MONTH: Final = Place("month", 1, 12)
WEEKDAY: Final = Place("day of the week", 0, 7)
PLACES: Final = (SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY)


def cron_texts(expression: str) -> tuple[str, ...]:
    """Return the six fields of ``expression``, seconds first, in the form that croniter reads as meant.

    Fields hashed by a job's name are left as they are, see `hashed`.
    """
    if len(expression) > LONGEST_EXPRESSION:
        raise ValueError(
            f"the cron expression has {len(expression)} characters, at most {LONGEST_EXPRESSION} are allowed"
        )
    if strange := _STRANGE.search(expression):
        raise ValueError(
            f"the cron expression contains {strange[0]!a}: write plain ASCII, with spaces between the fields"
        )
    text = expression.strip().upper()
    if text.startswith("@"):
        if text not in _ALIASES:
            known = ", ".join(alias.lower() for alias in _ALIASES)
            raise ValueError(f'"{shown(expression)}" is not a known cron name: use one of {known}')
        text = _ALIASES[text]
    fields = text.split()
    if len(fields) not in (5, 6):
        raise ValueError(
            f'the cron expression "{shown(expression)}" has {len(fields)} fields: write five (minute '
            "hour day month weekday), or six with seconds first"
        )
    if len(fields) == 5:  # noqa: PLR2004 - without seconds
        fields.insert(0, "0")
    return tuple(_field(place, text) for place, text in zip(PLACES, fields, strict=True))


def _field(place: Place, written: str) -> str:
    text = written
    names = {MONTH: _MONTHS, WEEKDAY: _WEEKDAYS}.get(place)
    if names is not None:
        text = _NAME.sub(lambda match: names.get(match[0], match[0]), text)
    if _HASHED.fullmatch(text):
        return text
    terms = text.split(",")
    places = [_place_in_month(term) for term in terms] if place is WEEKDAY else []
    if any(places):
        if not all(places):
            raise ValueError(f'the day of the week "{shown(written)}" mixes plain days with # or L: write two crons')
        return ",".join(filter(None, places))
    return ",".join(_term(place, term, written) for term in terms)


def _term(place: Place, term: str, written: str) -> str:
    if place is DAY and term == "L":
        return term
    match = _PLAIN.fullmatch(term)
    if match is None:
        raise ValueError(f'the {place.name} field "{shown(written)}" is not readable: {_allowed(place)}')
    _check_step(place, match[1])
    if one := _ONE_VALUE_RANGE.fullmatch(term):
        return one[1]
    if place is WEEKDAY and term.startswith("7-"):
        return "0" + term[1:]
    return term


def _place_in_month(term: str) -> str | None:
    """Return ``5L`` and ``L5`` (last Friday) and ``5#2`` in croniter's form, or None for any other term."""
    term = _LAST_WEEKDAY.sub(r"L\1", term)
    return term if _PLACE.fullmatch(term) else None


def _check_step(place: Place, step: str | None) -> None:
    if step is None:
        return
    if int(step) == 0:
        raise ValueError(f"a step of 0 in the {place.name} field never moves: write at least 1")
    if int(step) > place.span:
        raise ValueError(
            f"a step of {step} is longer than the {place.name} field ({place.low}-{place.high}) and would "
            'match its start only: for such a period use {"every": …}'
        )


def hashed(texts: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Replace each ``H`` by a value that follows from ``name``, by croniter's rule.

    The value is ``(CRC-32 of the UTF-8 name >> n) % span + low``, n being 0 for the minute, 1 hour, 2 day,
    3 month, 4 weekday and 5 second. A day is drawn from 1 to 28, which every month has (Jenkins' rule; croniter
    draws to 31).
    """
    crc = crc32(name.encode())
    return tuple(
        _drawn(place, match, crc >> (index - 1) % len(PLACES)) if (match := _HASHED.fullmatch(text)) else text
        for index, (place, text) in enumerate(zip(PLACES, texts, strict=True))
    )


def _drawn(place: Place, match: re.Match[str], draw: int) -> str:
    low, high = place.low, _HIGHEST_DRAWN.get(place, place.high)
    if match[1]:
        low, high = int(match[1]), int(match[2])
        if not place.low <= low < high <= place.high:
            raise unreadable(place, match[0])
    if match[3] is None:
        return str(low + draw % (high - low + 1))
    _check_step(place, match[3])
    first = low + draw % min(int(match[3]), high - low + 1)
    return f"{first}-{high}/{match[3]}" if first < high else str(first)


_HIGHEST_DRAWN: Final = {DAY: 28, WEEKDAY: 6}


def unreadable(place: Place, text: str) -> ValueError:
    """Return the error for a field of good shape whose values are none."""
    return ValueError(f'the {place.name} field "{shown(text)}" has no such value: {_allowed(place)}')


def _allowed(place: Place) -> str:
    extra = {DAY: " or L", MONTH: " or JAN-DEC", WEEKDAY: " or SUN-SAT, with #1 to #5 or L"}.get(place, "")
    return f"use {place.low}-{place.high}{extra}, with * , - / or H"


def shown(text: str) -> str:
    """Return ``text`` short enough for a message."""
    return text if len(text) <= 60 else text[:60] + "…"  # noqa: PLR2004 - about what a line holds
