"""Topic facts and group membership as clients of the in-process log see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kadence.errors import RefusedError, UnreachableError
from kadence.log.memory.group import Member

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from kadence.log.memory.cluster import Cluster
    from kadence.log.memory.faults import Process
    from kadence.log.memory.group import Group
    from kadence.log.port import Assigned, Revoked, TopicInfo


class MemoryAdmin:
    """A `kadence.log.port.LogAdmin`. Everything is answered at once, whatever the ``timeout``."""

    __slots__ = ("_cluster", "process")

    def __init__(self, cluster: Cluster, process: Process) -> None:
        self._cluster = cluster
        self.process = process

    def describe(
        self,
        topics: Collection[str],
        *,
        timeout: float = 10.0,  # noqa: ARG002
        config: bool = True,
    ) -> dict[str, TopicInfo]:
        """Facts for each topic that exists."""
        with self.process.effect("admin.describe", self):
            held = self._cluster.topics
            return {name: held[name].info(config=config) for name in topics if name in held}

    def create(
        self,
        topic: str,
        partitions: int,
        replication: int,
        config: Mapping[str, str],
        *,
        timeout: float = 30.0,  # noqa: ARG002
    ) -> None:
        """Create a topic unless it exists."""
        with self.process.effect("admin.create", self):
            self._cluster.create(topic, partitions, replication, config)
            self._cluster.lock.notify_all()

    def alter(self, topic: str, config: Mapping[str, str], *, timeout: float = 30.0) -> None:  # noqa: ARG002
        """Set these settings, leaving the others. `RefusedError` if there is no such topic."""
        with self.process.effect("admin.alter", self):
            if topic not in self._cluster.topics:
                raise RefusedError(topic, "UNKNOWN_TOPIC_OR_PART")
            self._cluster.topics[topic].config.update(config)

    def brokers(self, *, timeout: float = 10.0) -> int:  # noqa: ARG002
        """How many brokers the cluster says it has."""
        with self.process.effect("admin.brokers", self):
            return self._cluster.brokers

    def close(self) -> None:
        """Nothing is held."""


class MemoryMembership:
    """A `kadence.log.port.Membership`; it joins at its first poll."""

    __slots__ = ("_cluster", "_group", "_left", "member", "process")

    def __init__(self, cluster: Cluster, process: Process, group: Group) -> None:
        self._cluster = cluster
        self._group = group
        self._left = False
        self.process = process
        with process.effect("group.join", self):
            group.joined += 1
            self.member = Member(f"{process.name}-{group.joined}", process.name)

    def poll(self, timeout: float) -> list[Assigned | Revoked]:
        """What changed since the last poll."""
        if self._left:
            raise RuntimeError("this membership was left")
        try:
            with self.process.effect("group.poll", self):
                if timeout <= 0:
                    return self._changes()
                return self._cluster.lock.wait_for(self._changes, timeout)
        except UnreachableError:
            return []

    def _changes(self) -> list[Assigned | Revoked]:
        joined = self._group.holds(self.member)
        partitions = self._cluster.partitions(self._group.topic)
        changes = self._group.poll(self.member, partitions, self._cluster.clock())
        if changes or not joined:
            self._cluster.lock.notify_all()
        return changes

    def leave(self) -> None:
        """Leave the group at once. A dead process cannot: its session has to lapse."""
        if self._left or not self.process.alive:
            return
        with self.process.effect("group.leave", self):
            self._left = True
            self._group.remove(self.member)
            self._cluster.lock.notify_all()
