"""A small stage for one story: a namespace, machines that are told what they own, and steps that are not random."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kadence.log.memory import MemoryLog
from kadence.wire import state
from tests.sim.machine import NAMESPACE, Machine
from tests.sim.times import EPOCH, BrokerTime, MachineClock
from tests.sim.world import create_topics

if TYPE_CHECKING:
    from kadence.domain.book import Book
    from kadence.log.port import Record

CONTROL = f"{NAMESPACE}.control"
STATE = f"{NAMESPACE}.state"
EXECUTIONS = f"{NAMESPACE}.executions"
OUTCOMES = f"{NAMESPACE}.outcomes"


class Bench:
    """One shard unless told otherwise; every append takes a millisecond."""

    def __init__(self, shards: int = 1, max_transaction: int = 1_000) -> None:
        self.time = BrokerTime()
        self.log = MemoryLog(self.time, transaction_timeout=600_000)
        self.shards = shards
        self.largest = max_transaction
        create_topics(self.log, shards)
        self.client = self.log.start("client").appender()

    def machine(self, name: str = "w0", skew: int = 0) -> Machine:
        """A machine that lives and owns nothing yet."""
        found = Machine(self.log, name, MachineClock(self.time, skew), self.shards, self.largest)
        found.start()
        return found

    def write(self, key: str, value: dict[str, Any] | None) -> int:
        """A control record; returns its offset."""
        self.time.advance(1)
        data = None if value is None else json.dumps(value).encode()
        return self.client.append(CONTROL, 0, key.encode(), data).offset

    def job(self, name: str, every: str = "1s", **spec: Any) -> int:
        """A job that catches up on everything."""
        return self.write(f"job/{name}", {"schedule": {"every": every}, "catch_up": {"policy": "all"}, **spec})

    def settle(self, machine: Machine, *shards: int) -> None:
        """Let a machine do all that it can do right now."""
        for shard in shards or (0,):
            machine.give(shard)
            machine.poll()
            wait = machine.step(shard)
            steps = 0
            while machine.alive and (wait == 0 or not machine.ready(shard)) and steps < 60:
                machine.poll()
                wait = machine.step(shard)
                steps += 1

    def live(self, machine: Machine, ms: int, *shards: int, step: int = 100) -> None:
        """Let time pass, the machine working."""
        until = self.time.now + ms
        while self.time.now < until and machine.alive:
            self.settle(machine, *shards)
            self.time.advance(step)
        self.settle(machine, *shards)

    def pass_time(self, ms: int) -> None:
        self.time.advance(ms)

    def book(self, machine: Machine, shard: int = 0) -> Book:
        found = machine.runners[shard].book
        assert found is not None
        return found

    def executed(self, name: str | None = None, topic: str = EXECUTIONS) -> list[str]:
        """The ids of committed executions, in log order."""
        partitions = self.log.admin().describe([topic])[topic].partitions
        records = [record for number in range(partitions) for record in self.log.records(topic, number)]
        records.sort(key=lambda record: record.timestamp)
        ids = [dict(record.headers)["ce_id"].decode() for record in records]
        return [id_ for id_ in ids if name is None or id_.partition("@")[0].partition("!")[0] == name]

    def dues(self, name: str, topic: str = EXECUTIONS) -> list[int]:
        """Due times executed, in seconds since the beginning."""
        from tests.sim.wishes import instant_of  # noqa: PLC0415

        ids = [id_ for id_ in self.executed(name, topic) if "@" in id_]
        return [(instant_of(id_.partition("@")[2]) - EPOCH) // 1000 for id_ in ids]

    def cursor(self, shard: int = 0) -> state.CursorRecord:
        """The last committed cursor."""
        values = [record.value for record in self.log.records(STATE, shard) if record.key == state.CURSOR]
        found = state.decode_cursor(values[-1] or b"")
        assert isinstance(found, state.CursorRecord)
        return found

    def state(self, key: str, shard: int = 0) -> dict[str, Any] | None:
        """The newest state record under a key."""
        values = [record.value for record in self.log.records(STATE, shard) if record.key == key.encode()]
        return json.loads(values[-1]) if values and values[-1] is not None else None

    def compact(self, topic: str, partition: int = 0, *, times: int = 1) -> None:
        """Let the log cleaner pass, tombstones outliving nothing after the second time."""
        for _ in range(times):
            self.log.roll(topic, partition)
            self.log.compact(topic, partition)
            self.time.advance(60_000)

    def events(self, kind: str, shard: int = 0) -> list[Record]:
        """Events of a kind, such as ``job.dropped``."""
        wanted = f"kadence.{kind}.v1".encode()
        return [r for r in self.log.records(f"{NAMESPACE}.events", shard) if dict(r.headers)["ce_type"] == wanted]
