"""What a client holds in one process: the log, a plain producer, and how many shards there are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kadence.client.confirm import Watch, shards_of
from kadence.client.earlier import stood_before
from kadence.client.written import Written
from kadence.errors import ConfigurationError, RefusedError, UnreachableError
from kadence.log.topics import ANSWER_SECONDS, init_command, shard_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kadence.client.commands import Command
    from kadence.clock import Clock
    from kadence.log.port import Log, LogAppender, Receipt

_APPEND_SECONDS: Final = 30.0
_MISSING: Final = "nknown topic"  # librdkafka's and Kafka's sentences for it
_MISSING_CODE: Final = "UNKNOWN_TOPIC"


class Session:
    """Connections of one process. The producer is safe for several threads, readers are made per call."""

    def __init__(self, log: Log, namespace: str, clock: Clock) -> None:
        self.log = log
        self._namespace = namespace
        self._clock = clock
        self._appender: LogAppender | None = None
        self._shards: int | None = None

    def submit(self, commands: Sequence[Command], wait: float, timeout: float) -> list[Written]:
        """Append the commands in order; with ``wait`` seconds, see what their shards make of them."""
        if not commands:
            return []
        # Asked first in any case: it tells missing topics and absent brokers sooner and better than a producer does.
        shards = self._shard_count(timeout)
        if wait <= 0:
            receipts = self._append(commands)
            return [
                Written(one.kind, one.name, receipt.offset, receipt.timestamp, "recorded")
                for one, receipt in zip(commands, receipts, strict=True)
            ]
        concerned = {shard for command in commands for shard in shards_of(command, shards)}
        reader = self.log.reader()
        try:
            watch = Watch(reader, self._namespace, concerned, shards)
            receipts = self._append(commands)
            watch.wait(commands, receipts, wait, self._clock)
        finally:
            reader.close()
        done = [_written(watch, one, receipt) for one, receipt in zip(commands, receipts, strict=True)]
        return self._look_back(commands, done, timeout)

    def _look_back(self, commands: Sequence[Command], done: list[Written], timeout: float) -> list[Written]:
        """Whether what was taken away, and no shard had, was on the control topic at least: it had been rejected."""
        absent = {
            command.key: one.offset
            for command, one in zip(commands, done, strict=True)
            if command.value is None and command.kind in {"job", "hold"} and one.found is False
        }
        if not absent:
            return done
        try:
            stood = stood_before(self.log, self._namespace, absent, timeout, self._clock)
        except UnreachableError:
            return done  # the records themselves are in force
        return [
            replace(one, found=True) if command.key in stood and command.key in absent else one
            for command, one in zip(commands, done, strict=True)
        ]

    def _shard_count(self, timeout: float) -> int:
        """P never changes while a namespace is in use."""
        if self._shards is None:
            self._shards = shard_count(self.log, self._namespace, min(timeout, ANSWER_SECONDS))
        return self._shards

    def _append(self, commands: Sequence[Command]) -> list[Receipt]:
        topic = f"{self._namespace}.control"
        appender = self._appender
        if appender is None:
            appender = self._appender = self.log.appender()
        try:
            if len(commands) == 1:
                return [appender.append(topic, 0, commands[0].key, commands[0].value, timeout=_APPEND_SECONDS)]
            return appender.append_all(topic, 0, [(one.key, one.value) for one in commands])
        except RefusedError as error:
            if _MISSING in error.reason or _MISSING_CODE in error.reason:
                raise ConfigurationError(
                    f"topic {topic} does not exist; create kadence's topics with `{init_command(self._namespace)}`, "
                    "or name another namespace or cluster"
                ) from error
            raise

    def close(self) -> None:
        """Flush and release."""
        appender, self._appender = self._appender, None
        if appender is not None:
            appender.close()


def _written(watch: Watch, command: Command, receipt: Receipt) -> Written:
    fate, error = watch.fate(command, receipt)
    found = watch.found(command) if fate == "in_force" else None
    return Written(command.kind, command.name, receipt.offset, receipt.timestamp, fate, error, found)
