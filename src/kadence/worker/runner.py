"""Running one shard: take over, then tick, apply and commit for as long as the log lets us.

The same code runs in a thread of the worker and in the simulation: `ShardRunner.step` does a bounded piece of work
and says when it wants to be called again. It holds a producer and a fold, and they live and die together: after any
error both are thrown away and the shard is taken over again (ARCHITECTURE, law 4).
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Final, cast

from kadence.domain.stimulus import Change, Outcome, OutcomesHeard, OutcomesLost, PutJob, TargetChanged, Tick
from kadence.domain.walltime import TZDATA_VERSION
from kadence.errors import FencedError, LogError, RefusedError, UnreadableError
from kadence.log.topics import counted
from kadence.wire import control, outcome
from kadence.worker.alarms import alarms
from kadence.worker.outbox import Outbox
from kadence.worker.skew import Skew
from kadence.worker.takeover import Phase, Takeover

if TYPE_CHECKING:
    from collections.abc import Callable

    from kadence.domain.book import Book
    from kadence.domain.shard import Shard
    from kadence.log.port import LogWriter, Record
    from kadence.worker.environment import Environment

logger = logging.getLogger(__name__)

IDLE: Final = 30_000
"""Milliseconds after which a shard with nothing to decide shows that it lives."""
LAG: Final = 5_000
"""... and after which it says that it is past control records that concern other shards."""
LONGEST_WAIT: Final = 1_000
_RETRY: Final = 500
_FENCED_RETRY: Final = 3_000
_UNREADABLE_RETRY: Final = 15_000
_RECORDS: Final = 500
"""Control records per transaction: every one may be refused, and the cursor names those."""
_OUTCOMES: Final = 5_000
_DAY: Final = 86_400_000
_OUTCOMES_PATIENCE: Final = 10_000


class ShardRunner:
    """Runs one shard while ``assigned()`` says so. Not thread-safe: one thread steps it."""

    def __init__(self, environment: Environment, shard: int, assigned: Callable[[], bool]) -> None:
        """Nothing happens before the first `step`."""
        self._env = environment
        self.index = shard
        self._assigned = assigned
        self._takeover: Takeover | None = None
        self._again_at = environment.clock.monotonic()
        self._started = 0
        self._shard: Shard | None = None
        self._writer: LogWriter | None = None
        self._outbox: Outbox | None = None
        self._hold_fire_below = 0
        self._committed_at = 0
        self._committed_control = 0
        self._expected_at: int | None = None
        self._targets_seen = -1
        self._unheard_until: int | None = None
        self._commands: deque[tuple[int, str]] = deque()
        self._skew = Skew(environment.clock, trusted=environment.broker_clock)
        self.problem: str | None = "taking over"

    @property
    def book(self) -> Book | None:
        """The shard's book, once it is taken over; for metrics, to be read only."""
        return None if self._shard is None else self._shard.book

    @property
    def next_due(self) -> int | None:
        """When a shard that is taken over has something to decide by itself (wall time, ms); None: never."""
        return None if self._shard is None else self._shard.next_due()

    def step(self) -> int:
        """Do a piece of work; returns in how many ms there may be more (0: at once; news may come earlier).

        Raises `ConfigurationError` and `ClockSkewError`, which no retry mends.
        """
        try:
            if self._shard is None:
                return self._take_over()
            return self._run(self._shard)
        except RefusedError as error:
            own = error.topic.startswith(f"{self._env.namespace}.")
            if own and error.topic != self._env.topic("dead_letters"):
                return self._discard("refused", str(error), _RETRY)
            self._env.targets.refused(error.topic, error.reason)
            return self._discard("refused", str(error), 0)
        except FencedError as error:
            return self._discard("fenced", str(error), _FENCED_RETRY)
        except UnreadableError as error:
            return self._discard("unclean", str(error), _UNREADABLE_RETRY)
        except LogError as error:
            return self._discard("unclean", str(error), _RETRY)

    def close(self) -> None:
        """Let go of the shard without another word to the log: the next owner ends what is open."""
        self._env.tail.outcomes.leave(self.index)
        if self._takeover is not None:
            self._takeover.close()
            if self._takeover.writer is not None:
                self._takeover.writer.close()
        if self._writer is not None:
            self._writer.close()
        self._takeover, self._writer, self._outbox, self._shard = None, None, None, None

    def _discard(self, result: str, why: str, retry: int) -> int:
        """Throw producer and fold away together; what they had decided is unknown, and will be read from the log."""
        logger.warning("shard %d: %s; taking over again", self.index, why)
        if self._shard is not None:
            self._env.metrics.transaction(result)
        self.close()
        self.problem = why
        self._again_at = self._env.clock.monotonic() + retry
        return retry

    # --- taking over -------------------------------------------------------------------------------------

    def _take_over(self) -> int:
        env = self._env
        if not self._assigned():
            self.close()
            return LONGEST_WAIT
        if (wait := self._again_at - env.clock.monotonic()) > 0:  # news may have come earlier
            return wait
        if self._takeover is None:
            self._started = env.clock.monotonic()
            self._takeover = Takeover(env, self.index, self._assigned)
        takeover = self._takeover
        if takeover.phase is not Phase.DONE:
            return 0 if takeover.step() else 10
        self._skew.measure(takeover.sent, takeover.barrier, takeover.acknowledged)
        env.metrics.skew(self._skew.milliseconds)
        self._skew.check()
        now = self._skew.now()
        if now is None:  # somebody set the clock since the barrier: only another barrier tells what it is worth
            self.close()
            return 0
        self._shard = shard = takeover.build(now)
        self._writer, self._takeover = takeover.writer, None
        self._outbox = Outbox(env, self.index, takeover.nonce, takeover.control_topic_id)
        self._hold_fire_below = takeover.through_control
        self._expected_at, self._targets_seen = None, env.targets.version
        self._committed_at = env.clock.monotonic()
        self._commands = self._old_commands(shard.book.cursor.control)
        env.tail.outcomes.follow(self.index, shard.book.cursor.outcomes)
        # Only of runs from before: a job that comes to be run one at a time later has none of those.
        self._unheard_until = env.clock.monotonic() + _OUTCOMES_PATIENCE if shard.book.serial else None
        if shard.book.cursor.through > env.clock.wall() + 1_000:
            logger.error(
                "shard %d: its cursor is %d ms ahead of this clock: an earlier owner's clock was ahead, and due times "
                "up to there count as decided",
                self.index,
                shard.book.cursor.through - env.clock.wall(),
            )
        seconds = (env.clock.monotonic() - self._started) / 1000
        self._announce(shard, seconds, takeover.tzdata_before)
        env.metrics.takeover(seconds)
        logger.info("shard %d: taken over in %.2f s, %s", self.index, seconds, counted(len(shard.book.jobs), "job"))
        self.problem = None
        return 0

    def _announce(self, shard: Shard, seconds: float, tzdata_before: str | None) -> None:
        """The event of a takeover; it also tells where the rules of time zones changed with the owner."""
        detail: dict[str, object] = {"worker": self._env.worker, "seconds": seconds, "jobs": len(shard.book.jobs)}
        if tzdata_before not in {None, TZDATA_VERSION}:
            logger.warning("shard %d: tzdata changes from %s to %s", self.index, tzdata_before, TZDATA_VERSION)
            detail |= {"tzdata_before": tzdata_before, "tzdata": TZDATA_VERSION}
        shard.book.decision.prompt = True
        shard.book.say("shard.taken_over", str(self.index), detail=detail)

    def _old_commands(self, cursor: int) -> deque[tuple[int, str]]:
        """One-off commands applied by earlier owners whose records are still there."""
        records = self._env.tail.level(self.index, cursor)
        keys = [(record.timestamp, (record.key or b"").decode("utf-8", "replace")) for record in records]
        return deque(sorted(entry for entry in keys if entry[1].partition("/")[0] in control.COMMANDS))

    # --- running -----------------------------------------------------------------------------------------

    def _run(self, shard: Shard) -> int:
        env = self._env
        if not self._assigned():
            self.close()
            return LONGEST_WAIT
        late = self._expected_at is not None and env.clock.monotonic() - self._expected_at > env.longest_gap
        now = self._skew.now()
        if late or now is None:
            self._confirm(shard, standstill=late)
            self._expected_at = env.clock.monotonic()
            return 0
        behind = shard.book.cursor.control <= self._hold_fire_below or self._has_unheard(shard, now)
        more = False if behind else shard.step(Tick(env.max_transaction), now)
        more |= self._apply(shard, now)
        self._look_at_targets(shard, now)
        passed_on = shard.book.cursor.control > self._committed_control
        idle = env.clock.monotonic() - self._committed_at >= (LAG if passed_on else IDLE)
        if shard.book.decision.anything() or idle:
            self._commit(shard)
        self._bury_commands(now)
        wait = 0 if more else self._wait(shard)
        self._expected_at = env.clock.monotonic() + wait
        return wait

    def _wait(self, shard: Shard) -> int:
        due = shard.next_due()
        if due is None:
            return LONGEST_WAIT
        return max(0, min(due - self._env.clock.wall(), LONGEST_WAIT))

    def _confirm(self, shard: Shard, *, standstill: bool) -> None:
        """Nothing fires before a commit has shown that we still own the shard, and what time it is.

        After a standstill the commands that came meanwhile are applied first, too.
        """
        self._commit(shard)
        if standstill:
            self._hold_fire_below = self._env.tail.position - 1

    def _apply(self, shard: Shard, now: int) -> bool:
        """Apply what has come in; True where more waits."""
        env, cursor = self._env, shard.book.cursor
        records, position = env.tail.since(self.index, cursor.control, _RECORDS)
        changes = [
            control.decode(record.key, record.value, record.offset, record.timestamp, env.namespace)
            for record in records
        ]
        self._look_at_new_targets(shard, changes, now)
        for change in changes:
            shard.step(change, now)
        cursor.control = max(cursor.control, position)
        begin = env.tail.outcomes.lost_below(self.index)
        if begin is not None and begin != cursor.outcomes:
            shard.step(OutcomesLost(begin), now)
        outcomes = env.tail.outcomes.take(self.index, _OUTCOMES)
        for record in outcomes:
            if record.offset >= cursor.outcomes:
                self._hear(shard, record, now)
        self._hear_the_end(shard, now)
        return len(records) >= _RECORDS or len(outcomes) >= _OUTCOMES

    def _hear_the_end(self, shard: Shard, now: int) -> None:
        """Let the fold know up to when no outcome is missing, where it waits for that; what is late is decided then."""
        heard = self._env.tail.outcomes.heard(self.index)
        if heard is not None:
            self._unheard_until = None
            shard.step(OutcomesHeard(heard), now)
        if shard.awaits_outcomes(now):
            self._env.tail.outcomes.ask(self.index, now)

    def _has_unheard(self, shard: Shard, now: int) -> bool:
        """Whether a shard that was just taken over has yet to read how its runs went.

        A job that runs one at a time would leave out a due time for a run that is long over. Nobody else waits, and
        not for long: a partition without a leader must not keep a shard from firing.
        """
        if self._unheard_until is None or not shard.book.serial:
            return False
        if self._env.clock.monotonic() >= self._unheard_until:
            logger.warning(
                "shard %d: how its runs went cannot be read; going on, and what one run at a time stands in the way of "
                "may be left out",
                self.index,
            )
            self._unheard_until = None
            return False
        self._env.tail.outcomes.ask(self.index, now)
        return True

    def _hear(self, shard: Shard, record: Record, now: int) -> None:
        """Apply an outcome, or pass it on: a partitioner that is not Java's put it into a partition not its own."""
        heard = outcome.decode(record.key, record.value, record.offset, record.timestamp)
        if self._outbox is not None and isinstance(heard, Outcome) and not shard.book.owns(heard.job):
            self._outbox.pass_on(record)
            shard.book.cursor.outcomes = record.offset + 1
            shard.book.decision.prompt = True
        else:
            shard.step(heard, now)

    def _look_at_new_targets(self, shard: Shard, changes: list[Change], now: int) -> None:
        """Targets are looked at before the fold first hears of them."""
        wished = [change.wish.spec for change in changes if isinstance(change.wish, PutJob)]
        named = {topic for spec in wished for topic in (spec.target.topic, spec.dead_letters.topic)} - {None}
        new = sorted(cast("set[str]", named) - shard.book.targets.keys() - shard.book.letter_topics.keys())
        if new:
            self._env.targets.ensure(new)
            for topic in new:
                shard.step(TargetChanged(topic, self._env.targets.problem(topic)), now)

    def _look_at_targets(self, shard: Shard, now: int) -> None:
        """Tell the fold what the process has found out about its targets since."""
        version = self._env.targets.version
        if version != self._targets_seen:
            self._targets_seen = version
            for topic in {*shard.book.targets, *shard.book.letter_topics}:
                shard.step(TargetChanged(topic, self._env.targets.problem(topic)), now)

    def _commit(self, shard: Shard) -> None:
        """One decision, one transaction: executions flushed first, then states, events and the cursor."""
        env, writer, outbox, decision = self._env, self._writer, self._outbox, shard.take()
        if writer is None or outbox is None:
            message = f"shard {self.index} has no writer"
            raise RuntimeError(message)
        sent = outbox.send(writer, shard.book, decision)
        receipt = writer.commit()
        acknowledged = env.clock.wall()
        self._committed_at, self._committed_control = env.clock.monotonic(), shard.book.cursor.control
        env.tail.settle(self.index, shard.book.cursor.control)
        self._commands.extend(decision.commands)
        for line in alarms(decision, env.topic("events")):
            logger.warning("%s", line)
        env.metrics.transaction("committed")
        env.metrics.decided(decision, receipt.timestamp if env.broker_clock else acknowledged)
        env.metrics.control_applied(shard.book.cursor.control)
        self._skew.measure(sent, receipt, acknowledged)
        env.metrics.skew(self._skew.milliseconds)
        self._skew.check()

    def _bury_commands(self, now: int) -> None:
        """Write the tombstones of one-off commands a day after them, outside any transaction."""
        while self._commands and self._commands[0][0] + _DAY <= now:
            _, key = self._commands.popleft()
            self._env.appender.append(self._env.topic("control"), 0, key.encode(), None)
