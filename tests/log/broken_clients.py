"""The same for a group's consumers, posted records and offsets by time: one thing wrong each, and who notices."""

# ruff: noqa: ANN401 - these functions take the place of private methods of several classes
from __future__ import annotations

from typing import Any, Final

from kadence.log import memory
from kadence.log.port import EARLIEST, Receipt
from tests.log.broken import Broken

_PartitionLog: Final = memory.partition.PartitionLog
_Consumer: Final = memory.consumer.MemoryConsumer
_Appender: Final = memory.writer.MemoryAppender


def _commit_nothing(self: Any, offsets: Any) -> None:
    return None


def _commit_whatever_is_read(self: Any, offsets: Any) -> None:
    self._group.committed.update(self._positions)


def _commit_of_anybody(self: Any, offsets: Any) -> None:
    self._group.committed.update(offsets)


def _tell_afterwards(self: Any, revoked: Any) -> None:
    self._forget(revoked.partitions)
    self._group.let_go(self.member, revoked.partitions)
    self._on_revoked(revoked.partitions, revoked.lost)


def _keep_if_the_owner_raises(self: Any, revoked: Any) -> None:
    self._on_revoked(revoked.partitions, revoked.lost)
    self._forget(revoked.partitions)
    self._group.let_go(self.member, revoked.partitions)


def _keep_reading_what_was_given_up(self: Any, revoked: Any) -> None:
    self._on_revoked(revoked.partitions, revoked.lost)
    self._group.let_go(self.member, revoked.partitions)


_forget: Final = _Consumer._forget


def _remember_pauses(self: Any, partitions: Any) -> None:
    paused = set(self._paused)
    _forget(self, partitions)
    self._paused |= paused


def _resume_at_the_beginning(self: Any, partitions: Any) -> None:
    self._paused.difference_update(partitions)
    self._positions |= dict.fromkeys(self._positions.keys() & set(partitions), EARLIEST)


_collect: Final = _Consumer._collect


def _collect_paused_and_drop(self: Any, limit: int) -> Any:
    paused, self._paused = self._paused, set()
    try:
        return [record for record in _collect(self, limit) if record.partition not in paused]
    finally:
        self._paused = paused


def _offset_of_the_last(self: Any, timestamp: int) -> int:
    offsets = [record.offset for record in self.records() if record.timestamp <= timestamp]
    return int(max(offsets, default=self.start))


def _offset_under_an_open_transaction(self: Any, timestamp: int) -> int:
    found = int(_offset_at(self, timestamp))
    return found if found < self.stable else int(self.end)


_offset_at: Final = _PartitionLog.offset_at
_post: Final = _Appender.post


def _post_told_twice(self: Any, *rest: Any, done: Any) -> None:
    def twice(answer: Any) -> None:
        done(answer)
        done(answer)

    _post(self, *rest, done=twice)


def _post_refusals_untold(self: Any, *rest: Any, done: Any) -> None:
    _post(self, *rest, done=lambda answer: done(answer) if isinstance(answer, Receipt) else None)


def _post_that_lets_an_answer_raise(self: Any, *rest: Any, done: Any) -> None:
    done(self.append(*rest))


def _post_backwards(self: Any, *rest: Any, done: Any) -> None:
    held = _HELD.setdefault(self, [])
    held.append((rest, done))
    if len(held) == 4:  # two of each partition
        for posted, told in reversed(held):
            _post(self, *posted, done=told)
        held.clear()


_HELD: Final[dict[Any, list[Any]]] = {}


CLIENT_VARIANTS: Final = {
    "remembers no commit": Broken(
        _Consumer,
        "commit",
        _commit_nothing,
        (
            "a group reads everything once, and goes on from what was committed",
            "members share the partitions, those that move are told before, and a commit then holds",
        ),
    ),
    "commits whatever was read": Broken(
        _Consumer,
        "commit",
        _commit_whatever_is_read,
        ("a group reads everything once, and goes on from what was committed",),
    ),
    "takes commits from anybody": Broken(
        _Consumer,
        "commit",
        _commit_of_anybody,
        ("what a revoked member says of partitions that are gone is not heard",),
    ),
    "tells of partitions once they are gone": Broken(
        _Consumer,
        "_let_go",
        _tell_afterwards,
        ("members share the partitions, those that move are told before, and a commit then holds",),
    ),
    "keeps what its owner raised at": Broken(
        _Consumer,
        "_let_go",
        _keep_if_the_owner_raises,
        ("an owner that raises when it is told gives the partitions up all the same",),
    ),
    "reads on in what it gave up": Broken(
        _Consumer,
        "_let_go",
        _keep_reading_what_was_given_up,
        ("members share the partitions, those that move are told before, and a commit then holds",),
    ),
    "remembers pauses of what went": Broken(
        _Consumer, "_forget", _remember_pauses, ("a partition that was paused, went and came back is read",)
    ),
    "resumes at the beginning": Broken(
        _Consumer,
        "resume",
        _resume_at_the_beginning,
        (
            "a paused partition brings nothing, and goes on without loss or repetition",
            "partitions that are paused and resumed all the time lose and repeat nothing",
        ),
    ),
    "drops what comes in a pause": Broken(
        _Consumer,
        "_collect",
        _collect_paused_and_drop,
        ("a paused partition brings nothing, and goes on without loss or repetition",),
    ),
    "pauses nothing": Broken(
        _Consumer,
        "pause",
        lambda *_: None,
        (
            "a paused partition brings nothing, and goes on without loss or repetition",
            "partitions that are paused and resumed all the time lose and repeat nothing",
        ),
    ),
    "finds the last record before a time": Broken(
        _PartitionLog,
        "offset_at",
        _offset_of_the_last,
        (
            "a time is found at its first record, between two at the later one, after the last at the end",
            "what an open transaction hides is not found by its time",
        ),
    ),
    "finds times beyond the LSO": Broken(
        _PartitionLog,
        "offset_at",
        _offset_under_an_open_transaction,
        ("what an open transaction hides is not found by its time",),
    ),
    "answers a post twice": Broken(
        _Appender,
        "post",
        _post_told_twice,
        (
            "posted records are appended in order per partition, and each is answered once with its receipt",
            "a closed appender has appended and answered what was posted, and takes no more",
        ),
    ),
    "answers no refused post": Broken(
        _Appender, "post", _post_refusals_untold, ("a post that is refused is answered by name, and harms no other",)
    ),
    "lets an answer raise": Broken(
        _Appender,
        "post",
        _post_that_lets_an_answer_raise,
        ("an answer may be what the next post waits for, and one that raises keeps no other back",),
    ),
    "posts out of order": Broken(
        _Appender,
        "post",
        _post_backwards,
        ("posted records are appended in order per partition, and each is answered once with its receipt",),
    ),
}
