"""Shards that are wrong about runs in one thing each; the comparison with the naive model must notice every one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from kadence.domain import breaker, launch, outcomes, restore
from kadence.domain.run import NO_RUNS, Run, RunStatus
from kadence.domain.spec import Breaker
from tests.sim.variants import Broken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kadence.domain.book import Book
    from kadence.domain.job import Job
    from kadence.domain.stimulus import Outcome

_hear: Final = outcomes.hear
_attend: Final = outcomes.attend
_attempt_failed: Final = outcomes._attempt_failed
_run_failed: Final = breaker.run_failed
_run_succeeded: Final = breaker.run_succeeded
_probe: Final = breaker.probe
_fire_again: Final = launch.fire_again
_give_runs: Final = restore.give_runs
_wait: Final = Breaker.wait


def _twice(book: Book, outcome: Outcome) -> None:
    if (job := book.jobs.get(outcome.job)) is not None:
        job.past = NO_RUNS
    _hear(book, outcome)


def _of_any_firing(book: Book, outcome: Outcome) -> None:
    job, run = book.jobs.get(outcome.job), outcome.id.partition("#")[0]
    if job is not None and run in job.runs and job.runs[run].n > 1:
        outcome = replace(outcome, id=f"{run}#{job.runs[run].n}")
    _hear(book, outcome)


def _cancelled_is_failed(book: Book, outcome: Outcome) -> None:
    _hear(book, replace(outcome, status="failed") if outcome.status == "cancelled" else outcome)


def _clears_all(book: Book, job: Job, due: int) -> None:
    _run_succeeded(book, job, due + 86_400_000)


def _from_before_the_resume(book: Book, job: Job, *rest: Any) -> None:
    resumed, job.resumed_at = job.resumed_at, 0
    _run_failed(book, job, *rest)
    job.resumed_at = resumed


def _paused_or_not(book: Book, limit: int) -> int:
    pauses = {name: job.pause for name, job in book.jobs.items()}
    for job in book.jobs.values():
        job.pause = None
    done = _attend(book, limit)
    for name, job in book.jobs.items():
        job.pause = pauses[name]
    return done


def _probe_under_a_pause(book: Book, job: Job) -> bool:
    pause, job.pause = job.pause, None
    done = _probe(book, job)
    job.pause = pause
    return done


def _one_too_many(book: Book, job: Job, *rest: Any) -> None:
    spec = job.spec
    assert spec is not None
    job.spec = replace(spec, retry=replace(spec.retry, attempts=spec.retry.attempts + 1))
    _attempt_failed(book, job, *rest)
    job.spec = spec


def _from_the_firing(job: Job, run: Run) -> int:
    lost, timeout = run.fired + launch.LOST_AFTER, None if job.spec is None else job.spec.timeout
    return lost if timeout is None else min(lost, run.fired + timeout)


def _snooze_is_an_attempt(book: Book, job: Job, run: Run) -> None:
    _fire_again(book, job, replace(run, status=RunStatus.FAILED))


def _same_wait(self: Breaker, failed_probes: int) -> int | None:
    return _wait(self, 0)


def _always_there(self: Run, now: int) -> bool:
    return True


def _first_attempt_again(job: Job, runs: Mapping[str, Run]) -> None:
    _give_runs(job, {id_: replace(run, attempt=1) for id_, run in runs.items()})


def _never_unfit(job: Job, run: Run) -> bool:
    return False


VARIANTS: Final[dict[str, Broken]] = {
    "a run that is over is heard of again": Broken(((outcomes, "hear", _twice),)),
    "an outcome of an earlier firing counts": Broken(((outcomes, "hear", _of_any_firing),)),
    "a cancelled run is a failed one": Broken(((outcomes, "hear", _cancelled_is_failed),)),
    "a success clears failures that are due after it": Broken(((breaker, "run_succeeded", _clears_all),)),
    "a run due before the resume counts": Broken(((breaker, "run_failed", _from_before_the_resume),)),
    "a retry does not wait for a pause": Broken(((outcomes, "attend", _paused_or_not),)),
    "a retry does not wait while a job is errored": Broken(((outcomes, "_unfit", _never_unfit),)),
    "a probe is made under a pause": Broken(((breaker, "probe", _probe_under_a_pause),)),
    "a failed probe does not lengthen the wait": Broken(((Breaker, "wait", _same_wait),)),
    "a run has one attempt too many": Broken(((outcomes, "_attempt_failed", _one_too_many),)),
    "a timeout is counted from the firing": Broken(((launch, "deadline", _from_the_firing),)),
    "a snooze uses up an attempt": Broken(((launch, "fire_again", _snooze_is_an_attempt),)),
    "a run that expired unbegun stands in the way": Broken(((Run, "occupies", _always_there),)),
    "a rebuild counts attempts anew": Broken(((restore, "give_runs", _first_attempt_again),)),
}
