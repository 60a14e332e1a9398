"""Runs and their firings by name: the one place that spells and reads ``ce_id`` (contract, "Executions").

A *run* is the idempotency key: ``<job>@<due>``, ``<job>@<due>!<id>`` (backfilled), ``<job>!<id>`` (triggered) or
``<job>!probe-<ms>``. A run may be fired several times, for a retry or after a snooze; the n-th *firing*, n > 1,
appends ``#n``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from kadence.domain.duration import format_time, parse_time
from kadence.domain.names import ID, NAME, PROBE_PREFIX

MOST_FIRINGS: Final = 1_000_000
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,6}", re.ASCII)


class Firing(NamedTuple):
    """What a ``ce_id`` says: the run, its job, its due time (ms) or the id of a command, and which firing of it.

    ``due`` is None for a triggered run or a probe, ``command`` None for a scheduled due time.
    """

    run: str
    job: str
    due: int | None
    command: str | None
    n: int

    @property
    def scheduled(self) -> bool:
        """Whether the run is of a due time of the schedule itself: the only kind that counts for the breaker."""
        return self.due is not None and self.command is None

    @property
    def probe(self) -> bool:
        """Whether the run is one of the breaker's own."""
        return self.due is None and (self.command or "").startswith(PROBE_PREFIX)


@lru_cache(maxsize=4096)
def due_text(instant: int) -> str:
    """A due time as it stands in ids and headers; asked for by every job of a burst."""
    return format_time(instant)


def run_id(job: str, due: int, command: str | None = None) -> str:
    """The run of a due time, or of a command (a trigger or a probe)."""
    return f"{job}@{due_text(due)}" if command is None else f"{job}!{command}"


def firing_id(run: str, n: int) -> str:
    """The ``ce_id`` of the n-th firing of a run."""
    return run if n == 1 else f"{run}#{n}"


def read_firing(text: str) -> Firing | None:
    """The firing that a ``ce_id`` names; None for a text that kadence would not have written.

    A due time in another spelling names no run: the same one could be counted twice.
    """
    run, hash_, number = text.partition("#")
    if hash_ and (not _NUMBER.fullmatch(number) or number == "1"):
        return None
    n = int(number) if hash_ else 1
    named, bang, command = run.partition("!")
    job, at, due = named.partition("@")
    if not NAME.fullmatch(job) or n > MOST_FIRINGS or (bang and not ID.fullmatch(command)) or not (at or bang):
        return None
    if not at:
        return Firing(run, job, None, command, n)
    try:
        instant = parse_time(due)
    except ValueError:
        return None
    return Firing(run, job, instant, command if bang else None, n) if format_time(instant) == due else None
