"""Reading runs from the log: what was heard of them since some time, and then what is heard of them as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from kadence.clock import SystemClock
from kadence.domain.partition import partition_for
from kadence.domain.run import RunStatus
from kadence.errors import OffsetOutOfRangeError, UnreachableError
from kadence.log.port import EARLIEST
from kadence.log.topics import ANSWER_SECONDS, STATE, shard_count
from kadence.view.reading import Deadline, read_through
from kadence.view.runevent import read_run_end
from kadence.view.runs import Runs
from kadence.view.telling import Telling

if TYPE_CHECKING:
    from types import TracebackType

    from kadence.clock import Clock
    from kadence.domain.holds import Matches
    from kadence.log.port import Log, LogReader, Record
    from kadence.view.runs import Ended, RunView

_WILD: Final = frozenset("*?[")
_RUN: Final = b"run/"
_JOB: Final = b"job/"
_ORDER: Final = ("outcomes", STATE.suffix, "events")
_BATCH: Final = 1_000
_ASK: Final = 3.0  # seconds
_REMEMBERED: Final = 10 * 60_000  # ms; while following, an outcome that comes twice is not told twice for so long


def _causal(record: Record) -> tuple[int, int]:
    """What follows from an outcome comes after it, in whatever order the topics were read."""
    return record.timestamp, _ORDER.index(record.topic.rpartition(".")[2])


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
        self._telling = Telling(self._runs, self._clock)
        self._ends: dict[str, dict[int, int]] = {}
        self._reader: LogReader = log.reader()
        # A reader's questions wait behind its fetches.
        self._asker: LogReader = log.reader()

    @property
    def unreadable(self) -> int:
        """How many records of the outcomes topic are no outcomes of runs."""
        return self._runs.unreadable

    def recent(self) -> list[RunView]:
        """Those heard of since then, and those that are open; the one begun last at the end."""
        # State last: an outcome that is read later than the record that follows from it would look newer.
        for suffix, since in (("outcomes", self._since), ("events", self._since), (STATE.suffix, None)):
            topic, ends = f"{self._namespace}.{suffix}", self._ends.setdefault(suffix, {})
            for record in read_through(self._reader, topic, self._shards, self._deadline, since=since, ends=ends):
                self._take(record)
        self._runs.know_all_jobs()
        found = [one for one in self._runs.all(self._since) if self._is_wanted(one)]
        for one in found:
            if one.status not in {RunStatus.FIRED, RunStatus.STARTED}:
                self._runs.is_news(one)
        return found

    def poll(self, timeout: float) -> list[RunView]:
        """What ended since the last call, each attempt at a run once; waits up to ``timeout`` seconds for news.

        A failed attempt comes once the run's owner has said whether there is another one, or after 2 s.
        """
        self._follow()
        left = self._telling.left()
        try:
            records = self._reader.read(_BATCH, timeout if left is None else min(timeout, left))
        except OffsetOutOfRangeError as error:  # deleted before it was read: what is left begins here
            self._reader.assign(error.topic, error.partition, EARLIEST)
            return []
        news: list[RunView] = []
        for record in sorted(records, key=_causal):
            run, end = self._take(record)
            if run is not None:  # at once: the next record may tell that it was fired again
                news += self._telling.heard(run, end)
        news += self._telling.overdue()
        if records:
            self._runs.forget(records[-1].timestamp - _REMEMBERED)
        return [one for one in news if self._is_wanted(one)]

    def answers(self) -> bool:
        """Whether the brokers do, for all of the outcomes: a reader itself waits for them without a word."""
        try:
            for shard in self._shards:
                self._asker.bounds(f"{self._namespace}.outcomes", shard, _ASK)
        except UnreachableError:
            return False
        return True

    def kept_back(self) -> list[RunView]:
        """The failed attempts that wait for their owner's word, told without it."""
        return [one for one in self._telling.overdue(all_of_it=True) if self._is_wanted(one)]

    def _is_wanted(self, run: RunView) -> bool:
        return not self._wanted.names or self._wanted.name_matches(run.job)

    def _follow(self) -> None:
        """Begin where `recent` had read to."""
        for suffix, ends in self._ends.items():
            for partition, end in ends.items():
                self._reader.assign(f"{self._namespace}.{suffix}", partition, end)
        self._ends.clear()

    def _take(self, record: Record) -> tuple[str | None, Ended | None]:
        """Take one record in; returns the run that it is about, and the end that it tells of."""
        key = record.key or b""
        if record.topic.endswith(".outcomes"):
            end = self._runs.outcome(record)
            return (None if end is None else end.run), end
        if record.topic.endswith(".events"):
            told = read_run_end(record)
            return (None, None) if told is None else (told.run, self._runs.ended(told))
        if key.startswith(_RUN):
            run = key[len(_RUN) :].decode("utf-8", "replace")
            return run, self._runs.remembered(run, record)
        if key.startswith(_JOB):
            self._runs.job(key[len(_JOB) :].decode("utf-8", "replace"), there=record.value is not None)
        return None, None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()
        self._asker.close()
