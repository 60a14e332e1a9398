"""What is due next: one entry per distinct timing, never per job (ARCHITECTURE, "speed comes from structure")."""

from __future__ import annotations

import heapq
from operator import attrgetter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kadence.domain.job import Job
    from kadence.domain.spec import Timing

_by_name = attrgetter("name")
_LATE: Final = 5_000
"""Milliseconds behind now from which on it is worth looking whether a group's members have passed over something."""


class Group:
    """The jobs that share a timing, and the due time they await. ``instant`` is due + delay, both ms."""

    __slots__ = ("due", "grace", "instant", "members", "ordered", "passed", "timing")

    def __init__(self, timing: Timing, due: int) -> None:
        """A group without members that awaits ``due``."""
        self.timing = timing
        self.due = due
        self.instant = due + timing.delay
        self.members: dict[str, Job] = {}
        self.ordered: list[Job] | None = None
        self.grace = 0
        self.passed = 0
        """Up to here the members had settled their missed due times when the group passed over them."""

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
        else:
            self._call_back(group, job, not_before)
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
            self._leave(group)

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

    def advance(self, instant: int, now: int) -> list[Job]:
        """Move every group that awaits ``instant`` on; returns the jobs of those that have no due time left.

        Where every member has settled what it missed (its floor is ahead), or is kept from firing, a group passes over
        that in one step, so that a long outage costs no walk. `recall` brings it back.
        """
        ended: list[Job] = []
        for group in self._at.pop(instant, []):
            last = group.due
            if instant < now - min(group.grace, _LATE):
                open_from = min(_open_from(job, group, now) for job in group.members.values())
                group.passed = max(group.passed, open_from)
                last = max(last, group.passed)
            due = group.timing.next_after(last)
            if due is None:
                del self._groups[group.timing]
                ended.extend(group.in_order())
                self.version += 1
            else:
                group.due, group.instant = due, due + group.timing.delay
                self._await(group)
        return ended

    def recall(self, job: Job, timing: Timing, not_before: int) -> None:
        """A job may fire again: let its group await what it had passed over while the job was kept from firing."""
        group = self._groups.get(timing)
        if group is not None and job.name in group.members:
            self._call_back(group, job, not_before)

    def _call_back(self, group: Group, job: Job, not_before: int) -> None:
        """Where a member has due times to decide which its group has passed over: await those first."""
        open_from = max(job.floor, not_before - group.timing.delay - 1)
        due = group.timing.next_after(open_from) if group.passed > open_from else None
        if due is not None and due < group.due:
            self._leave(group)
            group.due, group.instant, group.passed = due, due + group.timing.delay, open_from
            self._await(group)
            self.version += 1

    def _leave(self, group: Group) -> None:
        """Take a group from under the instant it awaits."""
        peers = self._at[group.instant]
        peers.remove(group)
        if not peers:
            del self._at[group.instant]

    def _await(self, group: Group) -> None:
        """File a group under its instant; the heap holds each instant once."""
        peers = self._at.get(group.instant)
        if peers is None:
            self._at[group.instant] = [group]
            heapq.heappush(self._heap, group.instant)
        else:
            peers.append(group)


def _open_from(job: Job, group: Group, now: int) -> int:
    """Up to which due time nothing is to be decided of a job: settled, or kept from firing at the group's instant."""
    if not job.blocked:
        return job.floor
    kept = [now if end is None else end for since, end in job.windows() if since <= group.instant]
    return max([job.floor, *(min(end, now) - group.timing.delay - 1 for end in kept if end > group.instant)])
