"""Reading runs from the log: what was heard of them since some time, and then what is heard of them as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from kadence.clock import SystemClock
from kadence.domain.partition import partition_for
from kadence.domain.run import RunStatus
from kadence.errors import OffsetOutOfRangeError
from kadence.log.port import EARLIEST
from kadence.log.topics import ANSWER_SECONDS, STATE, shard_count
from kadence.view.reading import Deadline, read_through
from kadence.view.runevent import read_run_end
from kadence.view.runs import Runs

if TYPE_CHECKING:
    from types import TracebackType

    from kadence.clock import Clock
    from kadence.domain.holds import Matches
    from kadence.log.port import Log, LogReader, Record
    from kadence.view.runs import RunView

_WILD: Final = frozenset("*?[")
_RUN: Final = b"run/"
_BATCH: Final = 1_000
_REMEMBERED: Final = 10 * 60_000  # ms; while following, an outcome that comes twice is not told twice for so long


def is_glob(name: str) -> bool:
    """Whether it stands for several names."""
    return not _WILD.isdisjoint(name)


class RunLog:
    """The runs of some jobs, ``with RunLog(…) as runs``: `recent` reads what there is, then `poll` follows.

    ``wanted`` has names and globs of jobs; none: all. Where all are names, their shards alone are read. ``since``: from
    which broker time on (ms). Raises `ConfigurationError` where the topics are missing, `UnreachableError`.
    """

    def __init__(
        self,
        log: Log,
        namespace: str,
        wanted: Matches,
        *,
        since: int = 0,
        timeout: float = 30.0,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._deadline = Deadline(self._clock, timeout)
        self._namespace, self._since = namespace, since
        self._wanted, names = wanted, wanted.names
        shards = shard_count(log, namespace, min(self._deadline.left(), ANSWER_SECONDS))
        every = not names or any(map(is_glob, names))
        self._shards = range(shards) if every else sorted({partition_for(name.encode(), shards) for name in names})
        self._runs = Runs()
        self._ends: dict[str, dict[int, int]] = {}
        self._reader: LogReader = log.reader()

    @property
    def unreadable(self) -> int:
        """How many records of the outcomes topic are no outcomes of runs."""
        return self._runs.unreadable

    def recent(self) -> list[RunView]:
        """Those heard of since then, and those that are open; the one heard of last at the end."""
        # State last: an outcome that is read later than the record that follows from it would look newer.
        for suffix, since in (("outcomes", self._since), ("events", self._since), (STATE.suffix, None)):
            topic, ends = f"{self._namespace}.{suffix}", self._ends.setdefault(suffix, {})
            for record in read_through(self._reader, topic, self._shards, self._deadline, since=since, ends=ends):
                self._take(record)
        found = [one for one in self._runs.all(self._since) if self._is_wanted(one)]
        for one in found:
            if one.status not in {RunStatus.FIRED, RunStatus.STARTED}:
                self._runs.is_news(one)
        return found

    def poll(self, timeout: float) -> list[RunView]:
        """What ended since the last call, each attempt at a run once; waits up to ``timeout`` seconds for news."""
        self._follow()
        try:
            records = self._reader.read(_BATCH, timeout)
        except OffsetOutOfRangeError as error:  # deleted before it was read: what is left begins here
            self._reader.assign(error.topic, error.partition, EARLIEST)
            return []
        ended = dict.fromkeys(run for record in records if (run := self._take(record)) is not None)
        seen = (self._runs.get(run) for run in ended)
        news = [one for one in seen if one is not None and self._is_wanted(one) and self._runs.is_news(one)]
        if records:
            self._runs.forget(records[-1].timestamp - _REMEMBERED)
        return news

    def _is_wanted(self, run: RunView) -> bool:
        return not self._wanted.names or self._wanted.name_matches(run.job)

    def _follow(self) -> None:
        """Begin where `recent` had read to."""
        for suffix, ends in self._ends.items():
            for partition, end in ends.items():
                self._reader.assign(f"{self._namespace}.{suffix}", partition, end)
        self._ends.clear()

    def _take(self, record: Record) -> str | None:
        """Take one record in; returns the run that it ends, or an attempt at it."""
        if record.topic.endswith(".outcomes"):
            return self._runs.outcome(record)
        if record.topic.endswith(".events"):
            end = read_run_end(record)
            return None if end is None else self._runs.ended(end)
        if record.key is not None and record.key.startswith(_RUN):
            self._runs.remembered(record.key[len(_RUN) :].decode("utf-8", "replace"), record)
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()
