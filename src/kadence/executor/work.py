"""One execution in hand: from its record to the acknowledgement of its outcome."""

from __future__ import annotations

import threading
from enum import Enum
from typing import TYPE_CHECKING

from typing_extensions import override

if TYPE_CHECKING:
    import asyncio

    from kadence.errors import LogError
    from kadence.executor.execution import Execution
    from kadence.executor.lanes import Lane
    from kadence.executor.partition import Partition
    from kadence.log.port import Receipt


class Stage(Enum):
    """How far it is. Changed by the loop's thread only."""

    QUEUED = "queued"
    RUNNING = "running"
    OVER = "over"
    """Its handler has returned, or will never be called."""


class Cancellation(threading.Event):
    """An event that costs nothing until somebody waits for it, which few handlers do."""

    def __init__(self) -> None:
        """Not set."""
        self._is_set = False
        self._waited_for = False

    @override
    def is_set(self) -> bool:
        return self._is_set

    @override
    def set(self) -> None:
        with _cancelling:
            self._is_set = True
            if self._waited_for:
                super().set()

    @override
    def wait(self, timeout: float | None = None) -> bool:
        with _cancelling:
            if self._is_set:
                return True
            if not self._waited_for:
                super().__init__()
                self._waited_for = True
        return super().wait(timeout)


_cancelling = threading.Lock()


class Work:
    """What is known of one execution while it is in hand. Times in ms since the epoch, ``began`` monotonic."""

    # Class attributes are what most of these stay: a record in hand should cost little.
    stage = Stage.QUEUED
    judged = False
    """Whether its job was looked at, and lets it run."""
    cancelled: Cancellation | None = None
    stopped = False
    """Whether its handler was asked to stop."""
    task: asyncio.Task[None] | None = None
    thread: int | None = None
    """The identifier of the thread that its handler runs in, where somebody may ask for it."""
    timer: asyncio.TimerHandle | None = None
    began = 0
    started_at: int | None = None
    reported = False
    """Whether ``started`` was."""
    answered = False
    """Whether it has its final outcome, be it acknowledged or not."""
    value = b""
    """That outcome, as it goes to the log."""
    answer: Receipt | LogError | None = None
    tries = 0
    finished = False
    """Whether nothing is left to do for it: its offset may be committed."""

    def __init__(self, execution: Execution, lane: Lane | None, partition: Partition) -> None:
        """``lane`` is None for an execution whose handler this version of the app does not have."""
        firing = execution.firing
        self.execution = execution
        self.id = firing.run if firing.n == 1 else execution.id
        self.lane = lane
        self.partition = partition

    @property
    def is_running(self) -> bool:
        """Whether its handler was called and has not returned."""
        return self.stage is Stage.RUNNING

    def acknowledged(self, answer: Receipt | LogError) -> None:
        """The log has answered. Called by whatever thread heard it; what follows from it is the consumer's to do."""
        self.answer = answer
        self.partition.answers.append(self)
