"""In-process logs that are wrong in one thing each, and the conformance cases that must catch them."""

# ruff: noqa: ANN401 - these functions take the place of private methods of several classes
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from kadence.log import memory
from kadence.log.port import LATEST, Assigned, Receipt

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
}
