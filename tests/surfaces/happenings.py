"""What happens to runs, written to the log as the contract has it: outcomes, state records, events, dead letters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kadence.clock import SystemClock
from kadence.domain.firing import read_firing
from kadence.domain.partition import partition_for
from kadence.wire import state
from tests.surfaces.owner import NS

if TYPE_CHECKING:
    from kadence.domain.run import Run
    from kadence.log.memory import MemoryLog


class Happenings:
    """Writes to a log of namespace ``ns``, each record where its job's shard looks for it."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._append = log.appender().append
        self._shards = log.admin().describe([f"{NS}.state"])[f"{NS}.state"].partitions
        self.now = SystemClock().wall() // 1000 * 1000

    def place(self, run: str) -> tuple[int, bytes]:
        about = read_firing(run)
        assert about is not None
        job = about.job.encode()
        return partition_for(job, self._shards), job

    def says(self, firing: str, status: str, **fields: Any) -> None:
        """An executor's outcome."""
        shard, job = self.place(firing)
        self.raw("outcomes", job, json.dumps({"id": firing, "status": status, **fields}).encode(), shard)

    def remembers(self, run: Run) -> None:
        """The owner's record of a run."""
        shard, _ = self.place(run.id)
        self.raw("state", f"run/{run.id}".encode(), state.encode_run(run), shard)

    def event(self, run: str, kind: str, **detail: Any) -> None:
        shard, job = self.place(run)
        value = json.dumps({"run": run, **detail}).encode()
        self.raw("events", job, value, shard, [("ce_type", f"kadence.job.{kind}.v1".encode())])

    def letter(self, run: str, *, payload: bytes | None = b"null", topic: str = "dead_letters", **headers: str) -> None:
        """A dead letter: of a run that raised TimeoutError, unless ``headers`` say something else."""
        shard, job = self.place(run)
        told = {
            "ce_specversion": "1.0",
            "ce_id": f"{run}#3",
            "content-type": "application/json",
            "__connect.errors.topic": f"{NS}.executions",
            "__connect.errors.exception.class.name": "TimeoutError",
            "__connect.errors.exception.message": "no answer from the ledger",
            "__connect.errors.exception.stacktrace": "Traceback (most recent call last):\n  in pay\nTimeoutError",
            "kadence.errors.run": run,
            "kadence.errors.attempts": "3",
            "kadence.errors.at": "2026-11-23T09:00:00Z",
            "kadence.errors.status": "failed",
            **headers,
        }
        self.raw(topic, job, payload, shard, [(name, value.encode()) for name, value in told.items()])

    def raw(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int = 0,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> None:
        full = topic if "." in topic else f"{NS}.{topic}"
        self._append(full, partition, key, value, headers or [])
