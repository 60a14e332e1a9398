"""Wall clocks to instants: the time zones, and the two days a year on which the mapping is not one to one.

Zones come from the pinned ``tzdata`` package and never from the machine, so that all workers agree.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from importlib import import_module, resources
from io import BytesIO
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from kadence.domain.cronfields import CronFields

TZDATA_VERSION: Final[str] = str(import_module("tzdata").IANA_VERSION)
"""The IANA version of the time zones in use, such as ``2026f``."""

_BEGIN: Final = 0
_END: Final = 7_258_118_400
_MONTH: Final = 28 * 86_400
_FAR: Final = 10**12
_NONE: Final = timedelta()
_SECOND: Final = timedelta(seconds=1)


class Gap(StrEnum):
    """What becomes of a wall time that does not exist."""

    AFTER = "after"
    SKIP = "skip"


class Fold(StrEnum):
    """What becomes of a wall time that exists twice."""

    FIRST = "first"
    SECOND = "second"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Timeline:
    """One zone's history, 1970 to 2199, as stretches of constant offset; in seconds, one entry per stretch.

    ``lows`` and ``highs`` bound the wall times [low, high) that belong to a stretch under the rules for gaps
    and folds; a wall time w of a stretch is the instant ``max(start, w - offset)``: what fell into the gap
    before a stretch is due at its start, once.
    """

    starts: tuple[int, ...]
    offsets: tuple[int, ...]
    lows: tuple[int, ...]
    highs: tuple[int, ...]

    def next_after(self, fields: CronFields, instant: int) -> int | None:
        """Return the first due time of ``fields`` after ``instant``, in ms; None: none before 2200."""
        earliest = min(max(instant // 1000 + 1, _BEGIN), _END)
        index = bisect_right(self.starts, earliest) - 1
        start, low = self.starts[index], self.lows[index]
        wall = fields.next_wall(low if earliest == start else max(low, earliest + self.offsets[index]))
        if wall is not None and wall >= self.highs[index]:
            index += 1  # a fold may repeat wall times that were passed already, so start over
            wall = fields.next_wall(self.lows[index])
        while wall is not None and wall >= self.highs[index]:
            index += 1
            if wall < self.lows[index]:
                wall = fields.next_wall(self.lows[index])
        if wall is None:
            return None
        due = max(self.starts[index], wall - self.offsets[index])
        return due * 1000 if due < _END else None

    def count(self, fields: CronFields, low: int, high: int) -> int:
        """Return how many due times of ``fields`` lie in [low, high), both in ms; no walk over them."""
        begin, end = max(-(-low // 1000), _BEGIN), min(-(-high // 1000), _END)
        if begin >= end:
            return 0
        first, last = bisect_right(self.starts, begin) - 1, bisect_left(self.starts, end)
        return sum(self._count_in(index, fields, begin, end) for index in range(first, last))

    def _count_in(self, index: int, fields: CronFields, begin: int, end: int) -> int:
        """Count the due times of one stretch within [begin, end), in seconds."""
        start, offset = self.starts[index], self.offsets[index]
        low, high = max(self.lows[index], begin + offset), min(self.highs[index], end + offset)
        if begin > start or self.lows[index] > start + offset:
            return fields.count_walls(low, high)
        # What fell into the gap before the stretch, and what is due at its start anyway, are one due time.
        at_start = fields.count_walls(self.lows[index], min(high, start + offset + 1))
        return min(at_start, 1) + fields.count_walls(start + offset + 1, high)


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Return every zone name that the pinned tzdata knows."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())


@lru_cache(maxsize=1024)
def timeline(zone: str, rules: tuple[Gap, Fold] | None) -> Timeline:
    """Return the timeline of ``zone`` (one of `zone_names`); ``rules`` None follows the wall clock."""
    starts, offsets = _stretches(zone)
    lows = highs = offsets
    if rules is not None:
        gap, fold = rules
        lows = tuple(  # a stretch begins where the gap before it began, or where the first pass ended
            old if (new > old and gap is Gap.AFTER) or (new < old and fold is Fold.FIRST) else new
            for old, new in zip((offsets[0], *offsets), offsets, strict=False)
        )
        if fold is Fold.SECOND:  # it ends where the second pass will begin
            highs = tuple(map(min, offsets, (*offsets[1:], offsets[-1])))
    ends = (*starts[1:], _FAR)
    return Timeline(
        starts,
        offsets,
        tuple(start + low for start, low in zip(starts, lows, strict=True)),
        tuple(end + high for end, high in zip(ends, highs, strict=True)),
    )


@lru_cache(maxsize=640)
def _stretches(zone: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the start of each stretch of constant offset (the first: far back) and the offset (s)."""
    content = resources.files("tzdata").joinpath("zoneinfo", *zone.split("/")).read_bytes()
    info = ZoneInfo.from_file(BytesIO(content), key=zone)
    explicit = _transitions(content)
    starts, offsets = [-_FAR], [_offset(info, _BEGIN)]
    looks = {at for at in explicit if at > _BEGIN}
    if b"," in content.rstrip(b"\n").rpartition(b"\n")[2]:
        # After the file's last transition the rule in its footer repeats every year, with months between two
        # changes, so that one look in four weeks misses none.
        looks.update(range(max([_BEGIN, *explicit]), _END + _MONTH, _MONTH))
    earlier = _BEGIN
    for look in sorted(looks):
        offset = _offset(info, look)
        if offset != offsets[-1]:
            starts.append(_change(info, earlier, look, offset))
            offsets.append(offset)
        earlier = look
    return tuple(starts), tuple(offsets)


def _change(info: ZoneInfo, earlier: int, later: int, offset: int) -> int:
    """Return the first second in (earlier, later] from which ``offset`` holds."""
    while later - earlier > 1:
        middle = (earlier + later) // 2
        if _offset(info, middle) == offset:
            later = middle
        else:
            earlier = middle
    return later


def _offset(info: ZoneInfo, instant: int) -> int:
    return (datetime.fromtimestamp(instant, info).utcoffset() or _NONE) // _SECOND


def _transitions(content: bytes) -> tuple[int, ...]:
    """Return the instants at which a TZif file (RFC 9636) changes local time, from its 64-bit block."""
    size = 44
    header = struct.Struct(">4sc15x6I")
    _, _, utc_flags, std_flags, leaps, times, types, letters = header.unpack_from(content)
    second = size + times * 5 + types * 6 + letters + leaps * 8 + std_flags + utc_flags
    count = header.unpack_from(content, second)[5]
    return struct.unpack_from(f">{count}q", content, second + size)
