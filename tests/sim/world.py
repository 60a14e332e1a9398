"""A whole namespace in virtual time: broker, three machines, clients, and what befalls them, from one seed."""

from __future__ import annotations

import hashlib
from random import Random
from typing import TYPE_CHECKING, Final

from kadence.errors import LogError
from kadence.log.memory import MemoryLog
from kadence.wire import state
from tests.sim.executors import Executors
from tests.sim.faults import SeededFaults
from tests.sim.machine import NAMESPACE, Machine
from tests.sim.observer import Observer
from tests.sim.times import BrokerTime, MachineClock
from tests.sim.workload import TARGETS, Workload

if TYPE_CHECKING:
    from collections.abc import Callable

    from kadence.log.port import Record

SHARDS: Final = 3
MACHINES: Final = 3
_RATES: Final = (0.0, 0.002, 0.006, 0.015)
_UNDER: Final = (0, 0, 0, 300, -300, 2_000, -2_000, 12_000, -12_000)
_ABOVE: Final = (45_000, -45_000, 3_600_000, -3_600_000)
LIMIT: Final = 30_000
COMPACT: Final = {"cleanup.policy": "compact", "min.compaction.lag.ms": "0", "delete.retention.ms": "30000"}
APPEND_TIME: Final = {"message.timestamp.type": "LogAppendTime"}


def create_topics(log: MemoryLog, shards: int) -> list[tuple[str, int]]:
    """Make what a namespace needs; returns (topic, partition) of all of it."""
    topics = {
        f"{NAMESPACE}.control": (1, COMPACT),
        f"{NAMESPACE}.state": (shards, COMPACT),
        f"{NAMESPACE}.executions": (shards, {}),
        f"{NAMESPACE}.outcomes": (shards, {}),
        f"{NAMESPACE}.events": (shards, {}),
        f"{NAMESPACE}.dead_letters": (shards, {}),
        **dict.fromkeys(TARGETS, (2, {})),
    }
    admin = log.admin()
    for topic, (partitions, config) in topics.items():
        admin.create(topic, partitions, 1, {**APPEND_TIME, **config})
    return [(topic, partition) for topic, (partitions, _) in topics.items() for partition in range(partitions)]


class World:
    """One simulation. `act` does one thing at random; `tests.sim.healing` brings it to rest."""

    def __init__(self, seed: int, *, keep_trace: bool = False) -> None:
        self.seed = seed
        self.random = random = Random(seed)
        self.time = BrokerTime()
        self.log = MemoryLog(self.time, transaction_timeout=60_000)
        self.observer = Observer(self.log, create_topics(self.log, SHARDS))
        self.faults = SeededFaults(random, self.time, self.log, random.choice(_RATES), self.observer.around)
        self.log.faults = self.faults
        self.counts = self.faults.counts
        self.lines: list[str] | None = [] if keep_trace else None
        self._digest = hashlib.sha256()
        self.clocks = [MachineClock(self.time, self._first_skew()) for _ in range(MACHINES)]
        largest = random.choice((2, 7, 1_000))
        self.machines = [Machine(self.log, f"w{n}", clock, SHARDS, largest) for n, clock in enumerate(self.clocks)]
        self.skews = {clock.skew for clock in self.clocks if abs(clock.skew) < LIMIT}
        self.owners: dict[int, Machine | None] = dict.fromkeys(range(SHARDS))
        self.zombies: list[tuple[Machine, int]] = []
        self.workload = Workload(random, self.time, self.log.start("client"), SHARDS)
        self.workload.fired = self._fired
        self.executors = Executors(random, self.time, self.log.start("executors"), self.observer, SHARDS)
        self.missing: str | None = None
        self._deeds: list[tuple[Callable[[], object], int]] = [
            (self.step_runner, 500),
            (self.poll_tail, 200),
            (self.pass_time, 110),
            (self.write, 60),
            (self.report, 20),
            (self.execute, 90),
            (self.assign, 25),
            (self.zombie_learns, 12),
            (self.start_machine, 20),
            (self.kill_machine, 2),
            (self.deliver, 10),
            (self.compact, 12),
            (self.jump, 2),
            (self.vanish, 4),
            (self.refresh_targets, 15),
        ]

    def _small_skew(self) -> int:
        skew = self.random.choice(_UNDER)
        self.skews.add(skew)
        return skew

    def _first_skew(self) -> int:
        return self.random.choice(_ABOVE if self.random.random() < 0.04 else _UNDER)

    # --- what happened -----------------------------------------------------------------------------------

    def note(self, what: str) -> None:
        """One more line of the trace."""
        line = f"{self.time.now} {what}"
        self._digest.update(line.encode() + b"\n")
        if self.lines is not None:
            self.lines.append(line)

    def trace(self) -> str:
        """A hash of everything that happened and everything that was committed."""
        digest = self._digest.copy()
        for place, records in self.observer.records.items():
            digest.update(repr((place, [(r.offset, r.timestamp, r.key, r.value) for r in records])).encode())
        return digest.hexdigest()

    def _fired(self) -> list[Record]:
        self.observer.poll()
        names = {f"{NAMESPACE}.executions", *TARGETS}
        return [
            record
            for place in self.observer.records
            if place[0] in names
            for record in self.observer.records[place][-8:]
        ]

    # --- deeds -------------------------------------------------------------------------------------------

    def run(self, deeds: int) -> None:
        """Begin, and let ``deeds`` things happen."""
        self.workload.begin()
        self.observer.poll()
        for machine in self.machines:
            machine.start()
        kinds, weights = zip(*self._deeds, strict=True)
        for deed in self.random.choices(kinds, weights, k=deeds):
            what = deed()
            if what is not None:
                self.note(f"{deed.__name__} {what}")

    def step_runner(self) -> str | None:
        """Step some shard of some machine."""
        pairs = [(machine, shard) for machine in self.machines for shard in machine.runners]
        if not pairs:
            return None
        machine, shard = self.random.choice(pairs)
        wait = machine.step(shard)
        if wait is None:
            self.counts["a machine stops or dies in a step"] += 1
        return f"{machine.name} {shard} {wait}"

    def poll_tail(self) -> str | None:
        machine = self.random.choice(self.machines)
        return f"{machine.name} {machine.poll()}" if machine.alive else None

    def pass_time(self) -> str:
        low, high = self.random.choices(((1, 100), (100, 2_000), (2_000, 9_000), (20_000, 70_000)), (60, 30, 8, 2))[0]
        ms = self.random.randrange(low, high)
        self.time.advance(ms)
        return str(ms)

    def write(self) -> str:
        deed = self.workload.act()
        self.counts[f"client{deed}"] += 1
        return deed

    def report(self) -> str | None:
        return "" if self.workload.outcome() else None

    def execute(self) -> str | None:
        """Some executor says something."""
        what = self.executors.act()
        if what is not None:
            self.counts[f"an executor says {what.partition(' ')[2]}"] += 1
        return what

    def assign(self) -> str | None:
        """The coordinator gives a shard to another machine; the former owner may not hear of it for a while."""
        alive = [machine for machine in self.machines if machine.alive]
        shard = self.random.randrange(SHARDS)
        if not alive:
            return None
        former, machine = self.owners[shard], self.random.choice(alive)
        if former is machine and shard in machine.believes:
            return None
        if former is not None and former is not machine and shard in former.believes:
            self.zombies.append((former, shard))
            if self.random.random() < 0.5:
                self.zombie_learns()
        if former is not machine and (machine, shard) in self.zombies:
            self.zombies.remove((machine, shard))
        self.owners[shard] = machine
        machine.give(shard)
        return f"{shard} to {machine.name}"

    def zombie_learns(self) -> str | None:
        """A former owner hears that it is one."""
        if not self.zombies:
            return None
        machine, shard = self.zombies.pop(self.random.randrange(len(self.zombies)))
        self.counts["a zombie learns"] += 1
        machine.take(shard)
        return f"{machine.name} {shard}"

    def start_machine(self) -> str | None:
        dead = [machine for machine in self.machines if not machine.alive]
        if not dead:
            return None
        machine = self.random.choice(dead)
        self._bury(machine)
        if abs(machine.clock.skew) > 30_000 and self.random.random() < 0.7:
            machine.clock.jump(self._small_skew())
            machine.clock.wall()
        return f"{machine.name} {machine.start()}"

    def _bury(self, machine: Machine) -> None:
        self.zombies = [zombie for zombie in self.zombies if zombie[0] is not machine]
        for shard, owner in self.owners.items():
            if owner is machine:
                self.owners[shard] = None

    def kill_machine(self) -> str:
        machine = self.random.choice(self.machines)
        machine.die()
        self.counts["a machine is killed"] += 1
        return machine.name

    def deliver(self) -> str | None:
        if not self.log.in_flight:
            return None
        self.faults.deliver_late()
        return ""

    def compact(self) -> str:
        """The log cleaner passes. Of control it leaves what some shard has not applied, as the lag of a day would."""
        self.observer.poll()
        topic, partition = f"{NAMESPACE}.state", self.random.randrange(SHARDS)
        if self.random.random() < 0.5:
            topic, partition = f"{NAMESPACE}.control", 0
            lag = self.time.now - self._oldest_unapplied()
            self.log.admin().alter(topic, {"min.compaction.lag.ms": str(max(0, lag + 1))})
        before = len(self.log.records(topic, partition))
        self.log.roll(topic, partition)
        self.log.compact(topic, partition)
        self.counts[f"compaction of {topic}"] += before > len(self.log.records(topic, partition))
        return f"{topic} {partition}"

    def _oldest_unapplied(self) -> int:
        """Broker time of the first control record that some shard's cursor has not passed."""
        lowest = None
        for shard in range(SHARDS):
            cursors = [r for r in self.observer.records[f"{NAMESPACE}.state", shard] if r.key == state.CURSOR]
            decoded = state.decode_cursor(cursors[-1].value or b"") if cursors else None
            applied = decoded.control if isinstance(decoded, state.CursorRecord) else 0
            lowest = applied if lowest is None else min(lowest, applied)
        later = [r for r in self.observer.records[f"{NAMESPACE}.control", 0] if r.offset >= (lowest or 0)]
        return later[0].timestamp if later else self.time.now

    def jump(self) -> str:
        """Somebody sets a machine's clock, in the midst of whatever it does next."""
        machine = self.random.choice(self.machines)
        far = self.random.random() < 0.5
        skew = self.random.choice(_ABOVE) if far else self._small_skew()
        machine.clock.jump(skew, self.random.randrange(12))
        self.counts[f"a clock jumps {'too far' if far else 'a little'}"] += 1
        return f"{machine.name} {skew}"

    def vanish(self) -> str:
        """A target topic goes away, or comes back."""
        if self.missing is None:
            self.missing = self.random.choice(TARGETS)
            if self.random.random() < 0.5:
                self.observer.poll()
                self.log.delete(self.missing)
                self.counts["a target is deleted"] += 1
            else:
                self.log.restrict(self.missing, writable=False)
                self.counts["a target is forbidden"] += 1
        else:
            self.bring_back()
        return str(self.missing)

    def bring_back(self) -> None:
        """The missing target is there again."""
        if self.missing is None:
            return
        admin = self.log.admin()
        if self.missing in admin.describe([self.missing]):
            self.log.restrict(self.missing)
        else:
            admin.create(self.missing, 2, 1, APPEND_TIME)
            self.observer.recreated(self.missing)
        self.missing = None

    def refresh_targets(self) -> str | None:
        machine = self.random.choice(self.machines)
        if not machine.alive:
            return None
        machine.refresh_targets()
        return machine.name

    def heal(self, rest: int) -> None:
        """No more faults and right clocks: one machine per shard, and ``rest`` ms in small steps."""
        self.faults.rate = 0.0
        while self.log.in_flight:
            self.faults.deliver_late()
        self.bring_back()
        self.workload.heal()
        for machine, clock in zip(self.machines, self.clocks, strict=True):
            clock.jump(0)
            clock.wall()
            if not machine.alive:
                self._bury(machine)
                machine.start()
        for machine, shard in self.zombies:
            machine.take(shard)
        self.zombies = []
        for shard in range(SHARDS):
            owner = self.owners[shard]
            if owner is None or shard not in owner.believes:
                owner = self.owners[shard] = self.machines[shard % MACHINES]
            for machine in self.machines:
                if machine is not owner:
                    machine.take(shard)
            owner.give(shard)
        until = self.time.now + rest
        while self.time.now < until:
            self.beat()
            self.time.advance(self.random.choice((200, 900, 1_500)))

    def beat(self) -> None:
        """Let every machine, and every executor, do what it can do right now."""
        self.executors.finish()
        for machine in self.machines:
            machine.poll()
            machine.refresh_targets()
            for shard in list(machine.runners):
                while machine.step(shard) == 0:
                    machine.poll()
            if not machine.alive:  # it had measured its clock when that was still wrong
                machine.start()
                for shard, owner in self.owners.items():
                    if owner is machine:
                        machine.give(shard)
        self.observer.poll()

    def stop(self) -> None:
        """Let go of everything."""
        for machine in self.machines:
            try:
                machine.leave()
            except LogError:
                machine.die()
