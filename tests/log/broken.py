"""In-process logs that are wrong in one thing each, and the conformance cases that must catch them."""

# ruff: noqa: ANN401 - these functions take the place of private methods of several classes
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from kadence.log import memory
from kadence.log.port import EARLIEST, LATEST, Assigned, Receipt

_PartitionLog: Final = memory.partition.PartitionLog
_Transactions: Final = memory.transactions.Transactions
_Cluster: Final = memory.cluster.Cluster


@dataclass(frozen=True)
class Broken:
    """``owner.name`` is replaced by ``wrong``, and each of these cases must fail for it."""

    owner: Any
    name: str
    wrong: Any
    caught_by: tuple[str, ...]


def _takeover_without_abort(self: Any, transactional_id: str) -> int:
    holder = self._holders.setdefault(transactional_id, memory.transactions._Holder())
    holder.epoch += 1
    return int(holder.epoch)


def _takeover_that_commits(self: Any, transactional_id: str) -> int:
    holder = self._holders.setdefault(transactional_id, memory.transactions._Holder())
    self.commit(transactional_id, holder.epoch)
    holder.epoch += 1
    return int(holder.epoch)


def _deliver_whatever_the_epoch(self: Any, request: Any) -> bool:
    self.in_flight.remove(request)
    self.commit(request.transactional_id, self._holders[request.transactional_id].epoch)
    return True


def _end_without_marker(self: Any, transaction: Any) -> None:
    self._open.pop(transaction, None)


def _accept_anything(self: Any, topic: str, partition: int, *_: object) -> Any:
    if topic not in self.topics:
        self.create(topic, 1, -1, {})
    logs = self.topics[topic].partitions
    return logs[partition % len(logs)]


_compact: Final = _PartitionLog.compact


def _compact_and_renumber(self: Any, now: int, lag: int, retention: int) -> None:
    _compact(self, now, lag, retention)
    for offset, entry in enumerate(self._entries):
        entry.offset = offset
        entry.record = entry.record and entry.record._replace(offset=offset)
    self.end = len(self._entries)


def _keep_all(*_: object) -> bool:
    return True


def _keep_tombstones(entry: Any, newest: dict[bytes | None, int], *_: object) -> bool:
    return entry.record is None or newest.get(entry.record.key) == entry.offset


def _drop_tombstones_values_kept(entry: Any, *_: object) -> bool:
    return entry.record is None or entry.record.value is not None


def _give_before_it_is_free(self: Any, member: Any) -> list[Assigned]:
    given = frozenset(member.target - member.owned)
    member.owned |= given
    return [Assigned(given)] if given else []


def _give_nothing_up(member: Any) -> list[Any]:
    return []


_append: Final = _PartitionLog.append


def _receipt_of_the_next(self: Any, timestamp: int, *rest: Any) -> Receipt:
    return Receipt(_append(self, timestamp, *rest).offset + 1, timestamp)


def _forgetful_of_headers(
    self: Any, timestamp: int, key: Any, value: Any, headers: Any = (), transaction: Any = None
) -> Receipt:
    return _append(self, timestamp, key, value or b"", (), transaction)


def _read_backwards(self: Any, position: int, limit: int) -> Any:
    records, after = _read(self, position, limit)
    return records[::-1], after


_read: Final = _PartitionLog.read


def _read_more_than_asked(self: Any, position: int, limit: int) -> Any:
    return _read(self, position, 2 * limit)


_assign: Final = memory.reader.MemoryReader.assign


def _assign_past_the_next_record(self: Any, topic: str, partition: int, offset: int) -> None:
    _assign(self, topic, partition, offset)
    if offset == LATEST:
        self._places[topic, partition] += 1


def _recreate_under_the_old_id(self: Any, topic: str) -> None:
    old = self._cluster.topics[topic]
    self.delete(topic)
    self._cluster.create(topic, len(old.partitions), old.replication, old.config)
    self._cluster.topics[topic].topic_id = old.topic_id


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


_LATE = "a late EndTxn that arrives after the takeover changes nothing, not even the new transaction"

VARIANTS: Final = {
    "reads uncommitted": Broken(
        _PartitionLog,
        "stable",
        property(lambda self: self.end),
        (
            "the LSO stays at the first record of an open transaction",
            "plain appends under an open transaction are hidden until it ends, also by an abort",
            "LATEST under an open transaction is the LSO, so its records are seen when it commits",
        ),
    ),
    "shows aborted records": Broken(
        memory.partition._Entry,
        "visible",
        lambda _: True,
        (
            "aborted records are invisible and keep their offsets",
            "a takeover ends the transaction of the former holder",
            "an unknown commit whose request was lost never takes place",
            "a record too large for its topic is refused by name, and nothing of its transaction is visible",
            "compaction keeps the last value of each key, at its offset",
        ),
    ),
    "does not fence": Broken(
        _Transactions,
        "require",
        lambda *_: None,
        (
            "a zombie's commit is refused",
            "a zombie's records are refused, in the transaction it had open and in a new one",
            "late revoke: an owner that did not notice cannot commit once the next one took over",
        ),
    ),
    "leaves the former holder's transaction open": Broken(
        _Transactions,
        "init",
        _takeover_without_abort,
        (
            "a takeover ends the transaction of the former holder",
            "a writer that is closed leaves its transaction to the next holder, who ends it",
        ),
    ),
    "commits what a takeover finds": Broken(
        _Transactions,
        "init",
        _takeover_that_commits,
        (
            "aborted records are invisible and keep their offsets",
            "an unknown commit whose request was lost never takes place",
        ),
    ),
    "takes an EndTxn of any epoch": Broken(_Transactions, "deliver", _deliver_whatever_the_epoch, (_LATE,)),
    "loses every late EndTxn": Broken(
        _Transactions,
        "deliver",
        lambda self, request: self.in_flight.remove(request),
        ("a late EndTxn takes effect while its epoch holds",),
    ),
    "writes no markers": Broken(
        _PartitionLog,
        "mark",
        _end_without_marker,
        (
            "a marker as last offset is not waited for, and the end lies beyond it",
            "one writer commits many transactions",
        ),
    ),
    "accepts any record": Broken(
        _Cluster,
        "accept",
        _accept_anything,
        (
            "a record to a missing topic is refused by name, and nothing of its transaction is visible",
            "a record too large for its topic is refused by name, and nothing of its transaction is visible",
            "a record without a key is refused by a compacted topic",
            "a plain append is refused by name where the topic is missing or takes less",
            "partition -1 is Java's murmur2 of the key",
        ),
    ),
    "renumbers what compaction keeps": Broken(
        _PartitionLog,
        "compact",
        _compact_and_renumber,
        ("compaction keeps the last value of each key, at its offset",),
    ),
    "compacts nothing": Broken(
        memory.partition,
        "_survives",
        _keep_all,
        ("compaction keeps the last value of each key, at its offset",),
    ),
    "keeps tombstones for ever": Broken(
        memory.partition,
        "_survives",
        _keep_tombstones,
        ("compaction drops an old tombstone with the values it deleted",),
    ),
    "drops a tombstone before its values": Broken(
        memory.partition,
        "_survives",
        _drop_tombstones_values_kept,
        ("compaction drops an old tombstone with the values it deleted",),
    ),
    "gives partitions away before they are free": Broken(
        memory.group.Group,
        "_given",
        _give_before_it_is_free,
        ("two members share the partitions, and those that move are revoked first",),
    ),
    "revokes nothing": Broken(
        memory.group,
        "_taken",
        _give_nothing_up,
        (
            "two members share the partitions, and those that move are revoked first",
            "late revoke: an owner that did not notice cannot commit once the next one took over",
        ),
    ),
    "gives wrong receipts": Broken(
        _PartitionLog,
        "append",
        _receipt_of_the_next,
        (
            "receipts carry the offset and the broker's time of the record",
            "the receipt of a commit is that of the record sent last",
            "many appends are receipted in order",
        ),
    ),
    "loses headers and tombstones": Broken(
        _PartitionLog,
        "append",
        _forgetful_of_headers,
        ("keys, values and headers come back as they went, absent and empty told apart",),
    ),
    "returns more than was asked for": Broken(
        _PartitionLog, "read", _read_more_than_asked, ("a read returns at most what was asked for",)
    ),
    "skips the record after LATEST": Broken(
        memory.reader.MemoryReader,
        "assign",
        _assign_past_the_next_record,
        ("LATEST is resolved at once: what is appended afterwards is seen",),
    ),
    "makes a topic anew under its old id": Broken(
        memory.MemoryLog, "recreate", _recreate_under_the_old_id, ("a topic made anew has another id and is empty",)
    ),
    "reads backwards": Broken(
        _PartitionLog, "read", _read_backwards, ("records of a partition come in order, whoever wrote them",)
    ),
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
