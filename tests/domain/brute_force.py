"""The contract's DST rules applied word by word to every instant of a window: slow, and easy to believe."""

from __future__ import annotations

import calendar
from collections import defaultdict
from datetime import datetime, timedelta
from functools import lru_cache

from kadence.domain.walltime import Fold, Gap
from tests.domain.cronsim_oracle import zone_info

NAMES = {name: str(n) for n, name in enumerate("SUN MON TUE WED THU FRI SAT".split())}  # noqa: SIM905
NAMES |= {name.upper(): str(n) for n, name in enumerate(calendar.month_abbr) if name}


def brute_force_due(
    expression: str, zone: str, rules: tuple[Gap, Fold], window: tuple[int, int], step: int
) -> list[int]:
    """Return the due times in the window, looking every ``step`` seconds."""
    gap, fold = rules
    due: set[int] = set()
    for instants, after_gap in matching(expression, zone, window, step):
        if not instants:
            due |= {after_gap} if gap is Gap.AFTER and not hour_star(expression) else set()
        elif fold is Fold.BOTH or hour_star(expression):
            due |= set(instants)
        else:
            due.add(instants[0 if fold is Fold.FIRST else -1])
    return sorted(at * 1000 for at in due)


@lru_cache(maxsize=8)
def matching(expression: str, zone: str, window: tuple[int, int], step: int) -> list[tuple[list[int], int]]:
    """Return when the clock shows each matching wall time, and the first instant after a gap that swallowed it."""
    low, high = (instant // 1000 for instant in window)
    shown = clock_readings(zone, low, high, step)
    wall, last, latest = min(shown), max(shown), low
    found = []
    while wall <= last:
        instants = shown.get(wall, [])
        if matches(expression, wall):
            found.append((instants, latest + step))
        latest = max(latest, *instants) if instants else latest
        wall += timedelta(seconds=step)
    return found


@lru_cache(maxsize=8)
def clock_readings(zone: str, low: int, high: int, step: int) -> dict[datetime, list[int]]:
    """Return what the wall clock shows and when, for every instant of [low, high)."""
    shown = defaultdict(list)
    for instant in range(low, high, step):
        shown[datetime.fromtimestamp(instant, zone_info(zone)).replace(tzinfo=None, fold=0)].append(instant)
    return dict(shown)


def hour_star(expression: str) -> bool:
    return fields(expression)[2].startswith("*")


def matches(expression: str, wall: datetime) -> bool:
    second, minute, hour, day, month, weekday = fields(expression)
    if str(wall.minute) not in values(minute, 0, 59) or str(wall.hour) not in values(hour, 0, 23):
        return False
    length = calendar.monthrange(wall.year, wall.month)[1]
    place = f"{wall.isoweekday() % 7}#{(wall.day + 6) // 7}"
    on_day = str(wall.day) in values(day, 1, 31) or (day == "L" and wall.day == length)
    on_weekday = str(wall.isoweekday() % 7) in values(weekday, 0, 6) or place == weekday
    both = day.startswith("*") or weekday.startswith("*")
    return (
        str(wall.second) in values(second, 0, 59)
        and str(wall.month) in values(month, 1, 12)
        and (on_day and on_weekday if both else on_day or on_weekday)
    )


@lru_cache
def fields(expression: str) -> tuple[str, ...]:
    for name, number in NAMES.items():
        expression = expression.replace(name, number)
    found = expression.split()
    return tuple(found if len(found) == 6 else ["0", *found])


@lru_cache(maxsize=1000)
def values(field: str, low: int, high: int) -> frozenset[str]:
    found: set[str] = set()
    for term in field.split(","):
        if not set(term) <= set("0123456789-*/"):
            continue
        span, _, step = term.partition("/")
        first, _, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        end = int(last) if last else high if step else int(first)
        found |= {str(value) for value in range(int(first), end + 1, int(step or 1))}
    return frozenset(found)
