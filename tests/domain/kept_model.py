"""What keeps jobs from firing, worked out naively from the contract: pauses, holds, the breaker, a lost target."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kadence.domain.duration import parse_time

if TYPE_CHECKING:
    from collections.abc import Iterator

Doc = dict[str, Any]


@dataclass
class Kept(ABC):
    """Jobs, and what keeps them. Due times are ``kept``, or ``waiting`` to run, or in a ``queue`` to catch up on."""

    now: int
    jobs: dict[str, Doc] = field(default_factory=dict)
    pauses: dict[str, Doc] = field(default_factory=dict)
    holds: dict[str, Doc] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    said: list[tuple[Any, ...]] = field(default_factory=list)

    @abstractmethod
    def run_due(self, name: str, due: int, cause: str) -> None:
        """Fire one due time."""

    # --- what keeps a job from firing --------------------------------------------------------------------

    def _windows(self, name: str) -> Iterator[tuple[int, int | None]]:
        if (pause := self.pauses.get(name)) is not None:
            yield pause["since"], pause["until"]
        for hold in self.holds.values():
            if name in hold["names"]:
                yield hold["since"], hold["until"]
        job = self.jobs[name]
        yield from ((since, None) for since in (job["opened"], job["lost_since"]) if since is not None)

    def kept_at(self, name: str, instant: int) -> bool:
        return any(since <= instant and (end is None or instant < end) for since, end in self._windows(name))

    def kept_by_people(self, name: str) -> bool:
        pauses = [self.pauses[name]] if name in self.pauses else []
        over = [hold for hold in self.holds.values() if name in hold["names"]]
        return any(it["until"] is None or self.now < it["until"] for it in (*pauses, *over))

    def kept(self, name: str) -> bool:
        job = self.jobs[name]
        return self.kept_by_people(name) or job["opened"] is not None or job["lost"] is not None

    def release(self, name: str, label: str, policy: str | None = None, *, through: int | None = None) -> None:
        """What kept it up to ``through`` (just before now) is gone: what nothing else keeps is dropped or queued."""
        if (job := self.jobs.get(name)) is None:
            return
        free = {due for due in job["kept"] if not self.kept_at(name, due)}
        job["kept"] -= free
        at_once = {due for due in free if due > (self.now - 1 if through is None else through)}  # windows are half-open
        given = sorted(free - at_once)
        job["waiting"] += at_once
        chosen = {"skip": [], "latest": given[-1:], "all": given}[policy or job["spec"]["catch_up"]["after_pause"]]
        job["queue"] += chosen
        self.drop(name, label, len(given) - len(chosen))
        while job["waiting"] and not self.kept(name):
            self.run_due(name, job["waiting"].pop(0), "schedule")

    def drop(self, name: str, label: str, count: int) -> None:
        self.said += [("dropped", name, label)] * count

    def pause(self, name: str, value: Doc | None) -> None:
        """A record under the pause key."""
        known = self.pauses.get(name)
        if value is not None and value["paused"]:
            until = parse_time(value["until"]) if "until" in value else None
            since = self.now + 1 if known is None else known["since"]
            self.pauses[name] = {"since": since, "until": until, "reason": value.get("reason")}
            self.end_pauses()
            return
        self.pauses.pop(name, None)
        tripped, policy = False, None
        if value is not None and (job := self.jobs.get(name)) is not None:
            tripped, policy = job["opened"] is not None, value.get("catch_up")
            job.update(self.closed(), resumed=self.now)
        if known is not None or tripped:
            self.release(name, "errored" if known is None else "paused", policy)

    def hold(self, key: str, value: Doc | None) -> None:
        """A record under a hold's key: over the same jobs every time."""
        known = self.holds.pop(key, None)
        if value is None:
            for name in known["names"] if known is not None else ():
                self.release(name, "held")
            return
        until = parse_time(value["end"]) if "end" in value else None
        since = self.now + 1 if known is None else known["since"]
        self.holds[key] = {"since": since, "until": until, "names": value["match"]["names"]}
        self.end_holds()

    def look(self, topic: str, problem: str | None) -> None:
        """A topic goes, or is there again."""
        before = self.problems.pop(topic, None)
        if problem is not None:
            self.problems[topic] = problem
        for name, job in self.jobs.items():
            if job["spec"].get("target", {}).get("topic") == topic and before != problem:
                self.use_target(name) if problem is not None else self.find_target(name, self.now)

    def target_problem(self, spec: Doc) -> str | None:
        topic = spec.get("target", {}).get("topic")
        return f"target {topic}: {self.problems[topic]}" if topic in self.problems else None

    def use_target(self, name: str) -> None:
        job = self.jobs[name]
        problem = self.target_problem(job["spec"])
        if problem is not None and job["lost"] is None:
            job["lost_since"] = self.now + 1
            self.said.append(("errored", name, problem))
        job["lost"] = problem

    def find_target(self, name: str, through: int) -> None:
        job = self.jobs[name]
        if job["lost"] is not None:
            job["lost"] = job["lost_since"] = None
            self.said.append(("recovered", name))
            self.release(name, "errored", through=through)

    def end_holds(self) -> None:
        for key, hold in sorted(self.holds.items()):
            if hold["until"] is not None and hold["until"] <= self.now:
                del self.holds[key]
                for name in hold["names"]:
                    self.release(name, "held")

    def end_pauses(self) -> None:
        for name, pause in sorted(self.pauses.items()):
            if pause["until"] is not None and pause["until"] <= self.now:
                del self.pauses[name]
                self.release(name, "paused")

    @staticmethod
    def closed() -> Doc:
        return {"failed": [], "error": None, "opened": None, "probe_at": None, "probes": 0}
