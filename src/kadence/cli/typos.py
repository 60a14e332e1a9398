"""What is in force and probably not what was meant: names that no job has, holds over none, jobs that stay errored."""

from __future__ import annotations

import difflib
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import click

from kadence.cli.output import note
from kadence.errors import KadenceError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from kadence.client import Client, Written

_WILD: Final = frozenset("*?[")
_EACH: Final = 5


def refuse_patterns(names: Sequence[str], verb: str) -> None:
    """Raise a usage error for a name that is a pattern, with the commands that take one."""
    for name in names:
        if not _WILD.isdisjoint(name):
            raise click.UsageError(
                f"{verb} takes names, and {name!r} is a pattern: all jobs that match are paused by "
                f"`kadence hold HOLD --name '{name}'`, and come back with `kadence release HOLD`"
            )


def hint_at_names(client: Client, written: Sequence[Written], take_back: str = "") -> None:
    """Say on stderr which of these commands are about no job, and which job may have been meant.

    A pause may precede its job, so that none of them is wrong. ``take_back`` is the command that undoes one.
    """
    unknown = [one for one in written if one.fate != "rejected" and one.found is not True]
    if not unknown:
        return
    with suppress(KadenceError):  # the commands themselves were written; this is an afterthought
        known = client.status().jobs
        for one in unknown:
            near = _nearest(one.name, known)
            if one.name in known:
                continue
            if near:
                undo = f" To take this back: {take_back} {one.name}" if take_back else ""
                note(f"there is no job {one.name}; did you mean {near}?{undo}")
            elif one.found is None:
                note(f"there is no job {one.name} yet")


def _nearest(name: str, known: Collection[str]) -> str:
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.6)), "")


def hint_at_nothing_held(client: Client, name: str, tags: Sequence[str]) -> None:
    """Say on stderr that a hold is over no job now, and which tag may have been meant."""
    with suppress(KadenceError):
        view = client.status()
        hold = view.holds.get(name)
        if hold is None or hold.matched:
            return
        known = {tag for job in view.jobs.values() for tag in job.tags}
        near = [found for tag in tags if tag not in known and (found := _nearest(tag, known))]
        meant = f"; did you mean --tag {near[0]}?" if near else ""
        note(f"hold {name} is over no job now, only over those created later that match{meant}")


def hint_at_errored(client: Client, written: Sequence[Written]) -> None:
    """Say on stderr which of these jobs are errored all the same, and why."""
    names = {one.name for one in written if one.fate == "in_force"}
    if not names:
        return
    with suppress(KadenceError):
        errored = [job for job in client.list(states=["errored"]) if job.name in names]
        for job in errored[:_EACH]:
            note(f"job {job.name} is errored: {job.reason}")
        if len(errored) > _EACH:
            note(f"… and {len(errored) - _EACH} more; see kadence list --state errored")
