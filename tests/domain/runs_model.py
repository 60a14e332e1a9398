"""What becomes of jobs and runs, worked out naively from the contract: dictionaries, looked through every second.

Nothing here knows how the shard goes about it: there is no heap, no cursor, and nothing is left out because it was
done before. Instants are ms, one `Model.tick` a second. Where the contract leaves a choice (±10 % of a retry's delay),
the shard's choice is asked for and only checked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from kadence.domain import duration
from kadence.domain.duration import format_duration, format_time, parse_time
from tests.domain.kept_model import Doc, Kept

if TYPE_CHECKING:
    from collections.abc import Callable

parse_duration = lru_cache(maxsize=100)(duration.parse_duration)
SHOWN: Final = 100
FINAL: Final = ("succeeded", "cancelled", "expired")


@dataclass(frozen=True)
class Limits:
    """The contract's day after which a run is lost, its hour of memory (ms), and its 1,000 open runs."""

    lost_after: int
    remembered: int
    most_open: int


@dataclass(kw_only=True)
class Model(Kept):
    """One shard. ``next_at(run)`` is what the shard chose; it is believed where it is within the contract's bounds."""

    limits: Limits
    next_at: Callable[[str], int]
    fires: list[tuple[Any, ...]] = field(default_factory=list)
    letters: list[tuple[Any, ...]] = field(default_factory=list)
    refused: int = 0

    # --- what people write -------------------------------------------------------------------------------

    def put(self, name: str, spec: Doc) -> None:
        """A definition, new or edited."""
        job = self.jobs.get(name)
        if job is None:
            self.jobs[name] = job = {
                "spec": spec, "created": self.now, "resumed": self.now, "from": self.now,
                "kept": set(), "waiting": [], "queue": [],
                "runs": {}, "past": {}, "fired": set(), "ids": [], "lost": None, "lost_since": None,
                **self.closed(),
            }  # fmt: skip
            self.use_target(name)
            return
        known, job["spec"] = job["spec"], spec
        if known["schedule"] != spec["schedule"]:
            job["from"] = self.now
        if known.get("breaker") != spec.get("breaker") and job["opened"] is not None and not self._probe_open(name):
            self._plan_probe(name)
        if known.get("target") != spec.get("target"):
            was = job["lost"]
            if self.target_problem(spec) is not None:
                self.use_target(name)
            elif was is not None:
                self.find_target(name, self.now - 1)

    def delete(self, name: str) -> None:
        """The job goes, with its runs and its failures; what it owed is dropped, and what it left out is told."""
        job = self.jobs.get(name)
        if job is None:
            return
        for run in job["runs"].values():
            self._tell_skipped(name, run)
        self.drop(name, "deleted", len(job["kept"]) + len(job["waiting"]) + len(job["queue"]))
        del self.jobs[name]

    def trigger(self, name: str, id_: str, payload: str | None) -> None:
        """Run once now, paused or not."""
        job = self.jobs.get(name)
        if job is None or id_ in job["ids"] or job["lost"] is not None:
            self.refused += 1
            return
        job["ids"].append(id_)
        self._launch(name, f"{name}!{id_}", self.now, "trigger", payload, remembered=True)

    # --- time passes -------------------------------------------------------------------------------------

    def tick(self, now: int) -> None:
        """It is ``now``, a second after the last time, and every outcome from before then was heard."""
        self.now = now
        waiting = [(name, run) for name, job in self.jobs.items() for run in job["runs"].values()]
        for name, run in sorted(waiting, key=lambda it: (self._deadline(*it), it[1]["id"])):
            if run["next_at"] is None and run["settled_at"] is None and self._deadline(name, run) <= now:
                self._give_up(name, run)
        self.end_holds()
        self.end_pauses()
        for name, job in sorted(self.jobs.items()):
            if now % parse_duration(job["spec"]["schedule"]["every"]) == 0 and now > job["from"]:
                self._due(name, now)
        for name, job in sorted(self.jobs.items()):
            for run in sorted(job["runs"].values(), key=lambda it: (it["next_at"] or 0, it["id"])):
                self._fire_again(name, run)
            self._probe(name)
            for run in list(job["past"].values()):
                if run["settled_at"] + self.limits.remembered <= now:
                    del job["past"][run["id"]]
        for name in sorted(self.jobs):
            self._run_queue(name)
        self.crowd()

    def _due(self, name: str, due: int) -> None:
        if self.kept_at(name, due):
            self.jobs[name]["kept"].add(due)
        else:
            self.run_due(name, due, "schedule")

    def _run_queue(self, name: str) -> None:
        job = self.jobs[name]
        while job["queue"] and not self.kept(name) and not (self._serial(job) and self._occupied(job)):
            self.run_due(name, job["queue"].pop(0), "catch_up")

    @override
    def run_due(self, name: str, due: int, cause: str) -> None:
        job = self.jobs[name]
        if self._serial(job) and (earlier := self._occupied(job)):
            earlier["skipped"].append(due)
            return
        self._launch(name, f"{name}@{format_time(due)}", due, cause, None, remembered=self._serial(job))

    # --- runs --------------------------------------------------------------------------------------------

    @staticmethod
    def _serial(job: Doc) -> bool:
        return bool(job["spec"].get("overlap") == "skip")

    @staticmethod
    def _attempts(job: Doc) -> int:
        return int(job["spec"].get("retry", {}).get("attempts", 1))

    def _expires(self, job: Doc) -> int | None:
        length = job["spec"].get("expires_after")
        return None if length is None else self.now + parse_duration(length)

    def _occupied(self, job: Doc) -> Doc | None:
        """The earliest run without a final outcome that counts: one that expired before anybody began does not."""
        for run in sorted(job["runs"].values(), key=lambda it: (it["time"], it["id"])):
            begun = run["started"] is not None or run["next_at"] is not None
            if begun or run["expires"] is None or self.now < run["expires"]:
                found: Doc = run
                return found
        return None

    def _busy(self, job: Doc) -> bool:
        """Whether a probe has to wait: not for what itself waits to be fired again."""
        return (
            self._occupied({"runs": {id_: run for id_, run in job["runs"].items() if run["next_at"] is None}})
            is not None
        )

    @staticmethod
    def _new_run(id_: str, time: int, cause: str, fired: int, payload: str | None, expires: int | None) -> Doc:
        return {
            "id": id_, "time": time, "cause": cause, "fired": fired, "n": 1, "attempt": 1, "status": "fired",
            "started": None, "expires": expires, "next_at": None, "settled_at": None, "error": None,
            "payload": payload, "skipped": [],
        }  # fmt: skip

    def _launch(self, name: str, run: str, time: int, cause: str, payload: str | None, *, remembered: bool) -> None:
        job = self.jobs[name]
        job["fired"].add(run)
        self.fires.append((run, 1, cause, payload if payload is not None else job["spec"].get("payload")))
        if remembered:
            self._open(name, self._new_run(run, time, cause, self.now, payload, self._expires(job)))

    def _open(self, name: str, run: Doc) -> None:
        self.jobs[name]["runs"][run["id"]] = run

    def crowd(self) -> None:
        """Of too many open runs the oldest are given up."""
        for name, job in self.jobs.items():
            by_age = sorted(job["runs"].values(), key=lambda it: (it["time"], it["id"]))
            for run in by_age[: max(0, len(by_age) - self.limits.most_open)]:
                self._lose(name, run)

    def _fire_again(self, name: str, run: Doc) -> None:
        job, probe = self.jobs[name], run["cause"] == "probe"
        unfit = job["lost"] is not None or (job["opened"] is not None and not probe)
        if run["next_at"] is None or run["next_at"] > self.now or self.kept_by_people(name) or unfit:
            return
        if run["status"] != "snoozed" and not probe and run["attempt"] >= self._attempts(job):
            self._attempt_failed(name, run, run["status"], run["error"])  # an edit took away what it waited for
            return
        run["attempt"] += run["status"] != "snoozed"
        run.update(
            n=run["n"] + 1, status="fired", fired=self.now, expires=self._expires(job), started=None, next_at=None
        )
        payload = run["payload"] if run["payload"] is not None else job["spec"].get("payload")
        self.fires.append((f"{run['id']}#{run['n']}", run["attempt"], "probe" if probe else "retry", payload))

    def _deadline(self, name: str, run: Doc) -> int:
        """Until when a firing must be reported: its timeout counts from its start, and after a day it is lost."""
        lost: int = run["fired"] + self.limits.lost_after
        timeout = self.jobs[name]["spec"].get("timeout")
        return (
            lost if timeout is None or run["started"] is None else min(lost, run["started"] + parse_duration(timeout))
        )

    def _give_up(self, name: str, run: Doc) -> None:
        if self._deadline(name, run) == run["fired"] + self.limits.lost_after:
            self._lose(name, run)
            return
        timeout = format_duration(parse_duration(self.jobs[name]["spec"]["timeout"]))
        self._attempt_failed(name, run, "timed_out", f"TimedOut: no outcome within {timeout} of its start")

    def _lose(self, name: str, run: Doc) -> None:
        spec = self.jobs[name]["spec"]
        reports = "timeout" in spec or spec.get("breaker", {}).get("failures", 0) > 0
        if reports or self._serial(self.jobs[name]) or self._attempts(self.jobs[name]) > 1:
            self.said.append(("run_lost", name, run["id"], run["attempt"]))
        self._end(name, run, "lost", "lost")

    def outcome(self, id_: str, status: str, error: str | None, until: int | None) -> None:
        """An executor reports. Only what is said of the firing under way counts."""
        run_id, _, number = id_.partition("#")
        name = run_id.partition("@")[0].partition("!")[0]
        job = self.jobs.get(name)
        if job is None or run_id in job["past"]:
            return
        run = job["runs"].get(run_id)
        known = run is not None
        if run is None:
            if run_id not in job["fired"] or "@" not in run_id:
                return
            due, past = parse_time(run_id.partition("@")[2]), job["past"].values()
            if len(past) >= self.limits.most_open and due < min(it["time"] for it in past):
                return
            run = self._new_run(run_id, due, "schedule", self.now, None, None)
        if int(number or 1) != run["n"] or run["next_at"] is not None:
            return
        if status == "started":
            if run["started"] is None and (known or "timeout" in job["spec"]):
                run.update(status="started", started=self.now)
                self._open(name, run)
        elif status == "failed":
            self._attempt_failed(name, run, "failed", error or "failed")
        elif status == "snoozed":
            delay = job["spec"].get("retry", {}).get("delay", "10s")
            run.update(status="snoozed", next_at=self.now + parse_duration(delay) if until is None else until)
            self._open(name, run)
        else:
            assert status in FINAL
            self._end(name, run, status, None, known=known)

    def _attempt_failed(self, name: str, run: Doc, status: str, error: str) -> None:
        spec, probe = self.jobs[name]["spec"], run["cause"] == "probe"
        if not probe and run["attempt"] < self._attempts(self.jobs[name]):
            retry = spec["retry"]
            delay, most = (
                parse_duration(retry.get(part, given)) for part, given in (("delay", "10s"), ("max_delay", "10m"))
            )
            wait = min(delay * retry.get("factor", 2.0) ** (run["attempt"] - 1), most)
            chosen = self.next_at(run["id"])
            assert 0.9 * wait - 1 <= chosen - self.now <= 1.1 * wait + 1, f"{run} waits {chosen - self.now}, not {wait}"
            run.update(status=status, error=error, next_at=chosen)
            self._open(name, run)
            return
        if not probe:
            topic = spec.get("dead_letters", {}).get("topic", "kadence.dead_letters")
            self.said.append(("run_failed", name, run["id"], run["attempt"], status, error, topic in self.problems))
            if topic not in self.problems:
                self.said.append(("dead_lettered", name, run["id"], topic))
                firing = run["id"] if run["n"] == 1 else f"{run['id']}#{run['n']}"
                payload = run["payload"] if run["payload"] is not None else spec.get("payload")
                self.letters.append((topic, firing, run["attempt"], status, error, payload))
        self._end(name, run, status, error)

    def _end(self, name: str, run: Doc, status: str, error: str | None, *, known: bool = True) -> None:
        job = self.jobs[name]
        run.update(status=status, next_at=None, settled_at=self.now, error=error or run["error"])
        job["runs"].pop(run["id"], None)
        if known or status in {"failed", "timed_out"}:
            job["past"][run["id"]] = run
            while len(job["past"]) > self.limits.most_open:
                del job["past"][next(iter(job["past"]))]
            self._tell_skipped(name, run)
        if run["cause"] == "probe":
            self._probe_ended(name, run)
        elif "@" in run["id"] and job["opened"] is None and run["time"] >= job["resumed"]:
            self._count(name, run)

    def _tell_skipped(self, name: str, run: Doc) -> None:
        if run["skipped"]:
            count, first, last = len(run["skipped"]), run["skipped"][0], run["skipped"][-1]
            self.said.append(("overlap", name, run["id"], count, first, last))

    # --- the breaker -------------------------------------------------------------------------------------

    def _count(self, name: str, run: Doc) -> None:
        """A run of the schedule is over: it joins the streak, or takes out what is not due after it."""
        job = self.jobs[name]
        if run["status"] == "succeeded":
            job["failed"] = [member for member in job["failed"] if member[1] > run["time"]]
        elif run["status"] in {"failed", "timed_out"} and run["id"] not in [member[0] for member in job["failed"]]:
            failures = job["spec"].get("breaker", {}).get("failures", 0)
            job["failed"] = [*job["failed"], (run["id"], run["time"])][-(failures or SHOWN) :]
            job["error"] = run["error"]
            if failures and len(job["failed"]) >= failures:
                # A timeout is found before what is due at the same instant is decided, an outcome is heard after.
                job["opened"] = self.now + (run["status"] == "failed")
                self.said.append(("errored", name, run["error"]))
                self._plan_probe(name)

    def _plan_probe(self, name: str) -> None:
        job = self.jobs[name]
        breaker = job["spec"].get("breaker", {})
        job["probe_at"] = None
        if "probe_after" in breaker:
            first = parse_duration(breaker["probe_after"])
            most = max(first, parse_duration(breaker.get("max_probe_after", "1h")))
            job["probe_at"] = self.now + round(min(first * breaker.get("factor", 2.0) ** job["probes"], most))

    def _probe_open(self, name: str) -> bool:
        job = self.jobs[name]
        return f"{name}!probe-{job['probe_at']}" in job["runs"]

    def _probe(self, name: str) -> None:
        job = self.jobs[name]
        if job["opened"] is None or job["probe_at"] is None or job["probe_at"] > self.now or self._probe_open(name):
            return
        if self.kept_by_people(name) or job["lost"] is not None or (self._serial(job) and self._busy(job)):
            return
        run = f"{name}!probe-{job['probe_at']}"
        self.said.append(("probing", name, run))
        self.fires.append((run, 1, "probe", job["spec"].get("payload")))
        self._open(name, self._new_run(run, self.now, "probe", self.now, None, self._expires(job)))

    def _probe_ended(self, name: str, run: Doc) -> None:
        job = self.jobs[name]
        if job["opened"] is None or run["id"] != f"{name}!probe-{job['probe_at']}":
            return
        if run["status"] == "succeeded":
            job.update(self.closed())
            self.said.append(("recovered", name))
            self.release(name, "errored")
            return
        if run["status"] in {"failed", "timed_out"}:
            job.update(probes=job["probes"] + 1, error=run["error"])
        self._plan_probe(name)

    # --- what people see ---------------------------------------------------------------------------------

    def seen(self) -> Doc:
        """Per job its state, reason, streak and probes, and each run that is remembered."""
        found: Doc = {}
        for name, job in self.jobs.items():
            pause = self.pauses.get(name)
            state, reason = ("running", None) if pause is None else ("paused", pause["reason"])
            if job["opened"] is not None or job["lost"] is not None:
                state, reason = "errored", job["error"] if job["opened"] is not None else job["lost"]
            found[f"job/{name}"] = {
                "state": state,
                "reason": reason,
                "failed": [member[0] for member in job["failed"]],
                "last_error": job["error"] if job["failed"] or job["opened"] is not None else None,
                "probe_at": job["probe_at"],
                "probes": job["probes"],
            }
            for id_, run in {**job["runs"], **job["past"]}.items():
                skipped = run["skipped"]
                told = (len(skipped), skipped[0], skipped[-1]) if skipped else None
                found[f"run/{id_}"] = {**run, "skipped": told}
        return found
