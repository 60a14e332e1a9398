"""What a job may ask for and this version keeps without acting on it (docs/status.md), so that nobody relies on it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from kadence.client.commands import Command

    Document = Mapping[str, object]

_EACH: Final = 3


_UNHEEDED: Final[tuple[tuple[str, Callable[[Document], bool], str], ...]] = (
    ("max_runs", lambda job: job.get("max_runs") is not None, "a job does not finish by it"),
)
"""A field, whether a definition asks for it, and what that means to its owner."""


def unheeded(written: Iterable[Command]) -> list[str]:
    """One sentence for each such field that any of these jobs gives, naming the first few of them."""
    asking: dict[str, list[str]] = {field: [] for field, _, _ in _UNHEEDED}
    for command in written:
        if command.kind != "job" or command.value is None:
            continue
        job = json.loads(command.value)
        for field, asks, _ in _UNHEEDED:
            if asks(job):
                asking[field].append(command.name)
    return [
        f"{field} is kept but not acted on by this version of kadence ({so}): {_named(asking[field])}"
        for field, _, so in _UNHEEDED
        if asking[field]
    ]


def _named(jobs: list[str]) -> str:
    shown = ", ".join(jobs[:_EACH])
    more = f" and {len(jobs) - _EACH} more" if len(jobs) > _EACH else ""
    return f"job{'' if len(jobs) == 1 else 's'} {shown}{more}"
