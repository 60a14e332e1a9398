"""The group coordinator of the in-process log: balanced, sticky, cooperative (KIP-429) assignment.

A partition that is to move is first taken from its old owner, at that member's own next poll, and only then
given to the new one. A member that does not poll goes on believing in its old view.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kadence.log.port import Assigned, Revoked

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(slots=True, eq=False)
class Member:
    """``owned`` is its own view, ``target`` the coordinator's, ``seen`` its last poll (broker time, ms)."""

    member_id: str
    process: str
    seen: int = 0
    owned: set[int] = field(default_factory=set)
    target: set[int] = field(default_factory=set)


class Group:
    """One consumer group on one topic. Not locked: the cluster's lock is held by every caller.

    ``committed`` is how far the group has got: the offset to go on from, per partition.
    """

    __slots__ = ("_partitions", "committed", "joined", "members", "name", "topic")

    def __init__(self, name: str, topic: str) -> None:
        self.name = name
        self.topic = topic
        self.joined = 0
        self.members: dict[str, Member] = {}
        self.committed: dict[int, int] = {}
        self._partitions = 0

    def poll(self, member: Member, partitions: int, now: int) -> list[Assigned | Revoked]:
        """What changes for ``member`` at this poll; it joins (again) if it is not in the group."""
        if not self.holds(member):
            member.seen = now
            return self._join(member, partitions)
        self._heard(member, partitions, now)
        return _taken(member) + self._given(member)

    def holds(self, member: Member) -> bool:
        """Whether ``member`` is in the group: it joined, did not leave, and its session did not lapse."""
        return self.members.get(member.member_id) is member

    def leaving(self, member: Member, partitions: int, now: int) -> frozenset[int]:
        """What a member is to give up at this poll, and goes on holding until `let_go`."""
        self._heard(member, partitions, now)
        return _surplus(member)

    def let_go(self, member: Member, partitions: frozenset[int]) -> None:
        """The member gave these up; the group may give them to another, or back to it."""
        member.owned -= partitions

    def _heard(self, member: Member, partitions: int, now: int) -> None:
        member.seen = now
        if partitions != self._partitions:
            self._partitions = partitions
            self._balance()

    def _join(self, member: Member, partitions: int) -> list[Assigned | Revoked]:
        lost = frozenset(member.owned)
        member.owned.clear()
        member.target.clear()
        self.members[member.member_id] = member
        self._partitions = partitions
        self._balance()
        return [Revoked(lost, lost=True)] if lost else self._given(member)

    def remove(self, member: Member) -> None:
        """The member left, or its session lapsed; its own view is its own affair."""
        if self.members.pop(member.member_id, None) is not None:
            self._balance()

    def _given(self, member: Member) -> list[Assigned | Revoked]:
        """Partitions that are to be ``member``'s and that nobody in the group still holds."""
        held = {partition for other in self.members.values() for partition in other.owned}
        given = frozenset(member.target - held)
        member.owned |= given
        return [Assigned(given)] if given else []

    def _balance(self) -> None:
        targets = balance({name: member.target for name, member in self.members.items()}, self._partitions)
        for name, member in self.members.items():
            member.target = targets[name]


def _surplus(member: Member) -> frozenset[int]:
    return frozenset(member.owned - member.target)


def _taken(member: Member) -> list[Assigned | Revoked]:
    taken = _surplus(member)
    member.owned -= taken
    return [Revoked(taken)] if taken else []


def balance(current: Mapping[str, set[int]], partitions: int) -> dict[str, set[int]]:
    """Share ``partitions`` out over the members so that counts differ by at most one and few move."""
    if not current:
        return {}
    base, extra = divmod(partitions, len(current))
    # Those who hold most keep the larger shares; joining order decides between equals.
    ranked = sorted(current, key=lambda name: -len(current[name]))
    quotas = {name: base + (rank < extra) for rank, name in enumerate(ranked)}
    shares = {
        name: set(sorted(partition for partition in held if partition < partitions)[: quotas[name]])
        for name, held in current.items()
    }
    free = iter(sorted(set(range(partitions)).difference(*shares.values())))
    for name, share in shares.items():
        share.update(partition for _, partition in zip(range(quotas[name] - len(share)), free, strict=False))
    return shares
