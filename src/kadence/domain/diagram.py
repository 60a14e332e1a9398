"""The page of a job's states (docs/states.md), drawn from the transition tables so that it cannot say otherwise."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

from kadence.domain.job import FITNESS, OPERATOR, Fitness, Operator, Signal, effective_state

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import Enum

_HEAD: Final = """\
# The states of a job

Two axes that never move each other, and holds, which live outside the job. This page is drawn from the transition
tables in `kadence.domain.job` (by `kadence.domain.diagram`); a test fails when it is stale.
"""

_SIGNALS: Final[Mapping[Signal, str]] = {
    Signal.PAUSE: '`pause/<name>` with `{"paused": true}`, or a job created with `"paused": true`',
    Signal.RESUME: '`pause/<name>` with `{"paused": false}`',
    Signal.LIFT: "`pause/<name>` with null, or its key absent at a takeover",
    Signal.EXPIRE: "the pause's `until` has come",
    Signal.TRIP: "as many failed runs as `breaker.failures` stand in the streak",
    Signal.RECOVER: "the probe run that `breaker.probe_after` asks for succeeded",
    Signal.LOSE_TARGET: "the target topic cannot be written, or took a record no more",
    Signal.FIND_TARGET: "the target topic can be written again, or the job has another target",
}


def page() -> str:
    """The whole page, in Markdown."""
    return "\n".join(
        [_HEAD, *_signals(), *_axis("The operator's axis", OPERATOR), *_axis("The breaker's axis", FITNESS), *_shown()]
    )


def row(state: Enum, signal: Signal, after: Enum) -> str:
    """One row of a transition table."""
    moved = f"**{after.value}**" if after is not state else after.value
    return f"| {state.value} | {signal.value} | {moved} |"


def _signals() -> list[str]:
    lines = [f"| {signal.value} | {meaning} |" for signal, meaning in _SIGNALS.items()]
    return ["## What moves it", "", "| signal | comes from |", "|---|---|", *lines, ""]


def _axis(
    title: str, table: Mapping[tuple[Operator, Signal], Operator] | Mapping[tuple[Fitness, Signal], Fitness]
) -> list[str]:
    rows = [(state, signal, after) for (state, signal), after in table.items()]
    arrows = [
        f"    {_id(state)} --> {_id(after)}: {signal.value}" for state, signal, after in rows if state is not after
    ]
    states = dict.fromkeys(state for state, _, _ in rows)
    return [
        f"## {title}",
        "",
        "```mermaid",
        "stateDiagram-v2",
        f"    [*] --> {_id(next(iter(states)))}",
        *arrows,
        "```",
        "",
        "| state | signal | then |",
        "|---|---|---|",
        *(row(*each) for each in rows),
        "",
    ]


def _shown() -> list[str]:
    lines = [
        f"| {operator.value} | {fitness.value} | {'yes' if held else 'no'} "
        f"| {effective_state(operator, fitness, held=held, finished=False).value} |"
        for operator, fitness, held in product(Operator, Fitness, (False, True))
    ]
    return [
        "## What people see",
        "",
        "A job with no due time left, and nothing owed, shows `finished` whatever the axes say.",
        "",
        "`kadence list` has two more words, for a job that no shard carries: `pending`, its record has not been read",
        "yet; `rejected`, it was read and refused, and there is no earlier definition. See [cli.md](cli.md#list).",
        "",
        "| operator | breaker | held | shown |",
        "|---|---|---|---|",
        *lines,
        "",
    ]


def _id(state: Enum) -> str:
    return str(state.value)
