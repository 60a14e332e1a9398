"""The breaker's side: failed runs take a job out of service, and so does a target that cannot be written.

A streak of failed runs opens the breaker. From then on the job fires nothing but triggers, until a resume closes it,
or a *probe* (half-open): one run of one attempt whose outcome alone decides.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kadence.domain import launch, settle
from kadence.domain.decision import Fire
from kadence.domain.duration import writable
from kadence.domain.firing import run_id
from kadence.domain.job import FITNESS, Fitness, Signal, State, Streak, Trouble, seen
from kadence.domain.names import PROBE_PREFIX
from kadence.domain.run import Run, RunStatus

if TYPE_CHECKING:
    from kadence.domain.book import Book
    from kadence.domain.job import Job
    from kadence.domain.spec import JobSpec

SHOWN: Final = 100
"""Failed runs that are remembered, the newest, where no breaker counts them: they are only shown."""


def run_failed(book: Book, job: Job, run: str, due: int, at: int, reason: str) -> None:
    """A run of the schedule failed for good at ``at``: it joins the streak, once, and may trip the breaker."""
    streak = job.streak or Streak()
    if job.spec is None or due < job.resumed_at or streak.tripped is not None:
        return
    if any(member == run for member, _ in streak.failed):
        return
    failures = job.spec.breaker.failures
    job.streak = streak = Streak((*streak.failed, (run, due))[-(failures or SHOWN) :], reason)
    book.dirty(job)
    if failures and len(streak.failed) >= failures:
        _trip(book, job, streak, at)


def run_succeeded(book: Book, job: Job, due: int) -> None:
    """A run of the schedule succeeded: those failed ones that are not due after it leave the streak."""
    streak = job.streak
    if streak is None or streak.tripped is not None or due < job.resumed_at:
        return
    left = tuple(member for member in streak.failed if member[1] > due)
    if left != streak.failed:
        job.streak = replace(streak, failed=left) if left else None
        book.dirty(job)


def _trip(book: Book, job: Job, streak: Streak, at: int) -> None:
    expected = FITNESS[job.fitness, Signal.TRIP]
    reason = streak.last_error or "failed"
    job.streak = replace(streak, tripped=Trouble(book.kept_from(at), reason))
    book.decision.trips += 1
    _errored(book, job, at, reason, "failures", expected)
    _plan_probe(book, job, at)


def _plan_probe(book: Book, job: Job, at: int) -> None:
    """Name the instant of the next probe, counted from ``at``; the more have failed, the longer the wait."""
    streak = job.streak
    if job.spec is None or streak is None or streak.tripped is None:
        return
    wait = job.spec.breaker.wait(streak.probes)
    job.streak = streak = replace(streak, probe_at=None if wait is None else writable(at + wait))
    # An instant names one probe, and the clock that made the last one may have been ahead of the broker's.
    while streak.probe_at is not None and _probe_run(job, streak) in job.past:
        job.streak = streak = replace(streak, probe_at=streak.probe_at + 1)
    book.dirty(job)
    if streak.probe_at is not None:
        book.agenda.add(streak.probe_at, job.name)


def replan(book: Book, job: Job, at: int) -> None:
    """An edit at ``at`` says anew whether and when an open breaker is probed; a probe under way counts as before."""
    streak = job.streak
    if streak is not None and streak.tripped is not None and _probe_under_way(job, streak) is None:
        _plan_probe(book, job, at)


def _probe_run(job: Job, streak: Streak) -> str:
    return run_id(job.name, 0, f"{PROBE_PREFIX}{streak.probe_at}")


def _probe_under_way(job: Job, streak: Streak) -> Run | None:
    return None if streak.probe_at is None else job.runs.get(_probe_run(job, streak))


def probe(book: Book, job: Job) -> bool:
    """Make the probe whose time has come, unless it waits: for a pause, a hold, the target, or an earlier run."""
    streak, spec, now = job.streak, job.spec, book.now
    if spec is None or streak is None or streak.tripped is None or streak.probe_at is None or streak.probe_at > now:
        return False
    run = _probe_run(job, streak)
    # Not a run that itself waits for the breaker.
    busy = [one for one in job.runs.values() if one.next_at is None and one.occupies(now)] if job.serial else []
    for one in busy:
        if one.started is None and one.expires is not None:
            book.agenda.add(one.expires, job.name)  # nobody tells of a run that stops counting then
    waits = job.kept_by_people(now) or job.lost is not None or busy
    if waits or run in job.runs or run in job.past:
        return False
    fire = Fire(job.name, spec, now, "probe", f"{PROBE_PREFIX}{streak.probe_at}")
    book.decision.fires.append(fire)
    launch.remember(book, job, Run(run, now, "probe", now, expires=fire.expires(now)))
    shown = seen(job.state, job)
    book.say("job.probing", job.name, before=shown, after=shown, reason=streak.last_error, detail={"run": run})
    return True


def probe_ended(book: Book, job: Job, run: Run, at: int) -> None:
    """A probe has its final outcome. Only that of the probe under way counts: not of one from before a resume."""
    streak = job.streak
    if streak is None or streak.tripped is None or _probe_run(job, streak) != run.id:
        return
    if run.status is RunStatus.SUCCEEDED:
        _recover(book, job, streak.tripped, at)
        return
    if run.status in {RunStatus.FAILED, RunStatus.TIMED_OUT}:
        reason = run.error or "failed"
        tripped = replace(streak.tripped, reason=reason)
        job.streak = replace(streak, probes=streak.probes + 1, last_error=reason, tripped=tripped)
        book.restate(job, at, job.reason, job.by)
    _plan_probe(book, job, at)


def _recover(book: Book, job: Job, tripped: Trouble, at: int) -> None:
    """The breaker closes: the failures that had opened it are forgotten."""
    expected = FITNESS[job.fitness, Signal.RECOVER]
    job.streak = None
    assert job.fitness is expected  # noqa: S101  the table and the record agree
    _say_recovered(book, job, at, "a probe succeeded", "probe")
    settle.lift(book, job, tripped.since, at, None, "errored")


def _say_recovered(book: Book, job: Job, at: int, reason: str, label: str) -> None:
    why, who = (job.pause.reason, job.pause.by) if job.pause is not None and job.pause.active else (None, None)
    before, after = book.restate(job, at, why, who)
    book.say("job.recovered", job.name, before=before, after=after, reason=reason)
    book.transition(before, after, label)
    book.decision.prompt = True


def _errored(book: Book, job: Job, at: int, reason: str, label: str, expected: Fitness) -> None:
    assert job.fitness is expected  # noqa: S101  the table and the record agree
    job.refresh_blocked()
    before, after = book.restate(job, at, job.reason, None)
    book.say("job.errored", job.name, before=before, after=after, reason=reason)
    book.transition(before, State.ERRORED, label)
    book.decision.prompt = True


def use_target(book: Book, job: Job, spec: JobSpec) -> None:
    """A job starts writing to its target: where that cannot be written, it is errored from the start."""
    topic = spec.target.topic
    if topic is None:
        return
    book.targets.setdefault(topic, {})[job.name] = job
    if topic in book.problems:
        _lose(book, job, topic, book.problems[topic])


def changed_target(book: Book, job: Job, spec: JobSpec, at: int) -> None:
    """A job was given another target at ``at``: what was wrong with the former one concerns it no more."""
    if job.lost is not None and spec.target.topic not in book.problems:
        _find(book, job, at)


def leave_target(book: Book, job: Job, spec: JobSpec) -> None:
    """A job no longer writes to its target."""
    topic = spec.target.topic
    if topic is None:
        return
    users = book.targets.get(topic, {})
    users.pop(job.name, None)
    if not users:
        book.targets.pop(topic, None)


def target_changed(book: Book, topic: str, problem: str | None) -> None:
    """A target was looked at: its jobs become errored, or come back."""
    if book.problems.get(topic) == problem:
        return
    if problem is None:
        del book.problems[topic]
    else:
        book.problems[topic] = problem
    for job in list(book.targets.get(topic, {}).values()):
        if problem is None:
            _find(book, job, book.cursor.through + 1)
        elif job.lost is None:
            _lose(book, job, topic, problem)


def _lose(book: Book, job: Job, topic: str, problem: str) -> None:
    expected = FITNESS[job.fitness, Signal.LOSE_TARGET]
    reason = f"target {topic}: {problem}"
    if job.lost is not None:  # its former target was no better
        job.lost = replace(job.lost, reason=reason)
        book.restate(job, book.now, None, None)
        return
    job.lost = Trouble(book.cursor.through + 1, reason)
    _errored(book, job, book.now, reason, "target", expected)


def _find(book: Book, job: Job, at: int) -> None:
    if job.lost is None:
        return
    since = job.lost.since
    job.lost = None
    _say_recovered(book, job, book.now, "target can be written again", "target")
    settle.lift(book, job, since, at, None, "errored")
