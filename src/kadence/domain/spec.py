"""JobSpec: what a job is to do and when. Reading it from the contract's JSON, and writing it back.

`parse_spec` is the only way in; what it returns is valid. Parts that many jobs share (schedule, retry, breaker,
target, ...) are interned, so that a million jobs with a thousand distinct schedules hold a thousand of them.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, cast

from kadence.domain import fields as read
from kadence.domain.duetimes import Count
from kadence.domain.duration import format_duration, format_time
from kadence.domain.fields import InvalidError, read_fields
from kadence.domain.names import job_name, tag, topic_name
from kadence.domain.partition import murmur2
from kadence.domain.schedule import At, Schedule, parse_schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Policy = Literal["skip", "latest", "all"]

MAX_TAGS: Final = 100
MAX_HEADERS: Final = 50
MAX_ATTEMPTS: Final = 100
MAX_PAYLOAD: Final = 256 * 1024
"""Bytes of a payload as it is sent: ``1e15`` is written there in full, four times as long."""
DAY: Final = 86_400_000
_MAX_REVISION: Final = 2**53
_MAX_FACTOR: Final = 100.0
_PAYLOADS: Final = ("payload", "payload_text", "payload_base64")


@dataclass(frozen=True, slots=True)
class CatchUp:
    """What becomes of due times whose firing instant has passed; durations in ms."""

    policy: Policy = "latest"
    window: int | None = None
    grace: int = 30_000
    after_pause: Policy = "skip"

    def oldest(self, now: int) -> int | None:
        """The instant before which a missed due time is too old to run, or None."""
        if self.window is not None:
            return now - self.window
        return now - DAY if self.policy == "all" else None


def _grown(wait: int, factor: float, times: int, most: int) -> float:
    """``wait`` multiplied by ``factor`` so many times, at most ``most``: a thousand doublings are no number."""
    try:
        return min(wait * factor**times, most)
    except OverflowError:
        return most if wait else 0


@dataclass(frozen=True, slots=True)
class Retry:
    """Attempts in all (the first included) and the delays between them in ms."""

    attempts: int = 1
    delay: int = 10_000
    factor: float = 2.0
    max_delay: int = 600_000

    def wait(self, run: str, attempt: int) -> int:
        """Milliseconds from the failure of the ``attempt``-th attempt to the next, ±10 % by a hash of the two.

        Deterministic, so that a successor decides the same, and spread, so that a thousand jobs that one outage
        failed do not come back at one instant.
        """
        spread = 0.9 + 0.2 * (murmur2(f"{run}#{attempt}".encode()) & 0xFFFF) / 0x10000
        return round(_grown(self.delay, self.factor, attempt - 1, self.max_delay) * spread)


@dataclass(frozen=True, slots=True)
class Breaker:
    """How many failed runs take the job out of service (0: never), and when it is probed (ms; None: never)."""

    failures: int = 0
    probe_after: int | None = None
    factor: float = 2.0
    max_probe_after: int = 3_600_000

    def wait(self, failed_probes: int) -> int | None:
        """Milliseconds from an opening, after so many failed probes, to the next probe; None: only a resume closes."""
        if self.probe_after is None:
            return None
        most = max(self.max_probe_after, self.probe_after)
        return round(_grown(self.probe_after, self.factor, failed_probes, most))


@dataclass(frozen=True, slots=True)
class Target:
    """Where executions go: a topic (None: the namespace's executions), a record key, constant headers."""

    topic: str | None = None
    key: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """Where runs go whose attempts are spent: a topic (None: the namespace's dead letters)."""

    topic: str | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """When a job is due: its schedule, the fixed delay of its firing instants (ms), and [start, end)."""

    schedule: Schedule
    delay: int = 0
    start: int | None = None
    end: int | None = None

    def next_after(self, instant: int) -> int | None:
        """The first due time strictly after ``instant``, or None when there is none left."""
        if self.start is not None and instant < self.start:
            instant = self.start - 1
        due = self.schedule.next_after(instant)
        return None if due is None or (self.end is not None and due >= self.end) else due

    def count(self, low: int, high: int) -> Count:
        """How many due times lie in [low, high)."""
        low, high = self._within(low, high)
        return self.schedule.count(low, high) if low < high else Count(0)

    def latest_before(self, low: int, high: int) -> int | None:
        """The newest due time in [low, high), or None."""
        low, high = self._within(low, high)
        return self.schedule.latest_before(low, high) if low < high else None

    def document(self) -> dict[str, object]:
        """The contract's JSON, without the delay: that is a job's share of its jitter."""
        found: dict[str, object] = {"schedule": self.schedule.document()}
        for name, instant in (("start", self.start), ("end", self.end)):
            if instant is not None:
                found[name] = format_time(instant)
        return found

    def _within(self, low: int, high: int) -> tuple[int, int]:
        low = low if self.start is None else max(low, self.start)
        return low, high if self.end is None else min(high, self.end)


@dataclass(frozen=True, slots=True)
class Payload:
    """The bytes that every execution carries, and which of the three payload fields they came from."""

    data: bytes = b"null"
    field: str | None = None

    @property
    def is_json(self) -> bool:
        """Whether the bytes are JSON of our making (and so carry our content type)."""
        return self.field in {None, "payload"}


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A valid job definition."""

    timing: Timing
    jitter: int = 0
    max_runs: int | None = None
    catch_up: CatchUp = CatchUp()
    overlap: str = "allow"
    timeout: int | None = None
    expires_after: int | None = None
    retry: Retry = Retry()
    breaker: Breaker = Breaker()
    target: Target = Target()
    dead_letters: DeadLetters = DeadLetters()
    payload: Payload = Payload()
    tags: tuple[str, ...] = ()
    description: str | None = None
    owner: str | None = None
    managed_by: str | None = None
    revision: int | None = None
    paused: bool = False

    @property
    def serial(self) -> bool:
        """Whether a due time is left out while an earlier run has no final outcome."""
        return self.overlap == "skip"

    @property
    def reported(self) -> bool:
        """Whether the definition counts on somebody's reporting how its runs go."""
        return self.serial or self.timeout is not None or self.retry.attempts > 1 or self.breaker.failures > 0

    @property
    def once(self) -> bool:
        """Whether the schedule is a single ``at``."""
        return isinstance(self.timing.schedule, At)

    def document(self) -> dict[str, object]:
        """The spec as the contract's JSON object, fields at their defaults left out."""
        found = self.timing.document()
        for name in ("jitter", "timeout", "expires_after"):
            length = getattr(self, name)
            if length:
                found[name] = format_duration(length)
        for name in ("catch_up", "retry", "breaker", "target", "dead_letters"):
            part = _part_document(getattr(self, name))
            if part:
                found[name] = part
        for name in ("max_runs", "description", "owner", "managed_by", "revision"):
            if getattr(self, name) is not None:
                found[name] = getattr(self, name)
        if self.overlap != "allow":
            found["overlap"] = self.overlap
        if self.payload.field is not None:
            found[self.payload.field] = _payload_document(self.payload)
        if self.tags:
            found["tags"] = list(self.tags)
        if self.paused:
            found["paused"] = True
        return found


_DURATIONS: Final = {"window", "grace", "delay", "max_delay", "probe_after", "max_probe_after"}


def _part_document(part: CatchUp | Retry | Breaker | Target | DeadLetters) -> dict[str, object]:
    """The fields of a part that differ from their defaults."""
    found: dict[str, object] = {}
    for field in fields(part):
        value = getattr(part, field.name)
        if value == field.default:
            continue
        if field.name in _DURATIONS:
            found[field.name] = format_duration(value)
        else:
            found[field.name] = dict(value) if field.name == "headers" else value
    return found


def _payload_document(payload: Payload) -> object:
    if payload.field == "payload_text":
        return payload.data.decode()
    if payload.field == "payload_base64":
        return base64.b64encode(payload.data).decode()
    return json.loads(payload.data)


def compact_json(value: object) -> bytes:
    """JSON as kadence sends it: no white space, UTF-8 unescaped. Raises ValueError for what JSON does not have."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _tags(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_TAGS:
        msg = f"must be a list of at most {MAX_TAGS} tags"
        raise InvalidError(msg)
    return tuple(sorted({tag(item) for item in value}))


def _headers(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict) or len(value) > MAX_HEADERS:
        msg = f"must be an object of at most {MAX_HEADERS} headers"
        raise InvalidError(msg)
    for name, content in value.items():
        if not isinstance(content, str):
            msg = f"{name}: must be a string, not {read.kind_of(content)}"
            raise InvalidError(msg)
        if not name or name.startswith("ce_"):
            msg = f"{name!r}: headers that start with 'ce_' are kadence's own"
            raise InvalidError(msg)
    return tuple(value.items())


def json_payload(value: object) -> Payload:
    """Any JSON value as it will be sent. Raises `InvalidError` for what is none, or takes more than `MAX_PAYLOAD`."""
    try:
        data = compact_json(value)
    except TypeError as error:
        msg = f"must be JSON (objects, lists, strings, numbers, true, false, null): {error}"
        raise InvalidError(msg) from None
    if len(data) > MAX_PAYLOAD:
        msg = f"has {len(data)} bytes with its numbers written out; the most is {MAX_PAYLOAD}"
        raise InvalidError(msg)
    return Payload(data, "payload")


def _text_payload(value: object) -> Payload:
    if not isinstance(value, str):
        msg = f"must be a string, not {read.kind_of(value)}"
        raise InvalidError(msg)
    return Payload(value.encode(), "payload_text")


def _base64_payload(value: object) -> Payload:
    try:
        return Payload(base64.b64decode(value if isinstance(value, str) else "?", validate=True), "payload_base64")
    except binascii.Error:
        msg = "must be a base64 string"
        raise InvalidError(msg) from None


def _part(kind: Callable[..., object], what: str, **readers: Callable[[object], object]) -> Callable[[object], object]:
    """A reader of one interned sub-object; equal ones are the same object for every job."""
    intern = lru_cache(maxsize=65_536)(kind)

    def parse(value: object) -> object:
        return intern(**read_fields(value, readers, what))

    return parse


policy = read.choice("skip", "latest", "all")

_READERS: Final[Mapping[str, Callable[[object], object]]] = {
    "schedule": lambda value: value,
    "start": read.time,
    "end": read.time,
    "max_runs": read.integer(1, _MAX_REVISION),
    "jitter": read.duration,
    "catch_up": _part(
        CatchUp, "catch_up", policy=policy, window=read.positive_duration, grace=read.duration, after_pause=policy
    ),
    "overlap": read.choice("allow", "skip"),
    "timeout": read.positive_duration,
    "expires_after": read.positive_duration,
    "retry": _part(
        Retry,
        "retry",
        attempts=read.integer(1, MAX_ATTEMPTS),
        delay=read.duration,
        factor=read.number(1, _MAX_FACTOR),
        max_delay=read.duration,
    ),
    "breaker": _part(
        Breaker,
        "breaker",
        failures=read.integer(0, 1_000),
        probe_after=read.positive_duration,
        factor=read.number(1, _MAX_FACTOR),
        max_probe_after=read.positive_duration,
    ),
    "target": _part(Target, "target", topic=topic_name, key=read.text, headers=_headers),
    "dead_letters": _part(DeadLetters, "dead_letters", topic=topic_name),
    "payload": json_payload,
    "payload_text": _text_payload,
    "payload_base64": _base64_payload,
    "tags": _tags,
    "description": read.long_text,
    "owner": read.text,
    "managed_by": read.text,
    "revision": read.integer(0, _MAX_REVISION),
    "paused": read.boolean,
}
FIELDS: Final = tuple(_READERS)
"""The names of JobSpec's fields, in the order of the contract."""


def parse_spec(name: str, document: object, namespace: str) -> JobSpec:
    """The spec of job ``name`` out of the contract's JSON object; ``namespace`` guards kadence's own topics.

    Raises `InvalidError` with one sentence that names the field.
    """
    job_name(name)
    values = read_fields(document, _READERS, "a job")
    if "schedule" not in values:
        msg = 'schedule is missing; a job needs one, such as {"cron": "0 9 * * MON-FRI"} or {"every": "30s"}'
        raise InvalidError(msg)
    try:
        schedule = parse_schedule(values.pop("schedule"), name)
    except ValueError as error:
        msg = f"schedule: {error}"
        raise InvalidError(msg) from None
    jitter = cast("int", values.get("jitter", 0))
    start, end = cast("int | None", values.pop("start", None)), cast("int | None", values.pop("end", None))
    if start is not None and end is not None and end <= start:
        msg = "end: must be later than start"
        raise InvalidError(msg)
    values["timing"] = _intern_timing(schedule, fixed_delay(name, jitter), start, end)
    given = [field for field in _PAYLOADS if field in values]
    if len(given) > 1:
        msg = f"{given[1]}: give one of {', '.join(_PAYLOADS)}, not several"
        raise InvalidError(msg)
    if given:
        values["payload"] = values.pop(given[0])
    spec = JobSpec(**values)  # type: ignore[arg-type]  # each reader above returns its field's type
    _not_our_own("target", spec.target.topic, namespace, "executions")
    _not_our_own("dead_letters", spec.dead_letters.topic, namespace, "dead_letters")
    return spec


def _not_our_own(part: str, topic: str | None, namespace: str, but: str) -> None:
    """Of kadence's own topics a job may name one for each purpose."""
    if topic is not None and topic.startswith(f"{namespace}.") and topic != f"{namespace}.{but}":
        msg = f"{part}: topic: {topic!r} is kadence's own; give any other topic or {namespace}.{but}"
        raise InvalidError(msg)


_intern_timing = lru_cache(maxsize=65_536)(Timing)


def fixed_delay(name: str, jitter: int) -> int:
    """A job's share of its jitter: whole ms in [0, jitter), the same everywhere, as systemd's FixedRandomDelay.

    Knuth's multiplicative hash over murmur2 of the name, so that it is independent of the job's shard.
    """
    return ((murmur2(name.encode()) * 2_654_435_761 & 0xFFFFFFFF) * jitter) >> 32 if jitter else 0
