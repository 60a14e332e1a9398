"""State records of jobs: only what is the job's own."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from kadence.domain.duration import parse_time
from kadence.domain.fields import InvalidError, boolean
from kadence.domain.firing import read_firing
from kadence.domain.job import NO_OFFSET, Job, Owed, Pause, Rejection, Stage, State, Streak, Trouble
from kadence.domain.schedule import parse_schedule
from kadence.domain.spec import JobSpec, Timing, compact_json, parse_spec
from kadence.domain.stimulus import Rejected
from kadence.wire import control, strict
from kadence.wire.state.parts import (
    Document,
    bound,
    explained,
    instant,
    optional_instant,
    optional_text,
    present,
    read_list,
    read_object,
    text,
    whole,
    written,
)


def encode_job(job: Job) -> bytes:
    """The state record of a job: only what is its own."""
    rejection = None
    if job.rejection is not None:
        rejection = {"offset": job.rejection.offset, "error": job.rejection.error}
    return compact_json(
        present(
            {
                "state": job.state,
                "since": bound(job.since),
                "reason": job.reason,
                "by": job.by,
                "pause": None if job.pause is None else _pause_document(job.pause),
                "breaker": _breaker_document(job),
                "created_at": written(job.created_at or None),
                "resumed_at": written(job.resumed_at or None),
                "succeeded_at": written(job.succeeded_at or None),
                "floor": bound(job.floor),
                "spec_offset": job.spec_offset if job.spec_offset >= 0 else None,
                "rejected": rejection,
                "spec": job.spec.document() if rejection is not None and job.spec is not None else None,
                "progress": _owed_documents(job.owed),
                "ids": list(job.ids),
            }
        )
    )


def _pause_document(pause: Pause) -> Document:
    return present(
        {
            "paused": pause.active,
            "offset": pause.offset,
            "from": written(pause.since) if pause.active else None,
            "until": written(pause.until) if pause.active else None,
            "at": written(pause.at),
            "by": pause.by,
            "reason": pause.reason,
            "created": True if pause.created else None,
        }
    )


def _breaker_document(job: Job) -> Document | None:
    streak, lost = job.streak or Streak(), job.lost
    found = present(
        {
            "failed": [run for run, _ in streak.failed],
            "last_error": streak.last_error,
            "opened_at": None if streak.tripped is None else written(streak.tripped.since),
            "probe_at": written(streak.probe_at),
            "probes": streak.probes or None,
            "target": None if lost is None else {"since": written(lost.since), "reason": lost.reason},
        }
    )
    return found or None


def _owed_documents(ranges: tuple[Owed, ...]) -> list[Document]:
    """One object per range; it names its schedule only where that is not the one of the range before."""
    found: list[Document] = []
    for timing, group in groupby(ranges, key=attrgetter("timing")):
        for index, owed in enumerate(group):
            bounds = {"stage": owed.stage, "after": bound(owed.low), "through": written(owed.high)}
            found.append(present({**bounds, **({} if index else _timing_document(timing))}))
    return found


def _timing_document(timing: Timing) -> Document:
    return {
        "schedule": timing.schedule.document(),
        "delay": timing.delay or None,
        "start": written(timing.start),
        "end": written(timing.end),
    }


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A decoded job state record: the job without its spec, and the last good spec if one was kept."""

    job: Job
    spec: JobSpec | None = None


def decode_job(name: str, value: bytes, namespace: str) -> JobRecord | Rejected:
    """The job that a state record describes."""
    try:
        found = read_object(strict.loads(value, own=True))
        job = Job(name)
        job.state = State(text(found["state"]))
        job.finished = job.state is State.FINISHED
        job.since, job.floor = instant(found.get("since")), instant(found.get("floor"))
        job.reason, job.by = optional_text(found.get("reason")), optional_text(found.get("by"))
        job.created_at, job.resumed_at = instant(found.get("created_at")), instant(found.get("resumed_at"))
        job.succeeded_at = instant(found.get("succeeded_at"))
        job.spec_offset = whole(found.get("spec_offset", NO_OFFSET))
        job.pause = _read_pause(found.get("pause"))
        _read_breaker(job, found.get("breaker"))
        job.owed = _read_owed(name, read_list(found.get("progress")))
        job.ids = tuple(text(id_) for id_ in read_list(found.get("ids")))
        if (rejected := found.get("rejected")) is not None:
            rejection = read_object(rejected)
            job.rejection = Rejection(whole(rejection["offset"]), text(rejection["error"]))
        spec = found.get("spec")
        return JobRecord(job, None if spec is None else parse_spec(name, spec, namespace))
    except (ValueError, KeyError) as error:
        return Rejected(f"state record job/{name[:200]}: {explained(error)}", value[: control.EXCERPT])


def _read_pause(value: object) -> Pause | None:
    if value is None:
        return None
    found = read_object(value)
    return Pause(
        offset=whole(found["offset"]),
        active=boolean(found["paused"]),
        since=instant(found.get("from")),
        until=optional_instant(found.get("until")),
        at=instant(found.get("at")),
        by=optional_text(found.get("by")),
        reason=optional_text(found.get("reason")),
        created=boolean(found.get("created", False)),
    )


def _read_breaker(job: Job, value: object) -> None:
    if value is None:
        return
    found = read_object(value)
    failed = tuple(_read_failed(text(run)) for run in read_list(found.get("failed")))
    error, opened = optional_text(found.get("last_error")), optional_instant(found.get("opened_at"))
    if failed or opened is not None:
        tripped = None if opened is None else Trouble(opened, error or "failed")
        probe_at = optional_instant(found.get("probe_at"))
        job.streak = Streak(failed, error, tripped, probe_at, whole(found.get("probes", 0)))
    if (target := found.get("target")) is not None:
        lost = read_object(target)
        job.lost = Trouble(instant(lost["since"]), text(lost["reason"]))


def _read_failed(run: str) -> tuple[str, int]:
    firing = read_firing(run)
    if firing is None or firing.due is None:
        msg = f"{run[:100]!r} names no run of a schedule"
        raise InvalidError(msg)
    return run, firing.due


def _read_owed(name: str, found: list[object]) -> tuple[Owed, ...]:
    ranges: list[Owed] = []
    for item in map(read_object, found):
        timing = _read_timing(name, item) if "schedule" in item or not ranges else ranges[-1].timing
        ranges.append(Owed(timing, instant(item.get("after")), parse_time(item["through"]), Stage(text(item["stage"]))))
    return tuple(ranges)


def _read_timing(name: str, found: Document) -> Timing:
    return Timing(
        parse_schedule(found["schedule"], name),
        whole(found.get("delay", 0)),
        optional_instant(found.get("start")),
        optional_instant(found.get("end")),
    )
