"""Names that are probably not what was meant: a pattern where a name belongs, a name that no job has."""

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
