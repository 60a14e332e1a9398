"""State records of runs, read as the view needs them.

TO BE SWAPPED for ``kadence.wire.state.decode_run`` and its record: the names below are those of the contract's fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from kadence.domain.fields import choice
from kadence.domain.firing import read_firing
from kadence.domain.stimulus import MAX_LINE, Rejected
from kadence.wire import control, strict
from kadence.wire.state.parts import explained, optional_instant, optional_text, read_object, text, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

RunStatus = Literal["fired", "started", "failed", "snoozed", "succeeded", "timed_out", "cancelled", "expired", "lost"]
STATUSES: Final = ("fired", "started", "failed", "snoozed", "succeeded", "timed_out", "cancelled", "expired", "lost")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run as its shard's owner has it. Instants in ms; ``settled_at`` is None while it is open.

    A run that ``failed`` and is open waits for its next attempt at ``next_at``.
    """

    run: str
    status: RunStatus
    attempt: int = 1
    n: int = 1
    time: int | None = None
    cause: str | None = None
    fired: int | None = None
    started: int | None = None
    next_at: int | None = None
    settled_at: int | None = None
    error: str | None = None

    @property
    def open(self) -> bool:
        """Whether its shard's owner still waits for something of it."""
        return self.settled_at is None and self.status in {"fired", "started", "failed", "snoozed"}

    @property
    def heard(self) -> int:
        """The newest instant that it tells of."""
        return self.settled_at or max(self.fired or 0, self.started or 0, self.time or 0)


_status = choice(*STATUSES)


def decode_run(run: str, value: bytes) -> RunRecord | Rejected:
    """The run that a state record describes."""
    try:
        about = read_firing(run)
        if about is None or about.n > 1:
            return Rejected(f"state record run/{run[:300]}: that is no run", value[: control.EXCERPT])
        return _read(run, read_object(strict.loads(value, own=True)))
    except (ValueError, KeyError) as error:
        return Rejected(f"state record run/{run[:300]}: {explained(error)}", value[: control.EXCERPT])


def _read(run: str, found: Mapping[str, object]) -> RunRecord:
    error = optional_text(found.get("error"))
    return RunRecord(
        run=run,
        status=_status(text(found["status"])),  # type: ignore[arg-type]  # one of STATUSES
        attempt=whole(found.get("attempt", 1)),
        n=whole(found.get("n", 1)),
        time=optional_instant(found.get("time")),
        cause=optional_text(found.get("cause")),
        fired=optional_instant(found.get("fired")),
        started=optional_instant(found.get("started")),
        next_at=optional_instant(found.get("next_at")),
        settled_at=optional_instant(found.get("settled_at")),
        error=None if error is None else " ".join(error.split())[:MAX_LINE],
    )
