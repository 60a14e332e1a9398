"""State records: what a shard applied and how far it is. Written by the shard's owner, read by it and by views.

Times are RFC 3339 text, so that a person with a console consumer can read them. Decoding raises nothing: a state
record that cannot be read is a bug or a newer version's, and the caller is told so by a `Rejected`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from kadence.domain.book import Cursor
from kadence.domain.duration import FIRST_INSTANT, format_time, parse_time
from kadence.domain.fields import InvalidError
from kadence.domain.job import (
    AppliedHold,
    Job,
    Owed,
    Pause,
    Rejection,
    Stage,
    State,
    Streak,
    Trouble,
)
from kadence.domain.schedule import parse_schedule
from kadence.domain.spec import JobSpec, Timing, compact_json, parse_spec
from kadence.domain.stimulus import PutHold, Rejected
from kadence.wire import control, strict

if TYPE_CHECKING:
    from kadence.domain.holds import Hold

Document = dict[str, object]
CURSOR: Final = b"cursor"
BARRIER: Final = b"barrier"


def _present(document: Document) -> Document:
    return {name: value for name, value in document.items() if value is not None and value != []}


def _time(value: int | None) -> str | None:
    return None if value is None else format_time(value)


def _bound(value: int) -> str | None:
    """A lower bound of due times; one before any time that can be written bounds nothing."""
    return format_time(value) if value >= FIRST_INSTANT else None


def _instant(value: object) -> int:
    return 0 if value is None else parse_time(value)


def _optional(value: object) -> int | None:
    return None if value is None else parse_time(value)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


# --- jobs ------------------------------------------------------------------------------------------------


def encode_job(job: Job) -> bytes:
    """The state record of a job: only what is its own."""
    rejection = None
    if job.rejection is not None:
        rejection = {"offset": job.rejection.offset, "error": job.rejection.error}
    return compact_json(
        _present(
            {
                "state": job.state,
                "since": _bound(job.since),
                "reason": job.reason,
                "by": job.by,
                "pause": None if job.pause is None else _pause_document(job.pause),
                "breaker": _breaker_document(job),
                "resumed_at": _time(job.resumed_at or None),
                "floor": _bound(job.floor),
                "spec_offset": job.spec_offset if job.spec_offset >= 0 else None,
                "rejected": rejection,
                "spec": job.spec.document() if rejection is not None and job.spec is not None else None,
                "progress": [_owed_document(owed) for owed in job.owed],
                "ids": list(job.ids),
            }
        )
    )


def _pause_document(pause: Pause) -> Document:
    return _present(
        {
            "paused": pause.active,
            "offset": pause.offset,
            "from": _time(pause.since) if pause.active else None,
            "until": _time(pause.until) if pause.active else None,
            "at": _time(pause.at),
            "by": pause.by,
            "reason": pause.reason,
            "created": True if pause.created else None,
        }
    )


def _breaker_document(job: Job) -> Document | None:
    streak, lost = job.streak or Streak(), job.lost
    found = _present(
        {
            "failed": [run for run, _ in streak.failed],
            "last_error": streak.last_error,
            "opened_at": None if streak.tripped is None else _time(streak.tripped.since),
            "target": None if lost is None else {"since": _time(lost.since), "reason": lost.reason},
        }
    )
    return found or None


def _owed_document(owed: Owed) -> Document:
    timing = owed.timing
    return _present(
        {
            "stage": owed.stage,
            "after": _bound(owed.low),
            "through": _time(owed.high),
            "schedule": timing.schedule.document(),
            "delay": timing.delay or None,
            "start": _time(timing.start),
            "end": _time(timing.end),
        }
    )


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A decoded job state record: the job without its spec, and the last good spec if one was kept."""

    job: Job
    spec: JobSpec | None = None


def decode_job(name: str, value: bytes, namespace: str) -> JobRecord | Rejected:
    """The job that a state record describes."""
    try:
        found = _object(strict.loads(value, own=True))
        job = Job(name)
        job.state = State(cast("str", found["state"]))
        job.finished = job.state is State.FINISHED
        job.since, job.floor = _instant(found.get("since")), _instant(found.get("floor"))
        job.reason, job.by = _text(found.get("reason")), _text(found.get("by"))
        job.resumed_at = _instant(found.get("resumed_at"))
        job.spec_offset = cast("int", found.get("spec_offset", -1))
        job.pause = _read_pause(found.get("pause"))
        _read_breaker(job, found.get("breaker"))
        job.owed = tuple(_read_owed(name, _object(item)) for item in cast("list[object]", found.get("progress", [])))
        job.ids = tuple(cast("list[str]", found.get("ids", [])))
        if (rejected := found.get("rejected")) is not None:
            rejection = _object(rejected)
            job.rejection = Rejection(cast("int", rejection["offset"]), str(rejection["error"]))
        spec = found.get("spec")
        return JobRecord(job, None if spec is None else parse_spec(name, spec, namespace))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Rejected(f"state record job/{name}: {error}", value[: control.EXCERPT])


def _object(value: object) -> Document:
    if not isinstance(value, dict):
        msg = "not a JSON object"
        raise InvalidError(msg)
    return value


def _read_pause(value: object) -> Pause | None:
    if value is None:
        return None
    found = _object(value)
    return Pause(
        offset=cast("int", found["offset"]),
        active=found["paused"] is True,
        since=_instant(found.get("from")),
        until=_optional(found.get("until")),
        at=_instant(found.get("at")),
        by=_text(found.get("by")),
        reason=_text(found.get("reason")),
        created=found.get("created") is True,
    )


def _read_breaker(job: Job, value: object) -> None:
    if value is None:
        return
    found = _object(value)
    failed = tuple((run, parse_time(run.rpartition("@")[2])) for run in cast("list[str]", found.get("failed", [])))
    error, opened = _text(found.get("last_error")), _optional(found.get("opened_at"))
    if failed or opened is not None:
        tripped = None if opened is None else Trouble(opened, error or "failed")
        job.streak = Streak(failed, error, tripped)
    if (target := found.get("target")) is not None:
        lost = _object(target)
        job.lost = Trouble(_instant(lost["since"]), str(lost["reason"]))


def _read_owed(name: str, found: Document) -> Owed:
    timing = Timing(
        parse_schedule(found["schedule"], name),
        cast("int", found.get("delay", 0)),
        _optional(found.get("start")),
        _optional(found.get("end")),
    )
    return Owed(timing, _instant(found.get("after")), parse_time(found["through"]), Stage(cast("str", found["stage"])))


# --- holds -----------------------------------------------------------------------------------------------


def encode_hold(applied: AppliedHold) -> bytes:
    """The state record of a hold, as applied by this shard."""
    return compact_json(
        _present(
            {
                **applied.hold.document(),
                "offset": applied.offset,
                "from": _time(applied.since),
                "at": _time(applied.at),
                "started": applied.started,
                "ended": applied.ended,
                "by": applied.by,
                "reason": applied.reason,
            }
        )
    )


def decode_hold(name: str, value: bytes, namespace: str) -> AppliedHold | Rejected:
    """The hold that a state record describes."""
    try:
        found = _object(strict.loads(value, own=True))
        own = ("offset", "from", "at", "started", "ended", "by", "reason")
        mine = {field_: found.pop(field_) for field_ in own if field_ in found}
        change = control.decode(control.key_of("hold", name), compact_json(found), 0, 0, namespace)
        if not isinstance(change.wish, PutHold):
            return Rejected(f"state record hold/{name} holds no hold", value[: control.EXCERPT])
        wanted: Hold = change.wish.hold
        return AppliedHold(
            name=name,
            hold=wanted,
            offset=cast("int", mine["offset"]),
            since=_instant(mine["from"]),
            at=_instant(mine["at"]),
            started=mine["started"] is True,
            ended=mine["ended"] is True,
            by=_text(mine.get("by")),
            reason=_text(mine.get("reason")),
        )
    except (ValueError, KeyError, TypeError) as error:
        return Rejected(f"state record hold/{name}: {error}", value[: control.EXCERPT])


# --- cursor and barrier ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CursorRecord:
    """A cursor as it stands in the log. ``rejected``: (offset, error) of records refused in its transaction."""

    through: int
    after: str | None
    control: int
    control_topic_id: str
    outcomes: int
    worker: str
    tzdata: str
    rejected: tuple[tuple[int, str], ...] = field(default=())

    def cursor(self) -> Cursor:
        """The part of it that the fold goes on from."""
        return Cursor(self.through, self.after, self.control, self.outcomes)


def encode_cursor(record: CursorRecord) -> bytes:
    """The value under the key ``cursor``."""
    return compact_json(
        {
            "through": format_time(record.through),
            "after": record.after,
            "control": record.control,
            "control_topic_id": record.control_topic_id,
            "outcomes": record.outcomes,
            "worker": record.worker,
            "tzdata": record.tzdata,
            "rejected": [{"offset": offset, "error": error} for offset, error in record.rejected],
        }
    )


def decode_cursor(value: bytes) -> CursorRecord | Rejected:
    """The cursor in a record."""
    try:
        found = _object(strict.loads(value, own=True))
        rejected = [_object(item) for item in cast("list[object]", found.get("rejected") or [])]
        return CursorRecord(
            through=_instant(found["through"]),
            after=_text(found.get("after")),
            control=cast("int", found["control"]),
            control_topic_id=str(found["control_topic_id"]),
            outcomes=cast("int", found["outcomes"]),
            worker=str(found.get("worker")),
            tzdata=str(found.get("tzdata")),
            rejected=tuple((cast("int", item["offset"]), str(item.get("error"))) for item in rejected),
        )
    except (ValueError, KeyError, TypeError) as error:
        return Rejected(f"cursor record: {error}", value[: control.EXCERPT])


def encode_barrier(worker: str, nonce: str) -> bytes:
    """The value under the key ``barrier``, and of ``barrier/<p>`` on the control topic."""
    return compact_json({"worker": worker, "nonce": nonce})


def barrier_nonce(value: bytes | None) -> str | None:
    """The nonce of a barrier record; None for anything else."""
    try:
        found = strict.loads(value or b"null")
    except InvalidError:
        return None
    nonce = found.get("nonce") if isinstance(found, dict) else None
    return nonce if isinstance(nonce, str) else None
