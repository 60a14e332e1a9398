"""The wall-clock times that one cron expression names, as sets of field values, without zones.

Wall times here are whole seconds since 1970-01-01T00:00:00 on the wall's own clock: a calendar and no zone.
Values are bit sets (bit n: the value n matches), so "the next one" is a shift and not a loop.
"""

from __future__ import annotations

from calendar import isleap
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import pairwise
from typing import Final

DAY: Final = 86_400
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_END_YEAR: Final = 2201  # one more than the contract's last: a wall clock may be a day ahead of UTC
_LENGTHS: Final = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, slots=True)
class DayRule:
    """Which days match: days of the month, and weekdays (0 is Sunday) each or by place in the month.

    Where both fields restrict the day, Debian's cron decides: if either field *starts* with ``*`` both must
    match (``both``), else either will do.
    """

    days: int
    last_day: bool
    weekdays: int
    places: frozenset[tuple[int, int]]
    """(weekday, n): the n-th of the month; n = 0 is the last."""
    both: bool

    @lru_cache(maxsize=1024)  # noqa: B019 - a value without identity: the cache holds no object's life
    def months(self) -> tuple[int, ...]:
        """Return the matching days of each kind of month, by ``first weekday * 4 + length - 28``."""
        return tuple(self._month(first, length) for first in range(7) for length in range(28, 32))

    def _month(self, first_weekday: int, length: int) -> int:
        days = self.days | (1 << length if self.last_day else 0)
        by_weekday = sum(
            1 << day
            for weekday in range(7)
            for day in range((weekday - first_weekday) % 7 + 1, length + 1, 7)
            if self.weekdays >> weekday & 1
            or (weekday, (day + 6) // 7) in self.places
            or (day + 7 > length and (weekday, 0) in self.places)
        )
        return (days & by_weekday if self.both else days | by_weekday) & ((1 << (length + 1)) - 2)


@dataclass(frozen=True, slots=True)
class CronFields:
    """One cron expression, expanded."""

    expression: str
    """Canonical: two expressions that mean the same, DST rules included, have the same text."""
    seconds: int
    minutes: int
    hours: int
    months: int
    month_days: tuple[int, ...]
    """The matching days of a month, by ``first weekday * 4 + length - 28``."""
    hour_star: bool
    """The hour field starts with ``*``: the wall clock is followed, and no DST rule applies."""
    first_time: int
    """The first matching time of a day, in seconds."""

    def next_wall(self, wall: int) -> int | None:
        """Return the first matching wall time at or after ``wall``, or None when the calendar ends first."""
        number, time = divmod(wall, DAY)
        today = date.fromordinal(number + _EPOCH_ORDINAL)
        year, month, day = today.year, today.month, today.day
        first = number - day + 1
        matching = self._days(first, year, month) if self.months >> month & 1 else 0
        if matching >> day & 1 and (later := self._next_time(time)) is not None:
            return number * DAY + later
        matching &= -2 << day
        while not matching:
            month += 1
            rest = self.months >> month
            if not rest:
                year, month, rest = year + 1, 1, self.months >> 1
            if year >= _END_YEAR:
                return None
            month += _lowest(rest)
            first = date(year, month, 1).toordinal() - _EPOCH_ORDINAL
            matching = self._days(first, year, month)
        return (first + _lowest(matching) - 1) * DAY + self.first_time

    def _days(self, first: int, year: int, month: int) -> int:
        return self.month_days[(first + 4) % 7 * 4 + _length(year, month) - 28]  # 1970-01-01 was a Thursday

    def _next_time(self, time: int) -> int | None:
        """Return the first matching time of day at or after ``time``, both in seconds since midnight."""
        hour, rest = divmod(time, 3600)
        minute, second = divmod(rest, 60)
        if self.hours >> hour & 1:
            if self.minutes >> minute & 1 and (seconds := self.seconds >> second):
                return time + _lowest(seconds)
            if minutes := self.minutes >> (minute + 1):
                return (hour * 60 + minute + 1 + _lowest(minutes)) * 60 + _lowest(self.seconds)
        if hours := self.hours >> (hour + 1):
            return ((hour + 1 + _lowest(hours)) * 60 + _lowest(self.minutes)) * 60 + _lowest(self.seconds)
        return None

    def count_walls(self, low: int, high: int) -> int:
        """Return how many wall times in [low, high) match, month by month."""
        if low >= high:
            return 0
        (first_day, begin), (last_day, end) = divmod(low, DAY), divmod(high, DAY)
        per_day = self.hours.bit_count() * self.minutes.bit_count() * self.seconds.bit_count()
        whole = self._count_days(first_day, last_day) * per_day
        before = self._times_before(begin) if self._count_days(first_day, first_day + 1) else 0
        after = self._times_before(end) if self._count_days(last_day, last_day + 1) else 0
        return whole - before + after

    def _count_days(self, low: int, high: int) -> int:
        """Return how many days in [low, high) match, both in days since the epoch."""
        count, number = 0, low
        while number < high:
            today = date.fromordinal(number + _EPOCH_ORDINAL)
            first, length = number - today.day + 1, _length(today.year, today.month)
            until = min(high, first + length)
            if self.months >> today.month & 1:
                days = self._days(first, today.year, today.month)
                count += (days >> today.day & ((1 << (until - number)) - 1)).bit_count()
            number = until
        return count

    def _times_before(self, time: int) -> int:
        """Return how many matching times of day lie before ``time``, in seconds since midnight."""
        hour, rest = divmod(time, 3600)
        minute, second = divmod(rest, 60)
        per_minute = self.seconds.bit_count()
        found = _below(self.hours, hour) * self.minutes.bit_count() * per_minute
        if self.hours >> hour & 1:
            found += _below(self.minutes, minute) * per_minute
            if self.minutes >> minute & 1:
                found += _below(self.seconds, second)
        return found

    def longest_wait(self) -> int:
        """Return the most years from one year with a match to the next, 2000 to 2199 (200: there is none).

        The contract refuses a cron with no match within 8 years. Counting by the calendar and not from today
        makes all workers agree, on every day: ``0 0 29 2 *`` waits 8 years (2096 to 2104) and stands.
        """
        matching = {kind for kind in set(_YEARS) if self._matches_in(*kind)}
        years = [year for year, kind in enumerate(_YEARS, _FIRST_YEAR) if kind in matching]
        if not years:
            return len(_YEARS)
        waits = (later - earlier for earlier, later in pairwise(years))
        return max(*waits, years[0] - _FIRST_YEAR, _FIRST_YEAR + len(_YEARS) - 1 - years[-1])

    def _matches_in(self, first: int, february: int) -> bool:
        """Tell whether a year that begins on weekday ``first`` and has so long a February has a match."""
        for month in range(1, 13):
            length = february if month == 2 else _LENGTHS[month]  # noqa: PLR2004 - February
            if self.months >> month & 1 and self.month_days[first * 4 + length - 28]:
                return True
            first = (first + length) % 7
        return False


_FIRST_YEAR: Final = 2000
_YEARS: Final = tuple(  # (weekday of 1 January, length of February) of each year: 14 kinds
    (date(year, 1, 1).toordinal() % 7, 29 if isleap(year) else 28) for year in range(_FIRST_YEAR, 2200)
)


def _length(year: int, month: int) -> int:
    return 29 if month == 2 and isleap(year) else _LENGTHS[month]  # noqa: PLR2004 - February


def _below(bits: int, value: int) -> int:
    """Return how many values of a set are smaller than ``value``."""
    return (bits & ((1 << value) - 1)).bit_count()


def _lowest(bits: int) -> int:
    return (bits & -bits).bit_length() - 1


def cron_fields(*, seconds: int, minutes: int, hours: int, hour_star: bool, days: DayRule, months: int) -> CronFields:
    """Build the fields from their bit sets, with the canonical expression."""
    parts = [
        _written(minutes, 0, 59),
        _written(hours, 0, 23, star=hour_star),
        *_written_days(days),
        _written(months, 1, 12),
    ]
    parts[3], parts[4] = parts[4], parts[3]  # the month stands between the two day fields
    if seconds != 1:
        parts.insert(0, _written(seconds, 0, 59))
    return CronFields(
        expression=" ".join(parts),
        seconds=seconds,
        minutes=minutes,
        hours=hours,
        months=months,
        month_days=days.months(),
        hour_star=hour_star,
        first_time=(_lowest(hours) * 60 + _lowest(minutes)) * 60 + _lowest(seconds),
    )


def _written_days(rule: DayRule) -> tuple[str, str]:
    """Write both day fields, starting one with ``*`` exactly where both must match."""
    days = _written(rule.days, 1, 31, star=None if rule.both else False)
    if rule.last_day and days != "*":
        days = f"{days},L" if days else "L"
    weekdays = _written(rule.weekdays, 0, 6, star=None if rule.both else False)
    if weekdays != "*":
        named = [f"L{day}" if place == 0 else f"{day}#{place}" for day, place in sorted(rule.places)]
        weekdays = ",".join([weekdays, *named] if weekdays else named)
    if rule.both and not (days.startswith("*") or weekdays.startswith("*")):
        if rule.days >> 1 & 1:
            days = "*/31," + days
        else:
            weekdays = "*/7," + weekdays
    return days, weekdays


def _written(bits: int, low: int, high: int, *, star: bool | None = None) -> str:
    """Write a set of values the short way; it must (True), must not, or may (None) start with ``*``."""
    values = [value for value in range(low, high + 1) if bits >> value & 1]
    if len(values) == high - low + 1:
        return f"{low}-{high}" if star is False else "*"
    if not values:
        return ""
    steps = {later - earlier for earlier, later in pairwise(values)}
    step = steps.pop() if len(steps) == 1 else 0
    to_the_end = step > 1 and values[-1] + step > high
    if star is not False and to_the_end and values[0] == low:
        return f"*/{step}"
    if star:
        return ",".join([f"*/{high - low + 1}", *map(str, values[1:])])
    if len(values) > 2 and step:  # noqa: PLR2004 - two values are shorter as a list
        return f"{values[0]}-{values[-1]}" + (f"/{step}" if step > 1 else "")
    return ",".join(map(str, values))
