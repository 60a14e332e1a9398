"""What a worker says in its own log about its jobs: what somebody should look at. The whole story is in the events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kadence.domain.decision import Decision, Happening

_ALARMING: Final = {"job.errored": "job errored", "record.rejected": "record rejected"}
_TOLD: Final = 10
_LONGEST: Final = 1_000


def alarms(decision: Decision, events: str) -> Iterator[str]:
    """One line for each of the first few; ``events`` is the topic that has them all."""
    found = [happening for happening in decision.happenings if happening.kind in _ALARMING]
    for happening in found[:_TOLD]:
        yield _plain(f"{_ALARMING[happening.kind]}: {_subject(happening)}: {happening.reason}")
    if len(found) > _TOLD:
        yield f"... and {len(found) - _TOLD} more like these; see {events}"


def _subject(happening: Happening) -> str:
    """What it is about: a job's name; of a record its key, as far as it can be read, and its place."""
    detail = happening.detail
    if "topic" not in detail:
        return happening.name
    place = f"{detail['topic']}[{detail['partition']}] at offset {detail.get('offset', happening.offset)}"
    key = detail.get("key") or happening.name
    return f"{key} ({place})" if key else place


def _plain(line: str) -> str:
    """Nothing that a stranger wrote makes a line of its own, or a long one."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line[:_LONGEST])
