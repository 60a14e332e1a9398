"""The view as JSON documents, one shape for the CLI, scripts and whatever else shows it. Times are RFC 3339, UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kadence.domain.duration import format_duration, format_time
from kadence.domain.job import Operator

if TYPE_CHECKING:
    from kadence.domain.job import Job, Pause, Trouble
    from kadence.domain.run import Run
    from kadence.view.model import HoldView, JobView, ShardView, View
    from kadence.view.runs import RunView

Document = dict[str, object]


def time_text(instant: int | None) -> str | None:
    """RFC 3339 text, or None."""
    return None if instant is None else format_time(instant)


def job_document(job: JobView) -> Document:
    """A job as it is listed."""
    return {
        "name": job.name,
        "state": job.state,
        "reason": job.reason,
        "by": job.by,
        "since": time_text(job.since),
        "holds": list(job.holds),
        "next": time_text(job.next_due),
        "tags": list(job.tags),
        "schedule": job.document.get("schedule"),
    }


def job_detail(job: JobView) -> Document:
    """A job with everything that is known of it."""
    own = job.own
    return {
        **job_document(job),
        "shard": job.shard,
        "pause": None if own is None or own.operator is Operator.OPEN else _pause(own.pause),
        "breaker": None if own is None else _breaker(own),
        "consecutive_failures": job.failures,
        "last_success": time_text(job.last_success),
        "open_runs": [open_run_document(run) for run in job.open_runs],
        "rejected": None
        if own is None or own.rejection is None
        else {"offset": own.rejection.offset, "error": own.rejection.error},
        "offset": None if own is None else own.spec_offset,
        "newer": job.newer,
        "spec": dict(job.document),
    }


def _pause(pause: Pause | None) -> Document | None:
    if pause is None:
        return None
    return {
        "at": time_text(pause.at),
        "from": time_text(pause.since),
        "until": time_text(pause.until),
        "by": pause.by,
        "reason": pause.reason,
        "offset": pause.offset,
        "created_paused": pause.created,
    }


def open_run_document(run: Run) -> Document:
    """A run that is under way, as its shard's record tells of it."""
    return {
        "run": run.id,
        "status": run.status,
        "attempt": run.attempt,
        "n": run.n,
        "cause": run.cause,
        "fired": time_text(run.fired),
        "started": time_text(run.started),
        "next_at": time_text(run.next_at),
        "error": run.error,
    }


def _breaker(job: Job) -> Document | None:
    streak = job.streak
    if streak is None and job.lost is None:
        return None
    return {
        "failed": [] if streak is None else [run for run, _ in streak.failed],
        "last_error": None if streak is None else streak.last_error,
        "opened": None if streak is None else _trouble(streak.tripped),
        "probe_at": None if streak is None else time_text(streak.probe_at),
        "probes": 0 if streak is None else streak.probes,
        "target": _trouble(job.lost),
    }


def _trouble(trouble: Trouble | None) -> Document | None:
    return None if trouble is None else {"since": time_text(trouble.since), "reason": trouble.reason}


def run_document(run: RunView) -> Document:
    """A run."""
    return {
        "run": run.run,
        "job": run.job,
        "status": run.status,
        "open": run.open,
        "attempts": run.attempts,
        "n": run.n,
        "fired_at": time_text(run.fired_at),
        "started_at": time_text(run.started_at),
        "finished_at": time_text(run.finished_at),
        "duration_seconds": None if run.duration is None else run.duration / 1000,
        "executor": run.executor,
        "error": run.error,
        "next_at": time_text(run.next_at),
        "at": time_text(run.at),
    }


def hold_document(hold: HoldView) -> Document:
    """A hold."""
    wanted = hold.hold
    return {
        "name": hold.name,
        "state": hold.state,
        "match": None if wanted is None else wanted.match.document(),
        "start": None if wanted is None else time_text(wanted.start),
        "end": None if wanted is None else time_text(wanted.end),
        "catch_up": None if wanted is None else wanted.catch_up,
        "since": time_text(hold.since),
        "reason": hold.reason,
        "by": hold.by,
        "matched": hold.matched,
        "shards": hold.shards,
        "refused": hold.refused,
    }


def shard_document(shard: ShardView) -> Document:
    """A shard."""
    return {
        "shard": shard.shard,
        "worker": shard.worker,
        "written_at": time_text(shard.written_at),
        "age_seconds": None if shard.age is None else shard.age / 1000,
        "through": time_text(shard.through),
        "after": shard.after,
        "control": shard.control,
        "behind": shard.behind,
        "outcomes": shard.outcomes,
        "tzdata": shard.tzdata,
    }


def status_document(view: View) -> Document:
    """A namespace at a glance."""
    return {
        "namespace": view.namespace,
        "at": time_text(view.at),
        "jobs": view.counts(),
        "control_end": view.control_end,
        "shards": [shard_document(shard) for shard in view.shards],
        "holds": [hold_document(hold) for hold in view.holds.values() if hold.state != "ended"],
        "pauses_without_a_job": list(view.pauses),
        "unreadable": list(view.unreadable),
    }


def end_text(hold: HoldView) -> str:
    """When a hold ends by itself, or a dash."""
    return (None if hold.hold is None else time_text(hold.hold.end)) or "-"


def matched_text(hold: HoldView) -> str:
    """How many jobs a hold selects; a dash for one that is in force nowhere and will not be."""
    return "-" if hold.state == "rejected" else str(hold.matched)


def selector_text(hold: HoldView) -> str:
    """A hold's selector in a few words: ``tag batch, not name a*``."""
    if hold.hold is None:
        return "-"
    selector = hold.hold.match
    words = ["all"] if selector.only is None else []
    for side, prefix in ((selector.only, ""), (selector.never, "not ")):
        if side is not None:
            words += [f"{prefix}tag {tag}" for tag in side.tags] + [f"{prefix}name {glob}" for glob in side.names]
    return ", ".join(words)


def age_text(age: int | None) -> str:
    """An age (ms) to the second, or a dash."""
    return "-" if age is None else format_duration(age // 1000 * 1000)
