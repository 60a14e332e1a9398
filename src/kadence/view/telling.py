"""Which ends of attempts are news, and when they can be told: what a failure means is for the run's owner to say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kadence.domain.run import RunStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kadence.clock import Clock
    from kadence.view.runs import Ended, Runs, RunView

_PATIENCE: Final = 2_000
"""How long (ms) a failure waits for its owner's word, which follows at once where a worker runs."""


class Telling:
    """Tells each end once. A failed attempt is kept back until it is known whether there is another one."""

    def __init__(self, runs: Runs, clock: Clock) -> None:
        self._runs, self._clock = runs, clock
        self._held: dict[Ended, int] = {}

    def heard(self, run: str, end: Ended | None) -> Iterator[RunView]:
        """What can be told after a record about ``run``, and with it the ``end`` that it told of."""
        decided = [one for one in self._held if one.run == run and self._runs.is_decided(one)]
        for one in decided:
            del self._held[one]
            yield from self._tell(one)
        if end is None:
            return
        seen = self._runs.at_end(end)
        if seen is not None and seen.status is RunStatus.FAILED and not self._runs.is_decided(end):
            self._held.setdefault(end, self._clock.monotonic() + _PATIENCE)
        else:
            yield from self._tell(end)

    def left(self) -> float | None:
        """Seconds until something is told at the latest; None where nothing waits."""
        first = min(self._held.values(), default=None)
        return None if first is None else max(0, first - self._clock.monotonic()) / 1000

    def overdue(self, *, all_of_it: bool = False) -> Iterator[RunView]:
        """What has waited long enough for its owner's word, or all that waits."""
        now = self._clock.monotonic()
        for end in [end for end, until in self._held.items() if all_of_it or until <= now]:
            del self._held[end]
            yield from self._tell(end)

    def _tell(self, end: Ended) -> Iterator[RunView]:
        seen = self._runs.at_end(end)
        if seen is not None and self._runs.is_news(seen):
            yield seen
