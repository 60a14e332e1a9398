"""Holds: named standing pauses over sets of jobs. Selectors say which, a window says when."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from kadence.domain import fields as read
from kadence.domain.duration import format_duration, format_time
from kadence.domain.fields import InvalidError, read_fields
from kadence.domain.names import TAG
from kadence.domain.spec import policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kadence.domain.spec import Policy

MAX_HOLDS: Final = 1_000
_MAX_PATTERNS: Final = 1_000
_GLOB: Final = re.compile(r"[A-Za-z0-9._*?\[\]!^-]{1,250}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Matches:
    """One side of a selector: globs over names, and tags. Within a list any entry matches."""

    names: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    _pattern: re.Pattern[str] | None = field(init=False, repr=False, compare=False)
    _tags: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile once; a hold is matched against every job of a shard."""
        joined = "|".join(f"(?:{glob_expression(glob)})" for glob in self.names)
        object.__setattr__(self, "_pattern", re.compile(joined, re.ASCII) if self.names else None)
        object.__setattr__(self, "_tags", frozenset(self.tags))

    def name_matches(self, name: str) -> bool:
        """Whether any glob matches the whole name."""
        return self._pattern is not None and self._pattern.fullmatch(name) is not None

    def tag_matches(self, tags: Iterable[str]) -> bool:
        """Whether any tag is among these."""
        return not self._tags.isdisjoint(tags)

    def document(self) -> dict[str, object]:
        """The contract's JSON."""
        return {key: list(value) for key, value in (("names", self.names), ("tags", self.tags)) if value}


_NOTHING: Final = Matches()


@dataclass(frozen=True, slots=True)
class Selector:
    """Which jobs: all, or those that match ``only`` (names and tags both, where given), less what ``never`` has."""

    only: Matches | None = None
    never: Matches = _NOTHING

    def matches(self, name: str, tags: Iterable[str]) -> bool:
        """Whether a job with this name and these tags is selected."""
        if self.only is not None:
            if self.only.names and not self.only.name_matches(name):
                return False
            if self.only.tags and not self.only.tag_matches(tags):
                return False
        return not (self.never.name_matches(name) or self.never.tag_matches(tags))

    def document(self) -> dict[str, object]:
        """The contract's JSON."""
        found: dict[str, object] = {"all": True} if self.only is None else self.only.document()
        excluded = self.never.document()
        return {**found, "not": excluded} if excluded else found


def glob_expression(glob: str) -> str:
    """A regular expression for a glob that knows ``*``, ``?`` and ``[...]`` only. Raises `InvalidError`.

    What stands between two stars is matched at its first place and never tried again (an atomic group), as a later
    place can do no better: no glob takes more than quadratic time.
    """
    if not _GLOB.fullmatch(glob):
        msg = f"{glob[:64]!r} is no glob: characters of names, '*', '?' and '[...]'"
        raise InvalidError(msg)
    parts, rest = [""], glob
    while rest:
        char, rest = rest[0], rest[1:]
        if char == "*":
            parts.append("")
        elif char == "[":
            inside, closed, rest = rest.partition("]")
            if not closed or not inside.strip("!^") or "[" in inside:
                msg = f"{glob[:64]!r} is no glob: '[' needs a ']' with characters between"
                raise InvalidError(msg)
            parts[-1] += _one_of(inside, glob)
        else:
            parts[-1] += "." if char == "?" else re.escape(char)
    first, *others = parts
    if not others:
        return first
    return first + "".join(f"(?>.*?{part})" for part in others[:-1] if part) + ".*" + others[-1]


def _one_of(inside: str, glob: str) -> str:
    """The expression for ``[...]``: characters and ranges, all others where it begins with ``!`` or ``^``."""
    negated = inside[0] in "!^"
    members, found = inside[1:] if negated else inside, ""
    while members:
        first, members = members[0], members[1:]
        found += re.escape(first)
        if members[:1] == "-" and len(members) > 1:
            last, members = members[1], members[2:]
            if last < first:
                msg = f"{glob[:64]!r} is no glob: a range in '[...]' runs backwards"
                raise InvalidError(msg)
            found += "-" + re.escape(last)
    return f"[{'^' if negated else ''}{found}]"


def _patterns(check: Callable[[str], object]) -> Callable[[object], tuple[str, ...]]:
    def parse(value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not value or len(value) > _MAX_PATTERNS:
            msg = f"must be a list of 1 to {_MAX_PATTERNS} strings"
            raise InvalidError(msg)
        for item in value:
            check(read.text(item))
        return tuple(value)

    return parse


def _tag(value: str) -> None:
    if not TAG.fullmatch(value):
        msg = f"{value[:64]!r} is no tag"
        raise InvalidError(msg)


_SIDES: Final = {"names": _patterns(glob_expression), "tags": _patterns(_tag)}


def _matches(value: object) -> Matches:
    found = cast("dict[str, tuple[str, ...]]", read_fields(value, _SIDES, "not"))
    if not found:
        msg = "must name at least one of names and tags"
        raise InvalidError(msg)
    return Matches(**found)


def parse_selector(value: object) -> Selector:
    """A selector out of the contract's JSON. Raises `InvalidError`; an empty selector is an error."""
    found = read_fields(value, {**_SIDES, "all": read.boolean, "not": _matches}, "match")
    never = cast("Matches", found.pop("not", _NOTHING))
    everything = found.pop("all", False)
    if everything and found:
        msg = "'all' goes without names and tags; narrow it with 'not'"
        raise InvalidError(msg)
    if not everything and not found:
        msg = "selects nothing: give names, tags, or all: true"
        raise InvalidError(msg)
    return Selector(None if everything else Matches(**cast("dict[str, tuple[str, ...]]", found)), never)


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold as wanted: selector, window [start, end) in ms, and what becomes of due times it kept from firing."""

    match: Selector
    start: int | None = None
    end: int | None = None
    every: str | None = None
    catch_up: Policy | None = None
    spread: int = 0

    def covers(self, instant: int) -> bool:
        """Whether a firing instant lies in the hold's window."""
        return (self.start is None or self.start <= instant) and (self.end is None or instant < self.end)

    def document(self) -> dict[str, object]:
        """The contract's JSON."""
        found: dict[str, object] = {"match": self.match.document()}
        for name in ("start", "end"):
            if getattr(self, name) is not None:
                found[name] = format_time(getattr(self, name))
        if self.every is not None:
            found["every"] = json.loads(self.every)
        if self.catch_up is not None:
            found["catch_up"] = self.catch_up
        if self.spread:
            found["spread"] = format_duration(self.spread)
        return found


def _every(value: object) -> str:
    found = read_fields(value, {"cron": read.text, "timezone": read.text, "duration": read.positive_duration}, "every")
    if not {"cron", "duration"} <= found.keys():
        msg = "takes cron, timezone and duration"
        raise InvalidError(msg)
    return json.dumps(value)


_FIELDS: Final = {
    "match": parse_selector,
    "start": read.time,
    "end": read.time,
    "every": _every,
    "catch_up": policy,
    "spread": read.duration,
}


def parse_hold(value: object) -> Hold:
    """A hold out of the contract's JSON. Raises `InvalidError`."""
    found = read_fields(value, _FIELDS, "a hold")
    if "match" not in found:
        msg = 'match is missing: say which jobs, such as {"tags": ["batch"]} or {"all": true}'
        raise InvalidError(msg)
    start, end = cast("int | None", found.get("start")), cast("int | None", found.get("end"))
    if start is not None and end is not None and end <= start:
        msg = "end: must be later than start"
        raise InvalidError(msg)
    return Hold(**found)  # type: ignore[arg-type]  # read above
