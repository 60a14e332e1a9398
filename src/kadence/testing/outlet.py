"""Writing outcomes, as executors do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kadence.domain.partition import partition_for
from kadence.wire.outcome import encode

if TYPE_CHECKING:
    from kadence.domain.stimulus import Failure
    from kadence.log.port import LogAppender
    from kadence.wire.outcome import Status


class Outlet:
    """The outcomes topic, for those who write to it."""

    def __init__(self, appender: LogAppender, topic: str, shards: int) -> None:
        """``shards``: the topic's partitions."""
        self._appender = appender
        self._topic = topic
        self._shards = shards

    def write(  # noqa: PLR0913  an outcome has this many parts
        self,
        job: str,
        firing: str,
        status: Status,
        *,
        error: Failure | None = None,
        started_at: int | None = None,
        finished_at: int | None = None,
        until: int | None = None,
        executor: str | None = None,
        result: object = None,
    ) -> None:
        """Append one outcome. Times in ms since the epoch."""
        value = encode(
            firing,
            status,
            error=error,
            started_at=started_at,
            finished_at=finished_at,
            until=until,
            executor=executor,
            result=result,
        )
        key = job.encode()
        self._appender.append(self._topic, partition_for(key, self._shards), key, value)
