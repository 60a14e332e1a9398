"""Workers that are wrong in one thing each; the simulation must notice every one of them."""

# ruff: noqa: ANN401 - these functions take the place of private methods of several classes
from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from kadence.domain import restore
from kadence.errors import LogError, UncleanError
from kadence.log.port import EARLIEST
from kadence.worker.runner import ShardRunner
from kadence.worker.tail import Tail
from kadence.worker.takeover import Phase, Takeover
from tests.sim.machine import ProcessLog
from tests.sim.variants import Broken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kadence.domain.job import Job
    from kadence.domain.run import Run


class _CursorFirst:
    """A writer that sends what is meant to be flushed before the cursor together with it, and after it."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self._kept: list[tuple[Any, ...]] = []

    def close(self) -> None:
        self._writer.close()

    def begin(self) -> None:
        self._kept = []
        self._writer.begin()

    def send(self, topic: str, partition: int, *rest: Any) -> None:
        if topic.endswith(".state"):
            self._writer.send(topic, partition, *rest)
        else:
            self._kept.append((topic, partition, *rest))

    def flush(self) -> None:
        """Too late is early enough, it thinks."""

    def commit(self) -> Any:
        for record in self._kept:
            self._writer.send(*record)
        return self._writer.commit()


class _Resending:
    """A writer that sends everything again when it does not know whether it was committed."""

    def __init__(self, log: ProcessLog, transactional_id: str) -> None:
        self._open = partial(log.process.writer, transactional_id)
        self._writer: Any = self._open()
        self._sent: list[tuple[Any, ...]] = []

    def close(self) -> None:
        self._writer.close()

    def begin(self) -> None:
        self._sent = []
        self._writer.begin()

    def send(self, *record: Any) -> None:
        self._sent.append(record)
        self._writer.send(*record)

    def flush(self) -> None:
        self._writer.flush()

    def commit(self) -> Any:
        try:
            return self._writer.commit()
        except UncleanError:
            self._writer = self._open()
            self._writer.begin()
            for record in self._sent:
                self._writer.send(*record)
            return self._writer.commit()


def _writer_cursor_first(self: ProcessLog, transactional_id: str) -> Any:
    return _CursorFirst(self.process.writer(transactional_id))


def _writer_resending(self: ProcessLog, transactional_id: str) -> Any:
    return _Resending(self, transactional_id)


def _writer_per_process(self: ProcessLog, transactional_id: str) -> Any:
    return self.process.writer(f"{transactional_id}.{self.process.process.name}")


_fence: Final = Takeover._fence


def _read_before_fencing(self: Any) -> bool:
    """Take what the state topic holds for the end of it, and only then become its owner."""
    if self._reader is None:
        self._reader = self._env.log.reader()
        self._reader.assign(self._env.topic("state"), self._shard, EARLIEST)
        for record in self._reader.read(100_000, 0):
            self._remember(record)
        return True
    before, self._reader = self._reader, None
    before.close()
    done: bool = _fence(self)
    if self._reader is not None:
        self.close()
        self.phase = Phase.AWAITING_CONTROL
    return done


def do_not_await_control(self: Any) -> bool:
    self.through_control = self._env.tail.position - 1
    self.phase = Phase.DONE
    return True


_discard: Final = ShardRunner._discard


def _keep_the_fold(self: Any, result: str, why: str, retry: int) -> int:
    """The transaction failed, but the fold is fine, it thinks: a new producer will do."""
    if self._shard is None or result == "refused":
        return _discard(self, result, why, retry)
    try:
        self._writer = self._env.log.writer(f"{self._env.namespace}.shard.{self.index}")
    except LogError:
        return _discard(self, result, why, retry)
    return retry


_since: Final = Tail.since


def newest_per_key(self: Tail, shard: int, offset: int, limit: int) -> Any:
    records, position = _since(self, shard, offset, limit)
    newest = {record.key: record for record in records}
    return [record for record in records if newest[record.key] is record], position


_give_runs: Final = restore.give_runs


def _give_no_open_runs(job: Job, runs: Mapping[str, Run]) -> None:
    _give_runs(job, {id_: run for id_, run in runs.items() if run.settled_at is not None})


def _count_attempts_anew(job: Job, runs: Mapping[str, Run]) -> None:
    _give_runs(job, {id_: replace(run, attempt=1) for id_, run in runs.items()})


_restore_job: Final = restore._restore_job


def _forget_since(book: Any, job: Job, *rest: Any) -> None:
    if job.pause is not None and job.pause.active:
        job.pause = replace(job.pause, since=0)
    _restore_job(book, job, *rest)


VARIANTS: Final[dict[str, tuple[Broken, str]]] = {
    "the cursor is produced before the executions are flushed": (
        Broken(((ProcessLog, "writer", _writer_cursor_first),)),
        "never executed",
    ),
    "the state is read before the predecessor is fenced": (
        Broken(((Takeover, "_fence", _read_before_fencing),)),
        "was committed 2 times",
    ),
    "the barrier is awaited on state only": (
        Broken(((Takeover, "_await_control", do_not_await_control),)),
        "control ends at offset",
    ),
    "every process has its own transactional id": (
        Broken(((ProcessLog, "writer", _writer_per_process),)),
        "was committed 2 times",
    ),
    "the fold is kept after an abort": (
        Broken(((ShardRunner, "_discard", _keep_the_fold),)),
        "never executed",
    ),
    "only the newest record per key is applied": (
        Broken(((Tail, "since", newest_per_key),)),
        "was not refused",
    ),
    "a rebuild forgets since when a job is paused": (
        Broken(((restore, "_restore_job", _forget_since),)),
        "never executed",
    ),
    "a rebuild forgets the runs that are open": (
        Broken(((restore, "give_runs", _give_no_open_runs),)),
        "never ended",
    ),
    "a rebuild counts attempts anew": (
        Broken(((restore, "give_runs", _count_attempts_anew),)),
        "is attempt",
    ),
    "what may have been committed is sent again": (
        Broken(((ProcessLog, "writer", _writer_resending),)),
        "was committed 2 times",
    ),
}
