"""The world out of the log: every state partition and the control topic, from the beginning to where they end now."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from kadence.clock import SystemClock
from kadence.domain.job import NO_OFFSET
from kadence.domain.partition import partition_for
from kadence.domain.restore import give_runs
from kadence.log.topics import ANSWER_SECONDS, CONTROL, STATE, shard_count
from kadence.view.evidence import Evidence, ShardRecords, Wanted, take_state
from kadence.view.holds import view_holds
from kadence.view.jobs import view_job
from kadence.view.model import ShardView, View
from kadence.view.reading import Deadline, read_through

if TYPE_CHECKING:
    from collections.abc import Collection

    from kadence.clock import Clock
    from kadence.log.port import Log, LogReader, Record
    from kadence.view.model import JobView


def snapshot(
    log: Log,
    namespace: str,
    timeout: float = 30.0,
    *,
    only: Collection[str] | None = None,
    clock: Clock | None = None,
) -> View:
    """Read the log and say what is so now.

    ``only``: these jobs and no others (their shards alone are read, and holds count only these jobs). Raises
    `ConfigurationError` where the topics are missing, `UnreachableError` where the brokers do not answer within
    ``timeout`` seconds.
    """
    clock = clock or SystemClock()
    deadline = Deadline(clock, timeout)
    shards = shard_count(log, namespace, min(deadline.left(), ANSWER_SECONDS))
    numbers = range(shards) if only is None else sorted({partition_for(name.encode(), shards) for name in only})
    reader = log.reader()
    try:
        found = Evidence({number: ShardRecords() for number in numbers})
        _read_state(found, reader, namespace, deadline)
        _read_control(found, reader, namespace, deadline, only=only, shards=shards)
    finally:
        reader.close()
    return _assemble(found, namespace, clock.wall(), shards, only)


def _read_state(found: Evidence, reader: LogReader, namespace: str, deadline: Deadline) -> None:
    """Newest first by key, as bytes; each is decoded once, at the end."""
    newest: dict[tuple[int, bytes], Record] = {}
    topic = f"{namespace}.{STATE.suffix}"
    for record in read_through(reader, topic, found.shards.keys(), deadline):
        if record.key is not None:
            newest[record.partition, record.key] = record
    for record in newest.values():
        shard = found.shards[record.partition]
        problem = take_state(shard, record, namespace)
        if problem is not None:
            shard.unreadable.append(f"{topic}[{record.partition}] at offset {record.offset}: {problem.error}")


def _read_control(
    found: Evidence,
    reader: LogReader,
    namespace: str,
    deadline: Deadline,
    *,
    only: Collection[str] | None,
    shards: int,
) -> None:
    topic = f"{namespace}.{CONTROL.suffix}"
    for record in read_through(reader, topic, [0], deadline):
        found.control_end = record.offset + 1
        kind, _, name = (record.key or b"").decode("utf-8", "replace").partition("/")
        if kind == "hold":
            known, offset = found.holds, NO_OFFSET
        elif kind == "job" and (only is None or name in only):
            own = found.shards[partition_for(name.encode(), shards)].jobs.get(name)
            known, offset = found.jobs, NO_OFFSET if own is None else own.job.spec_offset
        else:
            continue
        earlier = known.get(name)
        wanted = known[name] = Wanted(record, None if earlier is None else earlier.in_force)
        if record.offset == offset:
            wanted.in_force = record


def _assemble(found: Evidence, namespace: str, at: int, shards: int, only: Collection[str] | None) -> View:
    known = {(name, number) for number, shard in found.shards.items() for name in shard.jobs}
    known |= {(name, partition_for(name.encode(), shards)) for name in found.jobs}
    jobs: dict[str, JobView] = {}
    pauses: list[str] = []
    look = partial(view_job, namespace=namespace, at=at)
    for name, number in sorted(known):
        if only is not None and name not in only:
            continue
        shard, wanted = found.shards[number], found.jobs.get(name)
        own = shard.jobs.get(name)
        if own is not None:
            give_runs(own.job, shard.runs.get(name, {}))
        job = look(name, number, own, wanted, tuple(shard.holds.values()), shard.control)
        if job is not None:
            jobs[name] = replace(job, heard=None if shard.cursor is None else shard.written_at)
        elif own is not None and own.job.pause is not None and own.job.pause.active:
            pauses.append(name)
    return View(
        namespace,
        at,
        jobs,
        view_holds(found, jobs, namespace, at),
        tuple(_view_shard(number, shard, at, found.control_end) for number, shard in found.shards.items()),
        found.control_end,
        tuple(pauses),
        tuple(problem for shard in found.shards.values() for problem in shard.unreadable),
    )


def _view_shard(number: int, shard: ShardRecords, at: int, control_end: int) -> ShardView:
    cursor = shard.cursor
    if cursor is None:
        return ShardView(number, behind=control_end)
    return ShardView(
        shard=number,
        worker=cursor.worker,
        written_at=shard.written_at,
        age=max(0, at - shard.written_at),
        through=cursor.through,
        after=cursor.after,
        control=cursor.control,
        control_topic_id=cursor.control_topic_id,
        behind=max(0, control_end - cursor.control),
        outcomes=cursor.outcomes,
        tzdata=cursor.tzdata,
        rejected=cursor.rejected,
    )
