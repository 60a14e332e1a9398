"""JobSpec's fields as a type checker knows them, for `@app.job(…)`: the contract's, with Python's times as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from typing_extensions import TypedDict

if TYPE_CHECKING:
    from kadence.domain.spec import Policy

Duration = str | float | timedelta
"""Text such as ``"1h30m"``, seconds, or a timedelta."""
Time = datetime | str
"""An aware datetime, or RFC 3339 text."""
Schedule = Mapping[str, object] | Sequence[Mapping[str, object]]
"""The contract's ``schedule``, or a list of these."""


class CatchUpFields(TypedDict, total=False):
    """``catch_up``."""

    policy: Policy
    window: Duration | None
    grace: Duration
    after_pause: Policy


class RetryFields(TypedDict, total=False):
    """``retry``."""

    attempts: int
    delay: Duration
    factor: float
    max_delay: Duration


class BreakerFields(TypedDict, total=False):
    """``breaker``."""

    failures: int
    probe_after: Duration | None
    factor: float
    max_probe_after: Duration


class TargetFields(TypedDict, total=False):
    """``target``, without a topic: executions for handlers go to the namespace's own."""

    key: str
    headers: Mapping[str, str]


class DeadLettersFields(TypedDict):
    """``dead_letters``."""

    topic: str


class JobFields(TypedDict, total=False):
    """All but ``schedule``, ``managed_by`` and ``revision``. None is as good as not given, a default included."""

    start: Time | None
    end: Time | None
    max_runs: int | None
    jitter: Duration | None
    catch_up: CatchUpFields | None
    overlap: Literal["allow", "skip"] | None
    timeout: Duration | None
    expires_after: Duration | None
    retry: RetryFields | None
    breaker: BreakerFields | None
    target: TargetFields | None
    dead_letters: DeadLettersFields | None
    payload: object
    payload_text: str | None
    payload_base64: str | None
    tags: Sequence[str] | None
    description: str | None
    owner: str | None
    paused: bool | None
