"""A member of a group of the in-process log that reads what is assigned to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kadence.clock import SystemClock
from kadence.errors import UnreachableError
from kadence.log.memory.group import Member
from kadence.log.port import EARLIEST, Revoked

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from kadence.log.memory.cluster import Cluster
    from kadence.log.memory.faults import Process
    from kadence.log.memory.group import Group
    from kadence.log.port import Record


class MemoryConsumer:
    """A `kadence.log.port.LogConsumer`; it joins at its first poll."""

    __slots__ = (
        "_clock", "_cluster", "_group", "_left", "_on_revoked", "_paused", "_positions", "_turn", "member", "process",
    )  # fmt: skip

    def __init__(
        self, cluster: Cluster, process: Process, group: Group, on_revoked: Callable[[frozenset[int], bool], None]
    ) -> None:
        self._clock = SystemClock()  # a poll waits in the machine's time, whatever the broker's is
        self._cluster = cluster
        self._group = group
        self._on_revoked = on_revoked
        self._left = False
        self._positions: dict[int, int] = {}  # of the partitions that are ours: where the next poll goes on
        self._paused: set[int] = set()
        self._turn = 0
        self.process = process
        with process.effect("group.join", self):
            group.joined += 1
            self.member = Member(f"{process.name}-{group.joined}", process.name)

    def poll(self, limit: int, timeout: float) -> list[Record]:
        """What changed first, then the committed records of the partitions, each in turn first."""
        if self._left:
            raise RuntimeError("this consumer has left its group")
        deadline = self._clock.monotonic() + timeout * 1000
        while True:
            left = (deadline - self._clock.monotonic()) / 1000
            try:
                with self.process.effect("group.poll", self):
                    happened = self._look(limit)
                    if not happened and left > 0:
                        happened = self._cluster.lock.wait_for(lambda: self._look(limit), left)
            except UnreachableError:
                return []
            if not isinstance(happened, Revoked):
                return happened
            self._let_go(happened)

    def _look(self, limit: int) -> Revoked | list[Record]:
        """What there is at this moment; what is to be given up comes alone, since its owner is told without locks."""
        group, member, partitions = self._group, self.member, self._cluster.partitions(self._group.topic)
        if not group.holds(member) and member.owned:
            lost = Revoked(frozenset(member.owned), lost=True)
            member.owned.clear()
            return lost
        if group.holds(member) and (leaving := group.leaving(member, partitions, self._cluster.clock())):
            return Revoked(leaving)
        joined = group.holds(member)
        changes = group.poll(member, partitions, self._cluster.clock())  # nothing is left to be revoked
        for partition in sorted(member.owned - self._positions.keys()):
            self._positions[partition] = group.committed.get(partition, EARLIEST)
        if changes or not joined:
            self._cluster.lock.notify_all()
        return self._collect(limit)

    def _collect(self, limit: int) -> list[Record]:
        self._cluster.expire()
        readable = [partition for partition in self._positions if partition not in self._paused]
        first = self._turn % max(len(readable), 1)
        records: list[Record] = []
        for partition in readable[first:] + readable[:first]:
            try:
                log = self._cluster.find(self._group.topic, partition)
            except UnreachableError:
                continue
            if not log.start <= self._positions[partition] <= log.end:
                self._positions[partition] = log.start
            found, self._positions[partition] = log.read(self._positions[partition], limit - len(records))
            records += found
        self._turn += bool(records)
        return records

    def _let_go(self, revoked: Revoked) -> None:
        """Tell the owner, then give the partitions up, whatever it raises."""
        if revoked.lost:
            self._forget(revoked.partitions)
        try:
            self._on_revoked(revoked.partitions, revoked.lost)
        finally:
            self._forget(revoked.partitions)
            if self.process.alive:
                with self._cluster.lock:
                    self._group.let_go(self.member, revoked.partitions)
                    self._cluster.lock.notify_all()

    def _forget(self, partitions: frozenset[int]) -> None:
        self._paused -= partitions
        for partition in partitions:
            self._positions.pop(partition, None)

    def assigned(self) -> frozenset[int]:
        """What the group gave us and we have not given up."""
        return frozenset(self._positions)

    def pause(self, partitions: Collection[int]) -> None:
        """Leave these out from now on."""
        self._paused |= self._positions.keys() & set(partitions)

    def resume(self, partitions: Collection[int]) -> None:
        """Go on with these where they were left."""
        self._paused.difference_update(partitions)

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Note how far the group has got. `UnreachableError` where our session has lapsed."""
        ours = {partition: offset for partition, offset in offsets.items() if partition in self._positions}
        if not ours:
            return
        with self.process.effect("group.commit", self):
            if not self._group.holds(self.member):
                raise UnreachableError(f"{self.member.member_id} is not in {self._group.name} any more")
            self._group.committed.update(ours)

    def leave(self) -> None:
        """Leave the group at once. A dead process cannot: its session has to lapse."""
        if self._left or not self.process.alive:
            return
        self._left = True
        with self._cluster.lock:
            ours, lost = frozenset(self.member.owned), not self._group.holds(self.member)
        try:
            if ours:
                self._let_go(Revoked(ours, lost))
        finally:
            with self.process.effect("group.leave", self):
                self._group.remove(self.member)
                self._cluster.lock.notify_all()
