"""What becomes of runs: what executors report, and what nobody reports.

Every run ends in exactly one final outcome. An outcome counts only for the firing that is under way: what comes late,
twice, or for another firing changes nothing. Only a run whose attempts are spent has failed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kadence.domain import breaker, launch
from kadence.domain.decision import DeadLetter, Fire
from kadence.domain.duration import format_duration, writable
from kadence.domain.firing import MOST_FIRINGS, read_firing
from kadence.domain.job import Fitness, seen
from kadence.domain.run import BY_AGE, Run, RunStatus
from kadence.domain.stimulus import Failure

if TYPE_CHECKING:
    from kadence.domain.book import Book
    from kadence.domain.firing import Firing
    from kadence.domain.job import Job
    from kadence.domain.spec import JobSpec
    from kadence.domain.stimulus import Outcome

_FINAL: Final = {
    "succeeded": RunStatus.SUCCEEDED,
    "cancelled": RunStatus.CANCELLED,
    "expired": RunStatus.EXPIRED,
}
_UNSAID: Final = Failure("failed")
_LOST: Final = Failure("lost", "nobody reported an outcome within 24 h of its firing")
_ENDLESS: Final = Failure("lost", f"it was fired {MOST_FIRINGS} times")
_CROWDED: Final = Failure("lost", f"more than {launch.MOST_OPEN} runs of the job were open")


def hear(book: Book, outcome: Outcome) -> None:
    """Apply one outcome."""
    job, firing = book.jobs.get(outcome.job), read_firing(outcome.id)
    if job is None or job.spec is None or firing is None or firing.job != outcome.job:
        book.decision.unapplied[outcome.status] += 1
        return
    run = job.runs.get(firing.run)
    known = run is not None
    if run is None and firing.run not in job.past:
        run = _unremembered(book, job, firing, outcome.timestamp)
    if run is None or firing.n != run.n or run.next_at is not None:
        book.decision.unapplied[outcome.status] += 1
    elif outcome.status == "started":
        if run.started is None and (known or job.spec.timeout is not None):
            launch.remember(book, job, replace(run, status=RunStatus.STARTED, started=outcome.timestamp))
    elif outcome.status == "failed":
        _attempt_failed(book, job, run, RunStatus.FAILED, outcome.timestamp, outcome.error or _UNSAID, outcome)
    elif outcome.status == "snoozed":
        again = writable(outcome.timestamp + job.spec.retry.delay) if outcome.until is None else outcome.until
        launch.remember(book, job, replace(run, status=RunStatus.SNOOZED, next_at=again))
    else:
        ended = replace(run, status=_FINAL[outcome.status], settled_at=outcome.timestamp)
        _end(book, job, ended, outcome, known=known)


def _unremembered(book: Book, job: Job, firing: Firing, at: int) -> Run | None:
    """The first firing of a run of which nothing is written down; None where the job cannot have fired that.

    A run from before the job was created (anew) is none of its own, nor is one whose due time is yet to come.
    """
    if firing.n > 1:
        return None
    if firing.due is not None:
        if len(job.past) >= launch.MOST_OPEN and firing.due < min(run.time for run in job.past.values()):
            return None  # it may well be one of those that were forgotten before their hour was over
        late = job.grace + 1 if job.spec is not None and job.spec.once else 0  # such a job may be due before it is made
        latest = max(book.now, at)
        return Run(firing.run, firing.due, "schedule", at) if job.created_at - late < firing.due <= latest else None
    return None  # what was triggered is remembered from the start


def give_up_oldest(book: Book) -> None:
    """Where more runs of a job are open than may be, give the oldest up."""
    while book.crowded:
        job = book.crowded.pop()
        while len(job.runs) > launch.MOST_OPEN:
            _lose(book, job, min(job.runs.values(), key=BY_AGE), book.now, _CROWDED)


def _attempt_failed(
    book: Book, job: Job, run: Run, status: RunStatus, at: int, error: Failure, outcome: Outcome | None = None
) -> None:
    """An attempt failed: there is another one, or the run has failed."""
    if job.spec is None:
        return
    failed = replace(run, status=status, error=error.line)
    if run.cause != "probe" and run.attempt < job.spec.retry.attempts:
        again = writable(at + job.spec.retry.wait(run.id, run.attempt))
        launch.remember(book, job, replace(failed, next_at=again))
        return
    failed = replace(failed, settled_at=at)
    if run.cause != "probe":
        _say_failed(book, job, job.spec, failed, error, at)
    _end(book, job, failed, outcome)


def _say_failed(book: Book, job: Job, spec: JobSpec, run: Run, error: Failure, at: int) -> None:
    """Report a run whose attempts are spent, and keep it as a dead letter."""
    shown = seen(job.state, job)
    detail: dict[str, object] = {
        "run": run.id,
        "status": run.status,
        "attempts": run.attempt,
        "error": {"type": error.type, "message": error.message},
    }
    topic = spec.dead_letters.topic or book.dead_letters
    problem = book.problems.get(topic)
    if problem is not None:
        detail["not_kept"] = f"{topic}: {problem}"
    book.say("job.run_failed", job.name, before=shown, after=shown, reason=error.line, detail=detail)
    if problem is not None:
        return
    firing = read_firing(run.id)
    command = None if firing is None else firing.command
    cause = run.cause if run.n == 1 else "retry"
    fire = Fire(job.name, spec, run.time, cause, command, run.payload, run.n, run.attempt)
    book.decision.letters.append(DeadLetter(topic, fire, run.status, error, at))
    detail = {"run": run.id, "dead_letters": topic}
    book.say("job.dead_lettered", job.name, before=shown, after=shown, reason=error.line, detail=detail)


def _lose(book: Book, job: Job, run: Run, at: int, error: Failure) -> None:
    """Give a run up of which nothing is heard: no failure, as nobody knows how it went."""
    lost = replace(run, status=RunStatus.LOST, next_at=None, settled_at=at, error=error.line)
    if job.spec is not None and job.spec.reported:
        shown = seen(job.state, job)
        detail: dict[str, object] = {"run": run.id, "attempts": run.attempt}
        book.say("job.run_lost", job.name, before=shown, after=shown, reason=error.line, detail=detail)
    _end(book, job, lost, None)


def _end(book: Book, job: Job, run: Run, outcome: Outcome | None, *, known: bool = True) -> None:
    """A run is over: remember it for a while (one of which nothing was written stays so, unless it failed)."""
    decision, at, status = book.decision, run.settled_at or book.now, run.status
    if known or status in {RunStatus.FAILED, RunStatus.TIMED_OUT}:
        launch.remember(book, job, run)
    decision.ended[status] += 1
    if outcome is not None and (taken := _taken(run, outcome)) is not None:
        decision.durations.append(taken)
    if status is RunStatus.SUCCEEDED:
        job.last_success = max(job.last_success, at)
    firing = read_firing(run.id)
    if run.cause == "probe":
        breaker.probe_ended(book, job, run, at)
    elif firing is not None and firing.due is not None and firing.scheduled:
        if status is RunStatus.SUCCEEDED:
            breaker.run_succeeded(book, job, firing.due)
        elif status in {RunStatus.FAILED, RunStatus.TIMED_OUT}:
            breaker.run_failed(book, job, run.id, firing.due, at, run.error or "failed")


def _taken(run: Run, outcome: Outcome) -> int | None:
    """How long a run took (ms), by its executor's clock or by the broker's."""
    if outcome.started_at is not None and outcome.finished_at is not None:
        return max(0, outcome.finished_at - outcome.started_at)
    return None if run.started is None else max(0, outcome.timestamp - run.started)


def overdue(book: Book, heard: int) -> None:
    """Every outcome from before ``heard`` (ms) is applied: what has not been reported by now is late."""
    while (entry := book.deadlines.pop(heard)) is not None:
        job = book.jobs.get(entry.name)
        if job is None or job.spec is None or job.late_at != entry.instant:
            continue
        job.late_at = None
        under_way = [run for run in job.runs.values() if run.next_at is None]
        for run in sorted(under_way, key=BY_AGE):
            at = launch.deadline(job, run)
            if at > heard:
                launch.watch(book, job, at)
            elif run.fired + launch.LOST_AFTER <= at:
                _lose(book, job, run, book.now, _LOST)
            else:
                error = Failure("TimedOut", f"no outcome within {format_duration(job.spec.timeout or 0)} of its start")
                _attempt_failed(book, job, run, RunStatus.TIMED_OUT, book.now, error)


def attend(book: Book, limit: int) -> int:
    """Look at what the agenda says: fire again, probe, forget. Returns how many fired (at most ``limit``)."""
    done = 0
    while done < limit and (entry := book.agenda.pop(book.now)) is not None:
        job = book.jobs.get(entry.name)
        if job is None or job.spec is None:
            continue
        if not entry.run:
            launch.fade(book, job)
            done += breaker.probe(book, job)
        elif (run := job.runs.get(entry.run)) is not None:
            waits = job.blocked and (job.kept_by_people(book.now) or _unfit(job, run))
            if run.next_at is not None and run.next_at <= book.now and not waits:
                done += _go_on(book, job, job.spec, run)
    return done


def _go_on(book: Book, job: Job, spec: JobSpec, run: Run) -> bool:
    """Fire a run again, unless an edit has taken away the attempts that it waited for: then it has failed."""
    failed = run.status in {RunStatus.FAILED, RunStatus.TIMED_OUT}
    if failed and run.cause != "probe" and run.attempt >= spec.retry.attempts:
        _attempt_failed(book, job, replace(run, next_at=None), run.status, book.now, Failure(run.error or "failed"))
        return False
    if run.n >= MOST_FIRINGS:  # a further one would have no name
        _lose(book, job, run, book.now, _ENDLESS)
        return False
    launch.fire_again(book, job, run)
    return True


def _unfit(job: Job, run: Run) -> bool:
    """Whether the breaker's axis keeps a run from being fired again; a probe is let through by the one it tests."""
    return job.lost is not None if run.cause == "probe" else job.fitness is not Fitness.CLOSED
