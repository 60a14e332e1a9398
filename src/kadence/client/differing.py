"""Two definitions of a job, field by field, by what they mean."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Final

from kadence.domain.spec import JobSpec, compact_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NEVER_COMPARED: Final = frozenset({"paused"})
"""Read when a job is created, and never again."""
_SMALL: Final = 60
"""Bytes of JSON up to which a value is shown."""


@dataclass(frozen=True, slots=True)
class Change:
    """A field that differs, as the contract spells it, parts with a dot. ``old`` and ``new`` are JSON values.

    None: it is not given, and at its default if it has one. ``small``: both are short enough to be shown.
    """

    field: str
    old: object
    new: object

    @property
    def small(self) -> bool:
        """Whether both values are short."""
        return all(len(compact_json(value)) <= _SMALL for value in (self.old, self.new))


def differing(known: JobSpec, wanted: JobSpec) -> tuple[Change, ...]:
    """The fields that differ."""
    before, after = known.document(), wanted.document()
    return tuple(Change(name, _at(before, name), _at(after, name)) for name in _names(known, wanted))


def _names(known: JobSpec, wanted: JobSpec) -> Iterator[str]:
    for name in ("schedule", "start", "end"):
        if getattr(known.timing, name) != getattr(wanted.timing, name):
            yield name
    for field in fields(JobSpec):
        if field.name == "timing" or field.name in _NEVER_COMPARED:
            continue
        before, after = getattr(known, field.name), getattr(wanted, field.name)
        if before == after:
            continue
        parts = [] if field.name == "payload" else list(_parts(before, after))
        yield from (f"{field.name}.{part}" for part in parts) if parts else (field.name,)


def _parts(before: Any, after: Any) -> Iterator[str]:  # noqa: ANN401  the value of any field
    if is_dataclass(before) and type(before) is type(after):
        for field in fields(before):
            if getattr(before, field.name) != getattr(after, field.name):
                yield field.name


def _at(document: Mapping[str, object], name: str) -> object:
    outer, _, inner = name.partition(".")
    if outer == "payload":
        return next((document[field] for field in document if field.startswith("payload")), None)
    found = document.get(outer)
    return found.get(inner) if inner and isinstance(found, dict) else found
