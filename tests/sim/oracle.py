"""Judges a finished simulation from the log alone: what must never be, and what must have come about."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from tests.sim.machine import NAMESPACE
from tests.sim.oracle_runs import attempts, told_twice, unaccounted, unfinished
from tests.sim.wishes import (
    FAR,
    Wish,
    delay_of,
    due_times,
    instant_of,
    read_control,
    selects,
    shard_of,
)
from tests.sim.workload import TARGETS
from tests.sim.world import SHARDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kadence.log.port import Record
    from tests.sim.world import World

SLACK: Final = 3_000
"""Milliseconds that may pass between a decision and the append of its last record."""
_MISJUDGED: Final = 250
"""A clock that moves by less than this goes unnoticed between two commits."""
_LIMIT: Final = 30_000


@dataclass(frozen=True)
class Execution:
    """One committed execution, the ``n``-th of its run. ``due`` is None for a trigger or probe."""

    at: int
    id: str
    run: str
    n: int
    attempt: int
    name: str
    due: int | None
    cause: str
    topic: str


@dataclass(frozen=True)
class CursorSeen:
    """One committed cursor, with the state records of its shard as they stood then."""

    at: int
    through: int
    after: str | None
    control: int
    outcomes: int
    rejected: frozenset[int]
    state: dict[str, dict[str, Any]]


class Oracle:
    """Reads a world's observer once; the checks yield a sentence per violation."""

    def __init__(self, world: World) -> None:
        records = world.observer.records
        self.ahead = max([0, *world.skews])
        self.behind = -min([0, *world.skews])
        self.torn, self.halves = world.observer.torn, world.observer.halves
        self.outcomes = world.observer.all(f"{NAMESPACE}.outcomes")
        self.events = world.observer.all(f"{NAMESPACE}.events")
        self.letters = world.observer.all(f"{NAMESPACE}.dead_letters")
        self.wishes = read_control(records[f"{NAMESPACE}.control", 0], SHARDS)
        self.executions = sorted(
            (self._execution(record) for place in records for record in records[place] if _is_target(place[0])),
            key=lambda execution: execution.at,
        )
        self.cursors = [self._cursors(records[f"{NAMESPACE}.state", shard]) for shard in range(SHARDS)]

    @staticmethod
    def _execution(record: Record) -> Execution:
        headers = dict(record.headers)
        id_, name = headers["ce_id"].decode(), headers["ce_subject"].decode()
        run, _, n = id_.partition("#")
        due = instant_of(run.removeprefix(f"{name}@")) if run.startswith(f"{name}@") else None
        attempt, cause = int(headers.get("ce_attempt", b"1")), headers.get("ce_cause", b"schedule").decode()
        return Execution(record.timestamp, id_, run, int(n or 1), attempt, name, due, cause, record.topic)

    @staticmethod
    def _cursors(records: list[Record]) -> list[CursorSeen]:
        state: dict[str, dict[str, Any]] = {}
        found = []
        for record in records:
            key = (record.key or b"").decode()
            if record.value is None:
                state.pop(key, None)
            elif key == "cursor":
                value = json.loads(record.value)
                found.append(
                    CursorSeen(
                        record.timestamp,
                        instant_of(value["through"]),
                        value["after"],
                        value["control"],
                        value["outcomes"],
                        frozenset(item["offset"] for item in value["rejected"]),
                        dict(state),
                    )
                )
            else:
                state[key] = json.loads(record.value)
        return found

    def _around(self, execution: Execution) -> tuple[CursorSeen | None, CursorSeen | None]:
        """The last cursor before an execution, and the one of its own transaction (None: there was none)."""
        cursors = self.cursors[shard_of(execution.name, SHARDS)]
        index = bisect_right(cursors, execution.at, key=lambda cursor: cursor.at)
        return cursors[index - 1] if index else None, cursors[index] if index < len(cursors) else None

    # --- safety ------------------------------------------------------------------------------------------

    def violations(self) -> Iterator[str]:
        """Everything that must never be."""
        yield from self._twice()
        for execution in self.executions:
            # What half a transaction left was decided on what never became the state: it may be one too many.
            if execution.due is not None and not self.torn[execution.id.encode()]:
                yield from self._out_of_schedule(execution, execution.due)
            if execution.due is not None or execution.cause != "trigger":
                yield from self._while_kept(execution)
        yield from attempts(self.executions, self.outcomes, self.wishes)
        for shard in range(SHARDS):
            yield from self._backwards(shard)
            yield from self._unacknowledged(shard)

    def _twice(self) -> Iterator[str]:
        for id_, count in Counter(execution.id for execution in self.executions).items():
            if count > 1 + self.torn[id_.encode()]:
                yield f"{id_} was committed {count} times: {[e.at for e in self.executions if e.id == id_]}"

    def _out_of_schedule(self, execution: Execution, due: int) -> Iterator[str]:
        """Nothing early, and only what some spec of the job had asked for while it stood."""
        versions = self.wishes.of(f"job/{execution.name}")
        early = False
        for index, version in enumerate(versions):
            if version.value is None:
                continue
            ends = self._decided_up_to(execution.name, versions[index + 1]) if index + 1 < len(versions) else FAR
            begins = version.at - (_LIMIT if "at" in version.value["schedule"] else 0)
            if not begins < due <= ends or due not in due_times(version.value, due - 1, due):
                continue
            fires = due + delay_of(execution.name, version.value)
            if execution.at + self.ahead >= min(fires, max(ends, due)):
                return
            early = True
        yield f"{execution.id} at {execution.at} ({execution.at - due} ms after due): {'early' if early else 'not due'}"

    def _decided_up_to(self, name: str, wish: Wish) -> int:
        """Up to which instant the spec before this one may have decided: the cursor had got so far already."""
        cursors = self.cursors[shard_of(name, SHARDS)]
        index = bisect_right(cursors, wish.offset, key=lambda cursor: cursor.control)
        if index == len(cursors):
            return FAR
        records = [cursor.state.get(f"job/{name}", {}) for cursor in cursors[max(index - 1, 0) : index + 1]]
        floors = [instant_of(record["floor"]) for record in records if "floor" in record]
        return max(wish.at, cursors[index].through, *floors, 0)

    def _lifted_by(self, name: str, wish: Wish) -> int:
        """When a pause or hold is over for certain: one that ends by itself may do so before its release is read."""
        cursors = self.cursors[shard_of(name, SHARDS)]
        index = bisect_right(cursors, wish.offset, key=lambda cursor: cursor.control)
        return max(wish.at, cursors[index].through) if index < len(cursors) else FAR

    def _while_kept(self, execution: Execution) -> Iterator[str]:
        before, own = self._around(execution)
        if before is None:
            return
        high = own.control if own is not None else before.control
        pause = _newest(self.wishes.pauses(execution.name), before.control)
        changed = any(before.control <= wish.offset < high for wish in self.wishes.pauses(execution.name))
        if pause is not None and pause.value is not None and pause.value["paused"] and not changed:
            until = instant_of(pause.value["until"]) if "until" in pause.value else FAR
            if execution.at + self.ahead < until:
                yield f"{execution.id} at {execution.at} although paused at offset {pause.offset}"
        job_key = f"job/{execution.name}"
        specs = [self.wishes.newest(job_key, before.control), *self.wishes.between(job_key, before.control, high)]
        tags = [spec.value.get("tags", []) for spec in specs if spec is not None and spec.value is not None]
        for key in self.wishes.keys("hold"):
            hold = self.wishes.newest(key, before.control)
            if hold is None or hold.value is None or self.wishes.between(key, before.control, high):
                continue
            start = instant_of(hold.value["start"]) if "start" in hold.value else 0
            end = instant_of(hold.value["end"]) if "end" in hold.value else FAR
            open_ = start <= execution.at - self.behind - SLACK and execution.at + self.ahead < end
            if open_ and tags and all(selects(hold.value, execution.name, some) for some in tags):
                yield f"{execution.id} at {execution.at} although held by {key} at offset {hold.offset}"
        # Half a transaction may keep the execution, and lose the state that a probe's success had changed before it.
        closed = self.torn[execution.id.encode()] or execution.cause == "probe"
        if not closed and (own is None or own.control == before.control):
            breakers = [cursor.state.get(job_key, {}).get("breaker", {}) for cursor in (before, own or before)]
            # It may have closed and opened again within one transaction; since when it is open tells.
            if _open(breakers[0]) is not None and _open(breakers[0]) == _open(breakers[1]):
                yield f"{execution.id} at {execution.at} although errored"

    def _backwards(self, shard: int) -> Iterator[str]:
        cursors = self.cursors[shard]
        for one, two in pairwise(cursors):
            places = [(cursor.through, cursor.after is None, cursor.after or "") for cursor in (one, two)]
            if places[1] < places[0] or two.control < one.control or two.outcomes < one.outcomes:
                yield f"cursor of shard {shard} goes back at {two.at}: {one} {two}"

    def _unacknowledged(self, shard: int) -> Iterator[str]:
        """What a cursor says is decided stands in the state records, or is refused by name."""
        low = 0
        refused: set[int] = set()
        for cursor in self.cursors[shard]:
            refused |= cursor.rejected
            for key, wishes in self.wishes.by_key.items():
                kind, _, name = key.partition("/")
                fresh = [wish for wish in wishes if low <= wish.offset < cursor.control]
                if kind == "trigger" or not fresh or (kind != "hold" and shard_of(name, SHARDS) != shard):
                    continue
                if not _stands(kind, name, fresh[-1], cursor, self.ahead):
                    found = cursor.state.get(key if kind == "hold" else f"job/{name}")
                    yield (
                        f"shard {shard}: the cursor at {cursor.at} acknowledges {key} at offset {fresh[-1].offset} "
                        f"({fresh[-1].value}), but the state is {found}"
                    )
            for offset, shards in self.wishes.bad.items():
                if shard in shards and low <= offset < cursor.control and offset not in refused:
                    yield f"shard {shard}: the bad record at offset {offset} was not refused"
            low = max(low, cursor.control)
        for wishes in self.wishes.by_key.values():
            for wish in wishes:
                if wish.offset in refused and wish.value not in (None, {}) and "payload" not in (wish.value or {}):
                    yield f"shard {shard}: the good record at offset {wish.offset} was refused"

    # --- progress ----------------------------------------------------------------------------------------

    def omissions(self, end: int) -> Iterator[str]:
        """What should have come about by the end and did not."""
        last = max((wish.offset for wishes in self.wishes.by_key.values() for wish in wishes), default=-1)
        through = end
        for shard, cursors in enumerate(self.cursors):
            if not cursors or cursors[-1].control <= last:
                yield f"shard {shard}: commands up to {last} are not all decided"
                return
            through = min(through, cursors[-1].through)
        if through < end - 40_000:
            yield f"the cursors stand at {through}, {end - through} ms before the end"
        yield from self._runs(end)
        done: dict[str, set[int]] = defaultdict(set)
        ids = {execution.id for execution in self.executions}
        for execution in self.executions:
            if execution.due is not None:
                done[execution.name].add(execution.due)
        for key in self.wishes.keys("job"):
            name = key.removeprefix("job/")
            if name.startswith(("calm", "edit", "kept")):
                for due in self._owed(name, through):
                    if due not in done[name]:
                        yield f"{name}: due at {due} and never executed"
        for key in self.wishes.keys("trigger"):
            _, name, id_ = key.split("/")
            spec = self.wishes.newest(f"job/{name}", self.wishes.of(key)[0].offset)
            stood = spec is not None and spec.value is not None and not name.startswith("wild")
            if stood and f"{name}!{id_}" not in ids:
                yield f"{name}!{id_} was never executed"

    def _runs(self, end: int) -> Iterator[str]:
        ends = [cursors[-1] for cursors in self.cursors]
        yield from unfinished(ends, end)
        if not self.halves:  # half a transaction tells what is told again by the one that takes its place
            yield from told_twice(self.events, self.letters)
            yield from unaccounted(self.executions, self.events, ends, self.wishes)

    def _owed(self, name: str, through: int) -> Iterator[int]:
        """The due times of a job that catches up on everything, less those that a pause or hold may have kept."""
        versions = self.wishes.of(f"job/{name}")
        kept, begins = list(self._kept(name)), 0
        for index, version in enumerate(versions):
            if version.value is None:
                continue
            delay = delay_of(name, version.value)
            ends = versions[index + 1].at if index + 1 < len(versions) else through - delay
            changed = index > 0 and _retimed(version, versions[index - 1])
            begins = max(begins, self._decided_up_to(name, version) if changed else version.at)
            for due in due_times(version.value, begins, min(ends, through - delay)):
                if not any(low <= due + delay <= high for low, high in kept):
                    yield due

    def _kept(self, name: str) -> Iterator[tuple[int, int]]:
        """When something kept, or may have kept, a job from firing."""
        pauses = self.wishes.pauses(name)
        for index, wish in enumerate(pauses):
            if wish.value is not None and wish.value["paused"]:
                ends = self._lifted_by(name, pauses[index + 1]) if index + 1 < len(pauses) else FAR
                until = instant_of(wish.value["until"]) if "until" in wish.value else FAR
                yield wish.at, max(wish.at, min(ends, until))
        for key in self.wishes.keys("hold"):
            holds = self.wishes.of(key)
            for index, wish in enumerate(holds):
                if wish.value is None:
                    continue
                ends = self._lifted_by(name, holds[index + 1]) if index + 1 < len(holds) else FAR
                start = instant_of(wish.value["start"]) if "start" in wish.value else 0
                end = instant_of(wish.value["end"]) if "end" in wish.value else FAR
                tags = [version.value.get("tags", []) for version in self.wishes.of(f"job/{name}") if version.value]
                if any(selects(wish.value, name, some) for some in tags):
                    yield max(start, wish.at), min(ends, end)


def _retimed(one: Wish, two: Wish) -> bool:
    parts = [{part: (wish.value or {}).get(part) for part in ("schedule", "jitter")} for wish in (one, two)]
    return parts[0] != parts[1]


def _open(breaker: dict[str, Any]) -> tuple[str | None, str | None] | None:
    """Since when a breaker is open, or the target lost; None: neither."""
    found = breaker.get("opened_at"), breaker.get("target", {}).get("since")
    return None if found == (None, None) else found


def _is_target(topic: str) -> bool:
    return topic == f"{NAMESPACE}.executions" or topic in TARGETS


def _newest(wishes: list[Wish], below: int) -> Wish | None:
    found = [wish for wish in wishes if wish.offset < below]
    return found[-1] if found else None


def _stands(kind: str, name: str, wish: Wish, cursor: CursorSeen, ahead: int) -> bool:
    """Whether the state records of a cursor's transaction show a wish."""
    record = cursor.state.get(f"hold/{name}" if kind == "hold" else f"job/{name}")
    if kind == "hold":
        return record is None if wish.value is None else record is not None and record["offset"] >= wish.offset
    if kind == "job":
        found = -1 if record is None else record.get("spec_offset", -1)
        return found == -1 or found > wish.offset if wish.value is None else found >= wish.offset
    pause = None if record is None else record.get("pause")
    if wish.value is not None and wish.value["paused"]:
        until = instant_of(wish.value["until"]) if "until" in wish.value else FAR
        over = until <= max(cursor.through, cursor.at + ahead)
        return over or (pause is not None and pause["offset"] >= wish.offset and pause["paused"])
    return pause is None or not pause["paused"] or pause["offset"] > wish.offset
