"""Compares kadence's due times with those of cronsim, an independent reader of cron, around every clock change.

`python -m tests.domain.cronsim_oracle` prints the table of differences as it would be today; the reasons in it are
written by hand.
"""

from __future__ import annotations

import json
import sys
import tomllib
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import resources
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

from cronsim import CronSim
from typing_extensions import override

from kadence.domain.duetimes import due_times
from kadence.domain.schedule import Cron

ZONES = (
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Gaza",
    "Asia/Tehran",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/Dublin",
    "Pacific/Apia",
)
EXPRESSIONS = (
    # fixed times about the hours at which clocks change
    "0 0 * * *",
    "1 0 * * *",
    "30 0 * * *",
    "59 23 * * *",
    "0 1 * * *",
    "15 1 * * *",
    "45 1 * * *",
    "0 2 * * *",
    "30 2 * * *",
    "0 3 * * *",
    "30 3 * * *",
    "5 4 * * *",
    "0 12 * * *",
    # several fixed times
    "0,30 0-4 * * *",
    "0-59/20 1-3 * * *",
    "10,50 0,2,23 * * *",
    "15 0-23/2 * * *",
    "7 0-23 * * *",
    "5/25 1/3 * * *",
    # restricted days
    "30 2 * * SUN",
    "0 0 * * SUN",
    "0 1 * * MON-FRI",
    "30 1 1-7 * SUN",
    "30 2 */2 * SAT,SUN",
    "0 2 L * *",
    "0 0 L * *",
    "30 0 * * 0#1",
    "30 2 * * SUN#2",
    "30 1 * * 5#5",
    "0 0 1 1,4,7,10 *",
    "30 2 31 3,10 *",
    "0 2 29-31 OCT SUN",
    # the hour follows the wall clock
    "0 * * * *",
    "30 * * * *",
    "*/15 */2 * * *",
    "0 */2 * * *",
    "45 */3 * * SUN",
    "40 * 25-31 * *",
    # a star in the minute field only
    "*/20 2 * * *",
    "*/15 0-3 * * *",
)
TABLE = Path(__file__).with_name("cronsim_differences.toml")
DAY = 86_400_000
REACH = 30 * 3_600_000
MOST_TICKS = 6000
Due = Callable[[str, str, int, int], set[int]]


@dataclass(frozen=True, slots=True)
class Change:
    """The zone's offset goes from ``before`` to ``after`` ms at ``at``."""

    zone: str
    at: int
    before: int
    after: int


@dataclass(frozen=True, slots=True, order=True)
class Kind:
    """What differences have in common that one row of the table explains."""

    zone: str
    stars: str
    """Which of the minute and hour fields start with ``*``."""
    change: str
    place: str
    """Where the instant lies, seen from the change."""
    only: str
    """Who says that it is due."""


@lru_cache
def zone_info(zone: str) -> ZoneInfo:
    content = resources.files("tzdata").joinpath("zoneinfo", *zone.split("/")).read_bytes()
    return ZoneInfo.from_file(BytesIO(content), key=zone)


def offset(zone: str, instant: int) -> int:
    found = datetime.fromtimestamp(instant // 1000, zone_info(zone)).utcoffset()
    assert found is not None
    return found // timedelta(milliseconds=1)


@lru_cache
def changes(zone: str, first_year: int = 1990, last_year: int = 2037) -> tuple[Change, ...]:
    """Find every change of the zone's offset by looking once a day and then closer."""
    start = int(datetime(first_year, 1, 1, tzinfo=UTC).timestamp()) * 1000
    end = int(datetime(last_year + 1, 1, 1, tzinfo=UTC).timestamp()) * 1000
    found = []
    before = offset(zone, start)
    for day in range(start + DAY, end, DAY):
        after = offset(zone, day)
        if after != before:
            seconds = range((day - DAY) // 1000 + 1, day // 1000 + 1)
            at = seconds[bisect_left(seconds, 1, key=lambda second: int(offset(zone, second * 1000) == after))]
            found.append(Change(zone, at * 1000, before, after))
        before = after
    return tuple(found)


def kadence_due(expression: str, zone: str, low: int, high: int) -> set[int]:
    return set(due_times(Cron(expression, zone), low, high))


class NeverReturnsError(Exception):
    """cronsim goes round in circles."""


class BoundedCronSim(CronSim):
    """A cronsim that gives up after more ticks than any of the expressions needs for a window."""

    ticks = 0

    @override
    def tick(self, seconds: int = 1) -> None:
        self.ticks += 1
        if self.ticks > MOST_TICKS:
            raise NeverReturnsError
        super().tick(seconds)


def cronsim_due(expression: str, zone: str, low: int, high: int) -> set[int]:
    start = datetime.fromtimestamp(low // 1000 - 1, zone_info(zone))
    due: set[int] = set()
    for moment in BoundedCronSim(expression, start):
        instant = int(moment.timestamp()) * 1000
        if instant >= high:
            return due
        due.add(instant)
    return due


def stars(expression: str) -> str:
    minute, hour = (field.startswith("*") for field in expression.split()[:2])
    return {(0, 0): "neither", (1, 0): "minute", (0, 1): "hour", (1, 1): "both"}[minute, hour]


def way(change: Change) -> str:
    return "gap" if change.after > change.before else "fold"


def place(change: Change, instant: int) -> str:
    shift = change.after - change.before
    since = instant - change.at
    if shift > 0:
        return "at its end" if since == 0 else "as long after" if 0 < since < shift else "elsewhere"
    return "first pass" if shift <= since < 0 else "second pass" if 0 <= since < -shift else "elsewhere"


def differences(zone: str, due: Due = kadence_due) -> Iterator[tuple[Kind, str, int]]:
    for change in changes(zone):
        low, high = change.at - REACH, change.at + REACH
        for expression in EXPRESSIONS:
            ours = due(expression, zone, low, high)
            try:
                theirs = cronsim_due(expression, zone, low, high)
            except NeverReturnsError:
                yield Kind(zone, stars(expression), way(change), "anywhere", "never returns"), expression, change.at
                continue
            for instant in ours ^ theirs:
                only = "kadence" if instant in ours else "cronsim"
                yield Kind(zone, stars(expression), way(change), place(change, instant), only), expression, instant


def counted(zone: str, due: Due = kadence_due) -> dict[Kind, int]:
    return dict(Counter(found for found, _, _ in differences(zone, due)))


@dataclass(frozen=True, slots=True)
class Row:
    """``number`` differences of one kind, and why they are right."""

    kind: Kind
    number: int
    reason: str


def table() -> tuple[dict[str, str], list[Row]]:
    """Read the checked-in table: what the reasons say, and its rows."""
    content = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    columns = [field.name for field in fields(Kind)]
    rows = [
        Row(Kind(**{column: row[column] for column in columns}), row["number"], row["reason"])
        for row in content["differences"]
    ]
    return content["reasons"], rows


def main() -> None:
    """Print the table as it would be today; rows that are new have no reason yet."""
    reasons, rows = table()
    known = {row.kind: row.reason for row in rows}
    lines = [TABLE.read_text(encoding="utf-8").splitlines()[0], "differences = ["]
    for zone in ZONES:
        for found, number in sorted(counted(zone).items()):
            values = {**asdict(found), "number": number, "reason": known.get(found, "")}
            lines.append("  { " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in values.items()) + " },")
    lines += ["]", "", "[reasons]", *(f"{name} = {json.dumps(text)}" for name, text in reasons.items())]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
