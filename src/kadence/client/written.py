"""What became of a record that was written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from kadence.errors import NotConfirmedError, RejectedError

if TYPE_CHECKING:
    from collections.abc import Sequence

Fate = Literal["in_force", "recorded", "rejected"]
"""``recorded``: it is in the log and not lost, but no worker has confirmed it (or nobody waited for one)."""


@dataclass(frozen=True, slots=True)
class Written:
    """One control record: its place in the control topic, its broker time (ms), and what its shard made of it.

    ``error`` says why it was rejected. ``found``: whether the job or hold that it is about was there (one
    that is taken away: in force, or rejected); None where that is not known, because no worker confirmed the record.
    """

    kind: str
    name: str
    offset: int
    timestamp: int
    fate: Fate
    error: str | None = None
    found: bool | None = None

    @property
    def in_force(self) -> bool:
        """Whether a worker has applied it."""
        return self.fate == "in_force"


def raise_for(written: Sequence[Written]) -> None:
    """Raise `RejectedError` or `NotConfirmedError` where not everything is in force."""
    rejected = [one for one in written if one.fate == "rejected"]
    if rejected:
        first = rejected[0]
        others = f" (and {len(rejected) - 1} more of {len(written)} records)" if len(rejected) > 1 else ""
        raise RejectedError(
            f"{first.kind} {first.name} was rejected at offset {first.offset}{others}: {first.error}; "
            "what was in force before still is"
        )
    late = [one for one in written if one.fate == "recorded"]
    if late:
        others = f" (and {len(late) - 1} more of {len(written)} records)" if len(late) > 1 else ""
        raise NotConfirmedError(
            f"{late[0].kind} {late[0].name} is recorded at offset {late[0].offset}{others} but no worker has confirmed "
            "it in time; it comes into force once a worker runs",
            late[-1].offset,
        )
