"""The oracle's judgement of runs: attempts within the spec, firings without gaps, and an end for each of them."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from tests.sim.wishes import due_times, instant_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kadence.log.port import Record
    from tests.sim.oracle import CursorSeen, Execution
    from tests.sim.wishes import Wishes

_OPEN: Final = ("fired", "started", "snoozed", "failed", "timed_out")
_LATE: Final = 8_000
"""Milliseconds in which executors that answer at once and a longest retry let any run come to its end."""


def attempts(executions: Iterable[Execution], outcomes: Iterable[Record], wishes: Wishes) -> Iterator[str]:
    """No run is attempted more often than its job's spec ever said, and none is fired for the n-th time out of turn."""
    snoozed = Counter(id_.partition("#")[0] for id_ in set(_snoozed(outcomes)))
    by_run: dict[str, list[Execution]] = defaultdict(list)
    for execution in executions:
        by_run[execution.run].append(execution)
    for run, firings in by_run.items():
        specs = [wish.value for wish in wishes.of(f"job/{firings[0].name}") if wish.value is not None]
        most = max((spec.get("retry", {}).get("attempts", 1) for spec in specs), default=1)
        for execution in firings:
            allowed = 1 if "!probe-" in run else most
            if execution.attempt > allowed or execution.n > allowed + snoozed[run]:
                yield f"{execution.id} at {execution.at} is attempt {execution.attempt} of {allowed}"
        firings.sort(key=lambda execution: execution.n)
        if firings[0].n != 1 or any(two.n - one.n > 1 or two.attempt < one.attempt for one, two in pairwise(firings)):
            yield f"{run} was fired as {[(it.n, it.attempt) for it in firings]}"


def _snoozed(outcomes: Iterable[Record]) -> Iterator[str]:
    """The firings that were reported as snoozed."""
    for record in outcomes:
        if b'"snoozed"' in (record.value or b""):
            yield json.loads(record.value or b"{}")["id"]


def unfinished(ends: Iterable[CursorSeen], end: int) -> Iterator[str]:
    """What is still open, or errored, of the jobs that are executed, though every executor has answered."""
    for cursor in ends:
        for key, record in cursor.state.items():
            if key.startswith("run/work") and "settled_at" not in record:
                since = instant_of(record.get("next_at", record["fired"]))
                if since < end - _LATE or record["status"] not in _OPEN:
                    yield f"{key} never ended: {record}"
            if key.startswith("job/work") and record["state"] != "running":
                yield f"{key} is {record['state']} at the end: {record}"


def told_twice(events: Iterable[Record], letters: Iterable[Record]) -> Iterator[str]:
    """A run fails once, and becomes one dead letter."""
    told = [json.loads(event.value or b"{}") for event in events if _kind(event) == "run_failed"]
    failures = Counter(event["run"] for event in told)
    lost = Counter(event["run"] for event in told if "not_kept" in event)
    kept = Counter(dict(letter.headers)["kadence.errors.run"].decode() for letter in letters)
    for run, count in failures.items():
        if count != 1 or kept[run] + lost[run] != 1:
            yield f"{run} failed {count} times and became {kept[run]} dead letters"


def unaccounted(
    executions: Iterable[Execution], events: Iterable[Record], ends: Iterable[CursorSeen], wishes: Wishes
) -> Iterator[str]:
    """Each due time of a job that is executed has run, was told as dropped, or is in a record: left out, or owed."""
    told: Counter[str] = Counter()
    for event in events:
        if _kind(event) in {"dropped", "missed"}:
            told[(event.key or b"").decode()] += json.loads(event.value or b"{}")["count"]
    ran: dict[str, set[int]] = defaultdict(set)
    for execution in executions:
        if execution.due is not None:
            ran[execution.name].add(execution.due)
    for cursor in ends:
        for name in sorted(key.removeprefix("job/") for key in cursor.state if key.startswith("job/work")):
            first = wishes.of(f"job/{name}")[0]
            through = cursor.through if cursor.after is None or name <= cursor.after else cursor.through - 1
            dues = set(due_times(first.value or {}, first.at, through))
            left = sum(
                record["skipped"]["count"]
                for key, record in cursor.state.items()
                if key.startswith(f"run/{name}") and "skipped" in record and "settled_at" not in record
            )
            owed = set[int]()
            for part in cursor.state[f"job/{name}"].get("progress", []):
                low = instant_of(part["after"]) if "after" in part else 0
                owed |= set(due_times(first.value or {}, low, instant_of(part["through"])))
            missing = len(dues - ran[name] - owed) - told[name] - left
            if missing:
                yield f"{name}: of {len(dues)} due times {missing} are neither executed nor told of"


def _kind(event: Record) -> str:
    return dict(event.headers)["ce_type"].decode().split(".")[-2]
