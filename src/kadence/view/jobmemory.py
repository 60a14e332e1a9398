"""What a job's state record remembers of its runs, beside what the fold's own reader gives.

TO BE SWAPPED for the fields of ``kadence.domain.job.Job`` once ``kadence.wire.state.decode_job`` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kadence.domain.duration import parse_time
from kadence.domain.fields import InvalidError
from kadence.wire import strict


@dataclass(frozen=True, slots=True)
class JobMemory:
    """When the breaker's next probe is due, how many failed, and when a run last succeeded (ms)."""

    probe_at: int | None = None
    probes: int = 0
    succeeded_at: int | None = None


NO_MEMORY: Final = JobMemory()
_NAMES: Final = (b'"probe_at"', b'"probes"', b'"succeeded_at"')


def read_memory(value: bytes) -> JobMemory:
    """What is there and can be read; few records have any of it, so most are not parsed for it."""
    if not any(name in value for name in _NAMES):
        return NO_MEMORY
    try:
        found = strict.loads(value, own=True)
    except InvalidError:
        return NO_MEMORY
    if not isinstance(found, dict):
        return NO_MEMORY
    breaker = found.get("breaker")
    within = breaker if isinstance(breaker, dict) else {}
    probes = within.get("probes")
    return JobMemory(
        _time(within.get("probe_at")), probes if type(probes) is int else 0, _time(found.get("succeeded_at"))
    )


def _time(value: object) -> int | None:
    try:
        return parse_time(value)
    except ValueError:
        return None
