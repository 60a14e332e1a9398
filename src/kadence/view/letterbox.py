"""Reading dead letters: the namespace's own topic, those that jobs name, and whatever else one is told to look into."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kadence.clock import SystemClock
from kadence.domain.partition import partition_for
from kadence.errors import ConfigurationError
from kadence.log.topics import ANSWER_SECONDS, DEAD_LETTERS, init_command, shard_count
from kadence.view.letters import read_letter, topics_of
from kadence.view.reading import Deadline, read_through
from kadence.view.runlog import is_glob
from kadence.view.snapshot import snapshot

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from kadence.clock import Clock
    from kadence.domain.holds import Matches
    from kadence.log.port import Log, LogReader
    from kadence.view.letters import Letter
    from kadence.view.model import JobView


@dataclass(slots=True)
class LetterBox:
    """What was found: letters, the oldest first; the jobs that were asked about, as they are now.

    ``strangers`` counts, by topic, the records that are no letters of kadence's. ``troubles``: topics that could not be
    read, in words.
    """

    jobs: Mapping[str, JobView]
    letters: list[Letter] = field(default_factory=list)
    strangers: dict[str, int] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    topics: tuple[str, ...] = ()


def read_letters(
    log: Log,
    namespace: str,
    wanted: Matches,
    *,
    topics: Collection[str] = (),
    since: int | None = None,
    timeout: float = 30.0,
    clock: Clock | None = None,
) -> LetterBox:
    """The letters of some jobs (names and globs; none: all) since a broker time (ms; None: all that are kept).

    ``topics``: where to look besides. Raises `ConfigurationError` where the namespace is none, `UnreachableError`.
    """
    clock = clock or SystemClock()
    deadline = Deadline(clock, timeout)
    named = None if not wanted.names or any(map(is_glob, wanted.names)) else wanted.names
    shards = shard_count(log, namespace, min(deadline.left(), ANSWER_SECONDS))
    view = snapshot(log, namespace, timeout, only=named, clock=clock)
    box = LetterBox(view.jobs)
    own = f"{namespace}.{DEAD_LETTERS.suffix}"
    box.topics = tuple(dict.fromkeys([own, *sorted(topics_of(view.jobs.values())), *topics]))
    reader = log.reader()
    try:
        for topic in box.topics:
            partitions = _partitions(box, reader, topic, deadline, own=own, namespace=namespace)
            # A letter lies in its job's shard's partition there, if there are as many partitions as shards.
            if topic == own and named is not None and partitions == shards:
                read: Collection[int] = {partition_for(name.encode(), partitions) for name in named}
            else:
                read = range(partitions)
            box.letters += _letters(box, reader, topic, read, deadline, since, wanted)
    finally:
        reader.close()
    box.letters.sort(key=lambda one: (one.at, one.topic, one.partition, one.offset))
    return box


def _partitions(box: LetterBox, reader: LogReader, topic: str, deadline: Deadline, *, own: str, namespace: str) -> int:
    """How many partitions a topic has; 0, and a word about it, where it cannot be read."""
    try:
        partitions = reader.partitions(topic, min(deadline.left(), ANSWER_SECONDS))
    except ConfigurationError as error:
        box.troubles.append(f"topic {topic} cannot be read: {error}")
        return 0
    if not partitions:
        remedy = f"; create it with: {init_command(namespace)}" if topic == own else ""
        box.troubles.append(f"topic {topic} does not exist, so that no dead letters are kept there{remedy}")
    return partitions


def _letters(
    box: LetterBox,
    reader: LogReader,
    topic: str,
    partitions: Collection[int],
    deadline: Deadline,
    since: int | None,
    wanted: Matches,
) -> Iterator[Letter]:
    for record in read_through(reader, topic, partitions, deadline, since=since):
        letter = read_letter(record)
        if letter is None:
            box.strangers[topic] = box.strangers.get(topic, 0) + 1
        elif not wanted.names or wanted.name_matches(letter.job):
            yield letter
