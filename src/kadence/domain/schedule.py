"""Schedules: the instants a job is due at. A schedule is a value, its due times are a pure function of it.

croniter reads a cron expression and expands its fields; kadence walks the calendar and the time zone itself,
because croniter 7 fires a fixed daily time twice when clocks go back. Where both day-of-month and day-of-week
are restricted either will do, unless one of the two fields starts with ``*``: then both must match (as in
Debian's cron).
Due times lie in the years 1970 to 2199.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from croniter import CroniterError, croniter

from kadence.domain.cronfields import CronFields, DayRule, cron_fields
from kadence.domain.crontext import PLACES, cron_texts, hashed, shown, unreadable
from kadence.domain.duetimes import Count, due_times, latest_due
from kadence.domain.duration import END_INSTANT, format_duration, format_time, parse_duration, parse_time
from kadence.domain.walltime import Fold, Gap, Timeline, timeline, zone_names

if TYPE_CHECKING:
    from collections.abc import Iterable

SHORTEST_PERIOD: Final = 100
"""The shortest ``every`` (ms)."""
LONGEST_WAIT: Final = 8
"""A cron must have a match at least every so many years."""


@dataclass(frozen=True, slots=True)
class Cron:
    """Wall-clock times in a zone; ValueError if the expression is none. ``H`` is resolved by `cron_for`.

    The expression is made canonical, and DST rules that change nothing are set to their defaults, so that
    equal values mean the same and the same meaning is an equal value.
    """

    expression: str
    timezone: str = "UTC"
    gap: Gap = Gap.AFTER
    fold: Fold = Fold.FIRST
    fields: CronFields = field(init=False, repr=False, compare=False)
    timeline: Timeline = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        fields = _cron_fields(_cron_texts(self.expression))
        _check_zone(self.timezone)
        line = timeline(self.timezone, None if fields.hour_star else (Gap(self.gap), Fold(self.fold)))
        ruled = not fields.hour_star and len(line.starts) > 1
        canonical = {
            "expression": fields.expression,
            "gap": Gap(self.gap) if ruled else Gap.AFTER,
            "fold": Fold(self.fold) if ruled else Fold.FIRST,
            "fields": fields,
            "timeline": line,
        }
        for name, value in canonical.items():
            object.__setattr__(self, name, value)

    def next_after(self, instant: int) -> int | None:
        """Return the first due time strictly after ``instant``, in ms; None: none before 2200."""
        return self.timeline.next_after(self.fields, instant)

    def count(self, low: int, high: int) -> Count:
        """Return how many due times lie in [low, high)."""
        return Count(self.timeline.count(self.fields, low, high))

    def latest_before(self, low: int, high: int) -> int | None:
        """Return the last due time in [low, high), or None."""
        return latest_due(self, low, high)

    def document(self) -> dict[str, object]:
        """Return the contract's JSON form, without defaults."""
        document: dict[str, object] = {"cron": self.expression}
        if self.timezone != "UTC":
            document["timezone"] = self.timezone
        dst = {"gap": str(self.gap)} if self.gap is not Gap.AFTER else {}
        if self.fold is not Fold.FIRST:
            dst["fold"] = str(self.fold)
        return {**document, "dst": dst} if dst else document


@dataclass(frozen=True, slots=True)
class Every:
    """Every ``period`` ms since the Unix epoch plus ``offset`` ms; ValueError if the period is too short."""

    period: int
    offset: int = 0

    def __post_init__(self) -> None:
        if self.period < SHORTEST_PERIOD:
            raise ValueError(f'"every" must be at least 100 ms, not {format_duration(self.period)}')
        object.__setattr__(self, "offset", self.offset % self.period)

    def next_after(self, instant: int) -> int | None:
        """Return the first due time strictly after ``instant``, in ms; None: none before 2200."""
        due = self.offset + self.period * self._before(max(instant + 1, 0))
        return due if due < END_INSTANT else None

    def count(self, low: int, high: int) -> Count:
        """Return how many due times lie in [low, high)."""
        return Count(max(0, self._before(min(high, END_INSTANT)) - self._before(max(low, 0))))

    def latest_before(self, low: int, high: int) -> int | None:
        """Return the last due time in [low, high), or None."""
        due = self.offset + self.period * (self._before(min(high, END_INSTANT)) - 1)
        return due if due >= max(low, 0) else None

    def document(self) -> dict[str, object]:
        """Return the contract's JSON form, without defaults."""
        document: dict[str, object] = {"every": format_duration(self.period)}
        return {**document, "offset": format_duration(self.offset)} if self.offset else document

    def _before(self, instant: int) -> int:
        """Return the number of due times in [0, instant)."""
        return -((self.offset - instant) // self.period)


@dataclass(frozen=True, slots=True)
class At:
    """Once, at ``instant`` (ms)."""

    instant: int

    def next_after(self, instant: int) -> int | None:
        """Return the due time if it is strictly after ``instant``, both in ms."""
        return self.instant if instant < self.instant else None

    def count(self, low: int, high: int) -> Count:
        """Return how many due times lie in [low, high)."""
        return Count(int(low <= self.instant < high))

    def latest_before(self, low: int, high: int) -> int | None:
        """Return the last due time in [low, high), or None."""
        return self.instant if low <= self.instant < high else None

    def document(self) -> dict[str, object]:
        """Return the contract's JSON form."""
        return {"at": format_time(self.instant)}


Simple: TypeAlias = Cron | Every | At


LONGEST_WALK: Final = 20_000
"""Due times that are gone through one by one to count those of a union: 0.15 s at most."""


@dataclass(frozen=True, slots=True)
class Union:
    """Due whenever a member is; one instant is due once. Made by `union`, which orders the members."""

    members: tuple[Simple, ...]

    def next_after(self, instant: int) -> int | None:
        """Return the first due time strictly after ``instant``, in ms; None: none before 2200."""
        return min((due for member in self.members if (due := member.next_after(instant)) is not None), default=None)

    def count(self, low: int, high: int) -> Count:
        """Return how many due times lie in [low, high): exactly, unless the members have a great many of them."""
        each = [member.count(low, high).number for member in self.members]
        if sum(each) > LONGEST_WALK:
            return Count(max(each), exact=False)
        return Count(len({due for member in self.members for due in due_times(member, low, high)}))

    def latest_before(self, low: int, high: int) -> int | None:
        """Return the last due time in [low, high), or None."""
        dues = (member.latest_before(low, high) for member in self.members)
        return max((due for due in dues if due is not None), default=None)

    def document(self) -> list[dict[str, object]]:
        """Return the contract's JSON form, without defaults."""
        return [member.document() for member in self.members]


Schedule: TypeAlias = Cron | Every | At | Union


def union(members: Iterable[Simple]) -> Schedule:
    """Return the union of ``members``: the member itself if all mean the same; ValueError if empty."""
    distinct = sorted(set(members), key=repr)
    if not distinct:
        raise ValueError("a list of schedules must not be empty")
    return distinct[0] if len(distinct) == 1 else Union(tuple(distinct))


@lru_cache(maxsize=8192)
def shared_cron(expression: str, timezone: str, gap: Gap, fold: Fold) -> Cron:
    """Return the one `Cron` of these values, so that jobs with the same schedule share it."""
    return Cron(expression, timezone, gap, fold)


def cron_for(name: str, expression: str, timezone: str = "UTC", gap: Gap = Gap.AFTER, fold: Fold = Fold.FIRST) -> Cron:
    """Return the cron of the job ``name``, by which an ``H`` is hashed."""
    texts = hashed(_cron_texts(expression), name)
    return shared_cron(_cron_fields(texts).expression, timezone, gap, fold)


_cron_texts = lru_cache(maxsize=8192)(cron_texts)


@lru_cache(maxsize=8192)
def _cron_fields(texts: tuple[str, ...]) -> CronFields:
    """Return the six fields, expanded; ValueError (one sentence) if they are none, or match too rarely."""
    if any(text.startswith("H") for text in texts):
        raise ValueError('an "H" is hashed by a job\'s name, and there is none here: write a number')
    expanded, places = _expanded(texts)
    minutes, hours, days, months, weekdays, seconds = (
        _bits(values, place.low, place.high) for values, place in zip(expanded, _CRONITER_ORDER, strict=True)
    )
    _, _, hour_text, day_text, _, weekday_text = texts
    rule = DayRule(
        days=days,
        last_day="l" in expanded[2],
        weekdays=0 if places else weekdays & 0b111_1111,
        places=frozenset((day, 0 if n == "l" else int(n)) for day, numbers in places.items() for n in numbers),
        both=day_text.startswith("*") or weekday_text.startswith("*"),
    )
    fields = cron_fields(
        seconds=seconds,
        minutes=minutes,
        hours=hours,
        hour_star=hour_text.startswith("*"),
        days=rule,
        months=months,
    )
    if (wait := fields.longest_wait()) > LONGEST_WAIT:
        often = "never matches a day" if wait == 200 else f"can go {wait} years without a match"  # noqa: PLR2004
        text = " ".join(texts[texts[0] == "0" :])
        raise ValueError(f'the cron "{shown(text)}" {often}: it must match at least every {LONGEST_WAIT} years')
    return fields


_CRONITER_ORDER: Final = (*PLACES[1:], PLACES[0])
Expanded: TypeAlias = tuple[list[list[int | str]], dict[int, set[int | str]]]


def _expanded(texts: tuple[str, ...]) -> Expanded:
    """Let croniter expand six fields, seconds last; on a refusal find the field to blame."""
    second, *others = texts
    try:
        return _expand([*others, second])
    except CroniterError as error:
        for index, (place, text) in enumerate(zip(_CRONITER_ORDER, [*others, second], strict=True)):
            alone = ["*"] * len(texts)
            alone[index] = text
            try:
                _expand(alone)
            except CroniterError:
                raise unreadable(place, text) from error
        raise


def _expand(texts: list[str]) -> Expanded:
    expanded, places = croniter.expand(" ".join(texts))
    return expanded, places


def _bits(values: list[int | str], low: int, high: int) -> int:
    if "*" in values:
        return sum(1 << value for value in range(low, high + 1))
    return sum(1 << value for value in values if isinstance(value, int))


def _check_zone(zone: str) -> None:
    names = zone_names()
    if zone in names:
        return
    wanted = zone[:60].lower()
    near = [name for name in names if name.lower() == wanted or name.lower().endswith("/" + wanted)]
    # Only names of places are told apart by their spelling: CEST is not EST.
    near = near or get_close_matches(zone[:60], [name for name in names if "/" in name], n=1)
    hint = f'did you mean "{min(near)}"?' if near else 'use an IANA name such as "Europe/Berlin" or "UTC"'
    raise ValueError(f'"{shown(zone)}" is not a known time zone: {hint}')


class ScheduleError(ValueError):
    """A schedule document is not valid; ``message`` says in one sentence what is wrong and what to write."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


LONGEST_LIST: Final = 100
"""How many members a union may have."""
_KINDS: Final = {"cron": ("cron", "timezone", "dst"), "every": ("every", "offset"), "at": ("at",)}


def parse_schedule(document: object, name: str) -> Schedule:
    """Return the schedule that the contract's JSON ``document`` means for the job ``name``.

    Raises ScheduleError with one sentence if it means none.
    """
    try:
        if not isinstance(document, list):
            return _simple(document, name)
        return union(_simple(member, name) for member in _limited(document))
    except ValueError as error:
        raise ScheduleError(str(error)) from error


def _limited(members: list[object]) -> list[object]:
    if len(members) > LONGEST_LIST:
        raise ScheduleError(f"a list of schedules may have {LONGEST_LIST} members, not {len(members)}")
    return members


def _simple(document: object, name: str) -> Simple:
    if not isinstance(document, dict):
        raise ScheduleError('a schedule must be an object with "cron", "every" or "at", or a list of such objects')
    kinds = [kind for kind in _KINDS if kind in document]
    if len(kinds) > 1:
        raise ScheduleError(f'a schedule has one of "{kinds[0]}" and "{kinds[1]}": write a list for their union')
    _check_fields(document, _KINDS[kinds[0]] if kinds else tuple(_KINDS), "the schedule")
    match kinds:
        case ["cron"]:
            return _parse_cron(document, name)
        case ["every"]:
            return Every(parse_duration(document["every"]), parse_duration(document.get("offset", 0)))
        case ["at"]:
            return At(parse_time(document["at"]))
        case _:
            raise ScheduleError('a schedule needs one of "cron", "every" and "at"')


def _parse_cron(document: dict[str, object], name: str) -> Cron:
    expression, zone, dst = document["cron"], document.get("timezone", "UTC"), document.get("dst", {})
    if not isinstance(expression, str):
        raise ScheduleError('"cron" must be a text such as "0 9 * * MON-FRI"')
    if not isinstance(zone, str):
        raise ScheduleError('"timezone" must be a text such as "Europe/Berlin"')
    if not isinstance(dst, dict):
        raise ScheduleError('"dst" must be an object with "gap" and "fold"')
    _check_fields(dst, ("gap", "fold"), '"dst"')
    gap, fold = dst.get("gap", Gap.AFTER), dst.get("fold", Fold.FIRST)
    if gap not in tuple(Gap):
        raise ScheduleError('"gap" must be "after" or "skip"')
    if fold not in tuple(Fold):
        raise ScheduleError('"fold" must be "first", "second" or "both"')
    return cron_for(name, expression, zone, Gap(gap), Fold(fold))


def _check_fields(document: dict[str, object], known: tuple[str, ...], where: str) -> None:
    for key in document:
        if key not in known:
            near = get_close_matches(str(key)[:60], known, n=1)
            hint = f'did you mean "{near[0]}"?' if near else f"it knows {', '.join(known)}"
            raise ScheduleError(f'{where} has an unknown field "{shown(str(key))}": {hint}')
