"""`Run`, what a handler is given, and the two ways to end one that are neither success nor failure."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar, final

from typing_extensions import override

from kadence.domain.duration import END_INSTANT, parse_duration
from kadence.domain.fields import InvalidError
from kadence.domain.plain import instant
from kadence.errors import InvalidSpecError

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

T_co = TypeVar("T_co", covariant=True)

_NO_HEADERS: Final[Mapping[str, bytes]] = MappingProxyType({})
_logger = logging.getLogger("kadence.run")


class Cancellation(Protocol):
    """Whether a run should stop early; a `threading.Event` is one."""

    def is_set(self) -> bool:
        """Whether it should."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it should, at most ``timeout`` seconds: a sleep that ends early. Says whether it should."""
        ...


class RunLog(logging.LoggerAdapter[logging.Logger]):
    """Writes to the logger ``kadence.run``; every record has the attributes ``run`` and ``job``, and says the run."""

    @override
    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        own = self.extra or {}
        return f"{own.get('run')}: {msg}", {**kwargs, "extra": {**own, **(kwargs.get("extra") or {})}}


@final
@dataclass(frozen=True, eq=False, init=False)
class Run(Generic[T_co]):
    """One attempt at one run of a job; ``payload`` is of the type that the handler declares, as ``Run[Invoice]``.

    ``id`` names the run and is the same in every attempt: the key to make an effect idempotent by. ``firing`` names
    this attempt (the execution's ``ce_id``). ``due`` is the due time, for a run that was triggered the time of that.
    ``attempt`` counts from 1. ``deadline`` is when ``timeout`` ends the attempt (None: never), ``cancelled`` is set
    when it should stop: past the deadline, or because its executor shuts down or hands it over. Nobody takes a plain
    return for a success then: the run is begun anew elsewhere, unless it raises `Snooze` or `Cancel`. ``cause`` is
    ``schedule``, ``catch_up``, ``backfill``, ``trigger``, ``retry`` or ``probe``. Both times are aware (UTC).
    """

    # Written out: with slots=True a dataclass is made twice, and Run[Invoice](…) fails on Python 3.11.
    __slots__ = ("attempt", "cancelled", "cause", "deadline", "due", "firing", "headers", "id", "job", "payload")

    id: str
    job: str
    due: datetime
    payload: T_co
    attempt: int
    headers: Mapping[str, bytes]
    deadline: datetime | None
    cancelled: Cancellation
    firing: str
    cause: str

    def __init__(  # noqa: PLR0913  a run has this many parts; all but four are optional for tests of a handler
        self,
        *,
        id: str,  # noqa: A002  the contract's word for it
        job: str,
        due: datetime,
        payload: T_co,
        attempt: int = 1,
        headers: Mapping[str, bytes] = _NO_HEADERS,
        deadline: datetime | None = None,
        cancelled: Cancellation | None = None,
        firing: str | None = None,
        cause: str = "schedule",
    ) -> None:
        put = object.__setattr__
        put(self, "id", id)
        put(self, "job", job)
        put(self, "due", due)
        put(self, "payload", payload)
        put(self, "attempt", attempt)
        put(self, "headers", headers)
        put(self, "deadline", deadline)
        put(self, "cancelled", threading.Event() if cancelled is None else cancelled)
        put(self, "firing", id if firing is None else firing)
        put(self, "cause", cause)

    @property
    def log(self) -> RunLog:
        """A logger that says which run it is about."""
        return RunLog(_logger, {"run": self.id, "job": self.job})

    @override
    def __repr__(self) -> str:
        """Without the payload and the headers: they may be large, or secret."""
        return f"Run(id={self.id!r}, attempt={self.attempt})"


class Snooze(Exception):  # noqa: N818  no error: the handler says "later"
    """Raise it to be run again later; it uses up no attempt and is no failure.

    ``until``: a duration as text (``"5m"``), in seconds or as a timedelta, or an aware datetime. One that is over,
    or negative by calculation, means now. Raises `InvalidSpecError` for anything else.
    """

    _at: int | None = None
    _for: int = 0

    def __init__(self, until: str | float | timedelta | datetime) -> None:
        super().__init__(f"snoozed: {until}")
        try:
            if isinstance(until, datetime):
                self._at = _instant_or_past(until)
            elif isinstance(until, timedelta):
                self._for = _milliseconds(until / timedelta(milliseconds=1))
            elif isinstance(until, str):
                self._for = parse_duration(until)
            else:
                self._for = _milliseconds(_number(until) * 1000)
        except ValueError as error:
            raise InvalidSpecError(f"Snooze({until!r:.80}): {error}") from None

    def until(self, now: int) -> int:
        """The instant to run again at, seen from ``now``, not before it; both in ms since the epoch."""
        at = now + self._for if self._at is None else self._at
        return max(now, min(at, END_INSTANT - 1))


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = "it takes a duration (text such as '5m', seconds, a timedelta) or an aware datetime"
        raise InvalidError(msg)
    return value


def _milliseconds(length: float) -> int:
    if not length < END_INSTANT:  # so put, it refuses NaN too
        msg = "a duration must be finite, and not longer than 200 years"
        raise InvalidError(msg)
    return max(0, int(max(length, 0)))


def _instant_or_past(time: datetime) -> int:
    """A time before the first that the contract can name is simply over."""
    if time.tzinfo is not None and time.year < _FIRST_YEAR:
        return 0
    return instant(time)


_FIRST_YEAR: Final = 2000


class Cancel(Exception):  # noqa: N818  no error: the handler says "not needed"
    """Raise it to end the run without success and without failure; it is not tried again. ``reason`` says why."""

    reason: str = ""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
