"""Signs of life: what is shown of a job is what its shard's owner last wrote, and there may be no owner any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kadence.cli.output import note
from kadence.domain.duration import format_time
from kadence.log.topics import namespace_option

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kadence.view import JobView

_SILENCE: Final = 60_000
"""Twice what an idle owner lets pass between two cursors (ms)."""
_EACH: Final = 5


def warn_of_silence(jobs: Iterable[JobView], namespace: str, now: int) -> None:
    """Say in one line on stderr which of these jobs' shards have no living worker, as far as the log can tell."""
    silent = {job.shard: job.heard for job in jobs if job.heard is None or now - job.heard > _SILENCE}
    if not silent:
        return
    heard = [moment for moment in silent.values() if moment is not None]
    told = f"has shown a sign of life since {format_time(max(heard))} for" if heard else "has ever run"
    remedy = f"start one with `kadence worker{namespace_option(namespace)}`"
    note(f"warning: no worker {told} {_named(sorted(silent))}: nothing fires there; {remedy}")


def _named(shards: list[int]) -> str:
    if len(shards) == 1:
        return f"shard {shards[0]}"
    shown = ", ".join(str(shard) for shard in shards[:_EACH])
    return f"shards {shown}" + (f" and {len(shards) - _EACH} more" if len(shards) > _EACH else "")
