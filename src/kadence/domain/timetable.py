"""What is due next: one entry per distinct timing, never per job (ARCHITECTURE, "speed comes from structure")."""

from __future__ import annotations

import heapq
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kadence.domain.job import Job
    from kadence.domain.spec import Timing

_by_name = attrgetter("name")


class Group:
    """The jobs that share a timing, and the due time they await. ``instant`` is due + delay, both ms."""

    __slots__ = ("due", "grace", "instant", "members", "ordered", "timing")

    def __init__(self, timing: Timing, due: int) -> None:
        """A group without members that awaits ``due``."""
        self.timing = timing
        self.due = due
        self.instant = due + timing.delay
        self.members: dict[str, Job] = {}
        self.ordered: list[Job] | None = None
        self.grace = 0

    def in_order(self) -> list[Job]:
        """The members, bytewise by name (names are ASCII, so code points are bytes). Not to be changed."""
        if self.ordered is None:
            self.ordered = sorted(self.members.values(), key=_by_name)
        return self.ordered


class Timetable:
    """The groups of one shard, by firing instant. ``version`` changes whenever a job comes or goes."""

    def __init__(self) -> None:
        """Empty."""
        self.version = 0
        self._groups: dict[Timing, Group] = {}
        self._at: dict[int, list[Group]] = {}
        self._heap: list[int] = []

    def __len__(self) -> int:
        """How many distinct timings are scheduled."""
        return len(self._groups)

    def groups(self) -> list[Group]:
        """Every group. Only to be looked at, and ``in_order`` not at all, by whoever does not own the shard."""
        return list(self._groups.values())

    def add(self, job: Job, timing: Timing, not_before: int) -> bool:
        """Schedule a job; a new timing awaits its first due time with firing instant >= ``not_before``.

        False, and nothing is scheduled, where no due time is left.
        """
        group = self._groups.get(timing)
        if group is None:
            due = timing.next_after(not_before - timing.delay - 1)
            if due is None:
                return False
            group = self._groups[timing] = Group(timing, due)
            self._await(group)
        group.members[job.name] = job
        group.ordered = None
        group.grace = max(group.grace, job.grace)
        self.version += 1
        return True

    def remove(self, job: Job, timing: Timing) -> None:
        """Forget a job; one that is not scheduled is no error. An empty group goes with its last member."""
        group = self._groups.get(timing)
        if group is None or group.members.pop(job.name, None) is None:
            return
        group.ordered = None
        self.version += 1
        if not group.members:
            del self._groups[timing]
            peers = self._at[group.instant]
            peers.remove(group)
            if not peers:
                del self._at[group.instant]

    def next_instant(self) -> int | None:
        """The earliest firing instant that any group awaits, or None."""
        while self._heap:
            if self._at.get(self._heap[0]):
                return self._heap[0]
            heapq.heappop(self._heap)
        return None

    def due_at(self, instant: int) -> list[tuple[Job, int]]:
        """(job, due time) of every group that awaits ``instant``, bytewise by name; they are moved on by `advance`."""
        groups = self._at.get(instant, [])
        if len(groups) == 1:
            due = groups[0].due
            return [(job, due) for job in groups[0].in_order()]
        joined = [(job, group.due) for group in groups for job in group.in_order()]
        joined.sort(key=lambda pair: pair[0].name)
        return joined

    def advance(self, instant: int, now: int, wake: int | None) -> list[Job]:
        """Move every group that awaits ``instant`` on; returns the jobs of those that have no due time left.

        Where every member has settled its missed due times (those with a firing instant more than its grace before
        ``now`` and before ``wake``) a group passes over them in one step, so that a long outage costs no walk.
        """
        ended: list[Job] = []
        for group in self._at.pop(instant, []):
            last = group.due
            settled = now - group.grace if wake is None else min(now - group.grace, wake)
            if instant < settled and not any(job.blocked for job in group.members.values()):
                last = max(last, settled - group.timing.delay - 1)
            due = group.timing.next_after(last)
            if due is None:
                del self._groups[group.timing]
                ended.extend(group.in_order())
                self.version += 1
            else:
                group.due, group.instant = due, due + group.timing.delay
                self._await(group)
        return ended

    def _await(self, group: Group) -> None:
        """File a group under its instant; the heap holds each instant once."""
        peers = self._at.get(group.instant)
        if peers is None:
            self._at[group.instant] = [group]
            heapq.heappush(self._heap, group.instant)
        else:
            peers.append(group)
