"""The oracle's own reading of the control topic: what was asked for, in one order, and what of it counts.

Nothing of kadence's decoder or fold is used here, except the hashes that the contract leaves open.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from kadence.domain.partition import partition_for
from kadence.domain.spec import fixed_delay
from tests.domain.brute_force import matches
from tests.sim.times import EPOCH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kadence.log.port import Record

FAR: Final = EPOCH + 4 * 3_600_000
"""No simulation lasts until here."""
_EPOCH_TEXT: Final = "1970-01-01T00:00:00+00:00"


def instant_of(text: str) -> int:
    """Milliseconds of an RFC 3339 time."""
    found = datetime.fromisoformat(text) - datetime.fromisoformat(_EPOCH_TEXT)
    return round(found.total_seconds() * 1000)


def milliseconds(text: str) -> int:
    """A duration as the workload writes it: ``…ms`` or ``…s``."""
    return int(text[:-2]) if text.endswith("ms") else int(text[:-1]) * 1000


@dataclass(frozen=True)
class Wish:
    """One control record that counts: what its key's newest state is from ``at`` (ms) on. None: nothing."""

    offset: int
    at: int
    value: dict[str, Any] | None


@dataclass
class Wishes:
    """All of control by key, and which offsets were not to be applied, with the shards that must say so."""

    by_key: dict[str, list[Wish]] = field(default_factory=dict)
    bad: dict[int, frozenset[int]] = field(default_factory=dict)

    def of(self, key: str) -> list[Wish]:
        return self.by_key.get(key, [])

    def newest(self, key: str, below: int) -> Wish | None:
        """The newest wish of a key below an offset."""
        found = self.of(key)
        index = bisect_left(found, below, key=lambda wish: wish.offset)
        return found[index - 1] if index else None

    def between(self, key: str, low: int, high: int) -> list[Wish]:
        """The wishes of a key with offsets in [low, high)."""
        return [wish for wish in self.of(key) if low <= wish.offset < high]

    def keys(self, kind: str) -> list[str]:
        return [key for key in self.by_key if key.startswith(f"{kind}/")]

    def pauses(self, name: str) -> list[Wish]:
        """Everything that pauses or resumes a job; a job created paused counts as a pause record."""
        created, known = [], False
        for wish in self.of(f"job/{name}"):
            if wish.value is not None and not known and wish.value.get("paused"):
                created.append(Wish(wish.offset, wish.at, {"paused": True}))
            known = wish.value is not None
        return sorted([*created, *self.of(f"pause/{name}")], key=lambda wish: wish.offset)


def read_control(records: Iterable[Record], shards: int) -> Wishes:
    """Sort the records of control into wishes and bad ones."""
    wishes = Wishes()
    for record in records:
        key = (record.key or b"").decode("utf-8", "replace")
        kind, _, rest = key.partition("/")
        name = rest.partition("/")[0]
        if kind == "barrier":
            continue
        if kind not in {"job", "pause", "hold", "trigger", "skip"} or name.startswith("-") or "\ufffd" in key:
            wishes.bad[record.offset] = frozenset({0})
            continue
        value = _read(kind, record.value)
        if value is _BAD:
            everyone = frozenset(range(shards))
            wishes.bad[record.offset] = everyone if kind == "hold" else frozenset({shard_of(name, shards)})
            continue
        wishes.by_key.setdefault(key, []).append(Wish(record.offset, record.timestamp, value))
    return wishes


_BAD: Final[dict[str, Any]] = {"bad": True}


def _read(kind: str, data: bytes | None) -> dict[str, Any] | None:
    if data is None:
        return None
    try:
        value: dict[str, Any] = json.loads(data)
    except ValueError:
        return _BAD
    good = {
        "job": "evry" not in json.dumps(value),
        "pause": isinstance(value.get("paused"), bool),
        "hold": bool(value.get("match")),
        "trigger": True,
        "skip": False,  # not in this version
    }[kind]
    return value if good and "v" not in value and "if_offset" not in value else _BAD


@lru_cache(maxsize=10_000)
def shard_of(name: str, shards: int) -> int:
    return partition_for(name.encode(), shards)


def selects(hold: dict[str, Any], name: str, tags: Iterable[str]) -> bool:
    """Whether a hold is over a job."""
    match = hold["match"]

    def names(part: dict[str, Any]) -> bool:
        return any(fnmatchcase(name, glob) for glob in part.get("names", []))

    def tagged(part: dict[str, Any]) -> bool:
        return bool(set(part.get("tags", [])) & set(tags))

    chosen = match.get("all") or all((names if side == "names" else tagged)(match) for side in match if side != "not")
    never = match.get("not", {})
    return chosen and not names(never) and not tagged(never)


def delay_of(name: str, spec: dict[str, Any]) -> int:
    return fixed_delay(name, milliseconds(spec["jitter"])) if "jitter" in spec else 0


def due_times(spec: dict[str, Any], low: int, high: int) -> list[int]:
    """The due times of a spec in (low, high], by looking at every candidate."""
    found = _all_due(json.dumps(spec["schedule"]))
    return list(found[bisect_left(found, low + 1) : bisect_left(found, high + 1)])


@lru_cache(maxsize=4096)
def _all_due(schedule: str) -> tuple[int, ...]:
    """Every due time of a schedule while any simulation lasts."""
    found: set[int] = set()
    parts = json.loads(schedule)
    for part in parts if isinstance(parts, list) else [parts]:
        if "at" in part:
            found.add(instant_of(part["at"]))
        elif "every" in part:
            period, offset = milliseconds(part["every"]), milliseconds(part.get("offset", "0ms"))
            first = EPOCH - 60_000 - (EPOCH - 60_000 - offset) % period
            found.update(range(first, FAR, period))
        else:
            found.update(_all_cron(part["cron"]))
    return tuple(sorted(found))


@lru_cache(maxsize=100)
def _all_cron(expression: str) -> tuple[int, ...]:
    zero = datetime.fromisoformat(_EPOCH_TEXT).replace(tzinfo=None)
    return tuple(
        second * 1000
        for second in range(EPOCH // 1000 - 60, FAR // 1000)
        if matches(expression, zero + timedelta(seconds=second))
    )
