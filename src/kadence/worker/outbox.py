"""What a shard's transaction holds, in this order: executions, outcomes passed on, letters, memory, events, cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kadence.domain.partition import partition_for
from kadence.domain.walltime import TZDATA_VERSION
from kadence.wire import event, state
from kadence.wire import letter as letters
from kadence.wire.execution import Encoder
from kadence.worker.skew import read_clocks

if TYPE_CHECKING:
    from kadence.domain.book import Book
    from kadence.domain.decision import Decision
    from kadence.log.port import LogWriter, Record
    from kadence.worker.environment import Environment
    from kadence.worker.skew import Reading

_HEADERS: Final = 64 * 1024
"""Bytes of headers that are passed on with an outcome; its value has 256 KiB at most, and a record 1 MB."""


class Outbox:
    """Writes the decisions of one shard from one takeover to the next."""

    def __init__(self, environment: Environment, shard: int, nonce: str, control_topic_id: str) -> None:
        """``nonce``: the takeover's, which makes the ids of its events unique."""
        self._env = environment
        self._shard = shard
        self._nonce = nonce
        self._control_topic_id = control_topic_id
        self._encoder = Encoder(environment.namespace, shard)
        self._forwards: list[Record] = []
        self._events = 0

    def pass_on(self, record: Record) -> None:
        """An outcome that stands in a partition not its own goes into the next transaction."""
        size = sum(len(name.encode()) + len(value or b"") for name, value in record.headers)
        self._forwards.append(record if size <= _HEADERS else record._replace(headers=()))

    def send(self, writer: LogWriter, book: Book, decision: Decision) -> Reading:
        """Send all of a decision; returns what the clocks said when its last record, the cursor, was sent.

        Executions are acknowledged before anything else is sent, so that what a torn transaction can leave is a second
        copy of one of them, and never a loss (ARCHITECTURE, law 3).
        """
        writer.begin()
        for fire in decision.fires:
            writer.send(*self._encoder.encode(fire, book.now))
        if decision.fires:
            writer.flush()
        forwards, self._forwards = self._forwards, []
        for record in forwards:
            home = partition_for(record.key or b"", self._env.shards)
            writer.send(record.topic, home, record.key, record.value, record.headers)
        for letter in decision.letters:
            writer.send(*letters.encode(letter, self._encoder, book.now, (book.dead_letters, self._shard)))
        self._send_memory(writer, book, decision)
        sent = read_clocks(self._env.clock)
        writer.send(self._env.topic("state"), self._shard, state.CURSOR, self._cursor(book, decision))
        return sent

    def _send_memory(self, writer: LogWriter, book: Book, decision: Decision) -> None:
        env, topic = self._env, self._env.topic("state")
        for name in decision.jobs:
            job = book.jobs.get(name)
            writer.send(topic, self._shard, b"job/" + name.encode(), None if job is None else state.encode_job(job))
        for name, run in decision.runs:  # after their jobs: what half a transaction keeps of one is heard again
            known = book.run_of(name, run)
            value = None if known is None else state.encode_run(known)
            writer.send(topic, self._shard, b"run/" + run.encode(), value)
        for name in decision.holds:
            hold = book.holds.get(name)
            writer.send(topic, self._shard, b"hold/" + name.encode(), None if hold is None else state.encode_hold(hold))
        for happening in decision.happenings:
            self._events += 1
            key, value, headers = event.encode(happening, env.namespace, book.now, f"{self._nonce}-{self._events}")
            writer.send(env.topic("events"), self._shard, key, value, headers)

    def _cursor(self, book: Book, decision: Decision) -> bytes:
        cursor = book.cursor
        return state.encode_cursor(
            state.CursorRecord(
                through=cursor.through,
                after=cursor.after,
                control=cursor.control,
                control_topic_id=self._control_topic_id,
                outcomes=cursor.outcomes,
                worker=self._env.worker,
                tzdata=TZDATA_VERSION,
                rejected=tuple((refusal.offset, refusal.error) for refusal in decision.refusals),
            )
        )
