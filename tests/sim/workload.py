"""What people do to a namespace: jobs, edits, pauses, holds, triggers, outcomes, and garbage.

A job's name says what may happen to it, so that the oracle knows what it can demand:
``calm-*`` is written once; ``edit-*`` gets new schedules; ``kept-*`` is paused and held; ``wild-*`` gets everything;
``work-*`` is executed, paused and held. All but the wild ones catch up on all that was missed.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from kadence.domain.duration import format_time
from kadence.errors import FencedError
from tests.sim.machine import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from kadence.log.memory import MemoryProcess
    from kadence.log.memory.writer import MemoryWriter
    from kadence.log.port import Record
    from tests.sim.times import BrokerTime

TARGETS: Final = ("billing.commands", "mail.commands")
FAMILIES: Final = {"calm": 3, "edit": 3, "kept": 4, "wild": 5, "work": 3}
"""How many jobs of each kind a simulation has."""
WORK: Final[tuple[dict[str, Any], ...]] = (
    {
        "schedule": {"every": "4s"},
        "overlap": "skip",
        "timeout": "8s",
        "expires_after": "20s",
        "retry": {"attempts": 2, "delay": "1s"},
        "breaker": {"failures": 2, "probe_after": "3s", "max_probe_after": "10s"},
    },
    {
        "schedule": {"every": "2500ms"},
        "timeout": "6s",
        "retry": {"attempts": 3, "delay": "2s", "factor": 1.5},
        "breaker": {"failures": 3, "probe_after": "5s", "max_probe_after": "10s"},
    },
    {
        "schedule": {"every": "7s"},
        "overlap": "skip",
        "expires_after": "15s",
        "breaker": {"failures": 1, "probe_after": "2s", "max_probe_after": "10s"},
    },
)
"""How the jobs that are executed are defined, by their number."""
_CRONS: Final = ("*/5 * * * * *", "*/20 * * * * *", "7,37 * * * * *", "* * * * *", "*/2 * * * *")
_GARBAGE: Final = (
    (b"job/%s", b"{"),
    (b"job/%s", b'{"schedule": {"evry": "1s"}}'),
    (b"job/%s", b'{"schedule": {"every": "1s"}, "v": 99}'),
    (b"pause/%s", b'{"paused": "yes"}'),
    (b"hold/%s", b'{"match": {}}'),
    (b"nonsense/%s", b"{}"),
    (b"job/-%s", b"{}"),
    (b"\xff%s", b"x"),
    (b"skip/%s/one", b'{"count": 1}'),
)


class Workload:
    """Writes control records and outcomes as clients do."""

    def __init__(self, random: Random, time: BrokerTime, client: MemoryProcess, shards: int) -> None:
        self._random = random
        self._time = time
        self._client = client
        self._appender = client.appender()
        self._shards = shards
        self._ids = 0
        self._foreign: MemoryWriter | None = None
        self.names = [f"{family}-{number}" for family, size in FAMILIES.items() for number in range(size)]
        self.written: dict[str, tuple[int, dict[str, Any]]] = {}
        self.fired: Callable[[], list[Record]] = list

    def control(self, key: bytes, value: dict[str, Any] | bytes | None) -> int:
        """Append one record to control; returns its offset."""
        data = json.dumps(value).encode() if isinstance(value, dict) else value
        self._time.advance(1)
        return self._appender.append(f"{NAMESPACE}.control", 0, key, data).offset

    # --- one thing at a time -----------------------------------------------------------------------------

    def begin(self) -> None:
        """Write most of the jobs, some of them before any worker has run."""
        for name in self.names:
            if self._random.random() < 0.7:
                self.write_job(name)

    def act(self) -> str:
        """Do one thing; returns its name."""
        random = self._random
        deed = random.choices(
            (self._job, self._pause, self._hold, self._trigger, self._garbage, self._stale, self._open_foreign),
            (25, 22, 10, 10, 8, 6, 2),
        )[0]
        if self._foreign is not None and random.random() < 0.3:
            deed = self._end_foreign
        deed()
        return deed.__name__

    def _job(self) -> None:
        name = self._random.choice(self.names)
        if name.startswith("wild") and name in self.written and self._random.random() < 0.3:
            del self.written[name]
            self.control(b"job/" + name.encode(), None)
            if self._random.random() < 0.6:
                self.write_job(name)
            return
        if name in self.written and name.startswith(("calm", "kept", "work")):
            self.control(b"job/" + name.encode(), self.written[name][1])  # the same again: moves its offset only
            return
        self.write_job(name)

    def write_job(self, name: str) -> None:
        """Write a spec that its family allows."""
        random = self._random
        spec: dict[str, Any] = {"schedule": self._schedule(name), "payload": {"n": random.randrange(100)}}
        if random.random() < 0.3:
            spec["jitter"] = f"{random.choice((500, 3_000, 9_000))}ms"
        grace = random.choice(("0s", "1s", "30s"))
        catch_up: dict[str, Any] = {"policy": "all", "grace": grace}
        spec["catch_up"] = catch_up
        if name.startswith("work"):
            spec = {**WORK[int(name[-1])], "payload": {"n": 1}, "catch_up": catch_up}
        elif name.startswith("wild"):
            spec |= self._wild()
            catch_up["policy"] = random.choice(("skip", "latest", "all"))
            if random.random() < 0.2:
                catch_up["window"] = "40s"
        if name.startswith(("kept", "wild")):
            catch_up["after_pause"] = random.choice(("skip", "latest", "all"))
        tagged = name.startswith(("kept", "wild", "work"))
        spec["tags"] = random.sample(("red", "green"), random.randrange(3)) if tagged else []
        offset = self.control(b"job/" + name.encode(), spec)
        self.written[name] = (offset, spec)

    def _wild(self) -> dict[str, Any]:
        """Some of what a job may have."""
        random = self._random
        breaker: dict[str, Any] = {"failures": random.choice((1, 2))}
        if random.random() < 0.5:
            breaker["probe_after"] = "4s"
        parts: tuple[tuple[str, float, object], ...] = (
            ("breaker", 0.4, breaker),
            ("retry", 0.3, {"attempts": 2, "delay": "2s"}),
            ("overlap", 0.3, "skip"),
            ("timeout", 0.3, "5s"),
            ("target", 0.4, {"topic": random.choice((*TARGETS, f"{NAMESPACE}.executions"))}),
            ("paused", 0.15, True),
        )
        return {part: value for part, likely, value in parts if random.random() < likely}

    def _schedule(self, name: str) -> object:
        random = self._random
        kind = random.random()
        if kind < 0.55:
            every = random.choice((1_000, 2_500, 4_000, 10_000, 30_000))
            found: dict[str, Any] = {"every": f"{every}ms"}
            return {**found, "offset": f"{random.randrange(every)}ms"} if random.random() < 0.3 else found
        if kind < 0.85:
            return {"cron": random.choice(_CRONS)}
        if kind < 0.93 or not name.startswith("wild"):
            return [{"cron": random.choice(_CRONS)}, {"every": "7s"}]
        # Never the same instant twice: a job that is deleted and written again is a new job.
        return {"at": format_time(self._time.now + random.randrange(1, 40_000))}

    def _pause(self) -> None:
        random = self._random
        name = random.choice([name for name in self.names if name.startswith(("kept", "wild", "work"))])
        key = b"pause/" + name.encode()
        kind = random.random()
        if kind < 0.35:
            self.control(key, {"paused": True, "reason": "because"})
        elif kind < 0.55:
            self.control(key, {"paused": True, "until": format_time(self._time.now + random.randrange(-500, 30_000))})
        elif kind < 0.75:
            self.control(key, {"paused": False})
        elif kind < 0.9:
            self.control(key, {"paused": False, "catch_up": random.choice(("skip", "latest", "all"))})
        else:
            self.control(key, None)

    def _hold(self) -> None:
        random = self._random
        key = b"hold/" + random.choice((b"night", b"freeze", b"move"))
        if random.random() < 0.45:
            self.control(key, None)
            return
        match: dict[str, Any] = random.choice(
            (
                {"names": ["kept-*"]},
                {"tags": ["red"]},
                {"names": ["kept-[01]", "wild-*"], "tags": ["green"]},
                {"all": True, "not": {"names": ["calm-*", "edit-?"]}},
                {"names": ["wild-?"], "not": {"tags": ["red"]}},
            )
        )
        hold: dict[str, Any] = {"match": match}
        if random.random() < 0.5:
            hold["start"] = format_time(self._time.now + random.randrange(-5_000, 15_000))
        if random.random() < 0.5:
            hold["end"] = format_time(self._time.now + random.randrange(16_000, 40_000))
        if random.random() < 0.4:
            hold["catch_up"] = random.choice(("skip", "latest", "all"))
        self.control(key, hold)

    def _trigger(self) -> None:
        name = self._random.choice(self.names)
        # A job that is deleted forgets its ids, so only jobs that stay are sent one twice.
        self._ids += name.startswith("wild") or self._random.random() < 0.8
        key = f"trigger/{name}/t{self._ids}".encode()
        self.control(key, {} if self._random.random() < 0.5 else {"payload": self._ids})

    def _garbage(self) -> None:
        key, value = self._random.choice(_GARBAGE)
        self.control(key % self._random.choice(self.names).encode(), value)

    def _stale(self) -> None:
        """A record that is valid in itself and must not be applied."""
        name = self._random.choice(self.names)
        kind = self._random.choice((b"job/", b"pause/", b"hold/"))
        values: dict[bytes, dict[str, Any]] = {
            b"job/": {"schedule": {"every": "1s"}},
            b"pause/": {"paused": True},
            b"hold/": {"match": {"all": True}},
        }
        self.control(kind + name.encode(), {**values[kind], "if_offset": 1_000_000})

    def outcome(self) -> bool:
        """Report how some recent run of a wild job went, sometimes to the wrong partition; False: there is none."""
        random = self._random
        fired = [record for record in self.fired()[-40:] if (record.key or b"").startswith(b"wild")]
        if not fired:
            return False
        run = random.choice(fired)
        id_ = next(value for name, value in run.headers if name == "ce_id").decode()
        value: dict[str, Any] = {"id": id_, "status": random.choice(("failed", "failed", "succeeded", "started"))}
        place = run.partition if run.topic == f"{NAMESPACE}.executions" else -1
        if random.random() < 0.3:
            place = random.randrange(self._shards)
        data = json.dumps(value).encode() if random.random() < 0.9 else b"garbage"
        self._time.advance(1)
        self._appender.append(f"{NAMESPACE}.outcomes", place, run.key, data)
        return True

    # --- somebody's own transaction ----------------------------------------------------------------------

    def _open_foreign(self) -> None:
        """Somebody writes with a transaction, against all advice: it hides what comes after."""
        if self._foreign is not None:
            return
        self._foreign = writer = self._client.writer("foreign")
        writer.begin()
        self._time.advance(1)
        name = self._random.choice([name for name in self.names if name.startswith("kept")])
        writer.send(f"{NAMESPACE}.control", 0, b"pause/" + name.encode(), b'{"paused": true}')

    def _end_foreign(self) -> None:
        if self._foreign is None:
            return
        writer, self._foreign = self._foreign, None
        if self._random.random() < 0.5:
            with suppress(FencedError):  # it took too long, and the broker has aborted it
                writer.commit()
        else:
            writer.close()  # left open: the broker ends it after its timeout

    def heal(self) -> None:
        """End what is open; nothing more is written but what lifts everything."""
        if self._foreign is not None:
            self._foreign = None
        self._client.writer("foreign")
        for hold in (b"night", b"freeze", b"move"):
            self.control(b"hold/" + hold, None)
        for name in self.names:
            if name.startswith(("kept", "wild", "work")):
                self.control(b"pause/" + name.encode(), {"paused": False})
