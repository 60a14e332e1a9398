"""The breaker's side: failed runs take a job out of service, and so does a target that cannot be written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kadence.domain import settle
from kadence.domain.firing import read_firing
from kadence.domain.job import FITNESS, Fitness, Signal, State, Streak, Trouble

if TYPE_CHECKING:
    from kadence.domain.book import Book
    from kadence.domain.job import Job
    from kadence.domain.spec import JobSpec
    from kadence.domain.stimulus import Outcome

SUCCEEDED: Final = "succeeded"
FAILED: Final = "failed"


def hear(book: Book, outcome: Outcome) -> None:
    """Apply an outcome: a failed run joins the streak once, a succeeded one takes out those not due after it."""
    job = book.jobs.get(outcome.job)
    if job is None or job.spec is None or not job.spec.breaker.failures or outcome.status not in {SUCCEEDED, FAILED}:
        return
    about = read_firing(outcome.id)
    streak = job.streak or Streak()
    if about is None or about.job != outcome.job or about.due is None or not about.scheduled or about.n > 1:
        return
    run, due = about.run, about.due
    if due < job.resumed_at or streak.tripped is not None:
        return
    if outcome.status == SUCCEEDED:
        left = tuple(member for member in streak.failed if member[1] > due)
        if left != streak.failed:
            job.streak = replace(streak, failed=left) if left else None
            book.dirty(job)
        return
    if any(member[0] == run for member in streak.failed):
        return
    job.streak = Streak((*streak.failed, (run, due)), outcome.error.line if outcome.error else "failed")
    book.dirty(job)
    if len(job.streak.failed) >= job.spec.breaker.failures:
        _trip(book, job, job.streak, outcome)


def _trip(book: Book, job: Job, streak: Streak, outcome: Outcome) -> None:
    expected = FITNESS[job.fitness, Signal.TRIP]
    reason = streak.last_error or "failed"
    job.streak = replace(streak, tripped=Trouble(book.kept_from(outcome.timestamp), reason))
    _errored(book, job, outcome.timestamp, reason, "failures", expected)


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
    why, who = (job.pause.reason, job.pause.by) if job.pause is not None and job.pause.active else (None, None)
    before, after = book.restate(job, book.now, why, who)
    book.say("job.recovered", job.name, before=before, after=after, reason="target can be written again")
    book.transition(before, after, "target")
    book.decision.prompt = True
    settle.lift(book, job, since, at, None, "errored")
