"""Verbs that look: list, get, status."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from kadence.cli.context import Invocation, connection_options
from kadence.cli.output import note, print_json, print_pairs, print_table, schedule_text
from kadence.cli.signs import warn_of_silence
from kadence.cli.values import output_option
from kadence.log.topics import namespace_option
from kadence.view.documents import (
    age_text,
    end_text,
    job_detail,
    job_document,
    matched_text,
    selector_text,
    status_document,
    time_text,
)

if TYPE_CHECKING:
    from kadence.cli.values import Output
    from kadence.domain.run import Run
    from kadence.view import JobView, View

_STATES = ("running", "paused", "errored", "finished", "pending", "rejected")


@click.command
@click.argument("globs", nargs=-1, metavar="[GLOB…]")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only jobs with this tag (repeat for several).")
@click.option("--state", "states", multiple=True, type=click.Choice(_STATES), help="Only jobs in this state.")
@output_option
@connection_options
@click.pass_obj
def list_command(
    invocation: Invocation, globs: tuple[str, ...], tags: tuple[str, ...], states: tuple[str, ...], output: Output
) -> None:
    """List jobs with their state and next due time; GLOBs choose by name."""
    with invocation.client() as client:
        jobs = client.list(names=globs, tags=tags, states=states)
    if output == "json":
        print_json([job_document(job) for job in jobs])
        return
    rows = [
        (
            job.name,
            job.state,
            time_text(job.next_due) or "-",
            schedule_text(job.document.get("schedule")),
            job.reason or "",
        )
        for job in jobs
    ]
    print_table(("NAME", "STATE", "NEXT", "SCHEDULE", "REASON"), rows)
    warn_of_silence(jobs, client.namespace, invocation.clock.wall())


@click.command
@click.argument("name")
@output_option
@connection_options
@click.pass_obj
def get_command(invocation: Invocation, name: str, output: Output) -> None:
    """Show one job: its state and why, its definition, its breaker."""
    with invocation.client() as client:
        job = client.get(name)
    if output == "json":
        print_json(job_detail(job))
    else:
        print_pairs(_described(job, client.namespace))
        warn_of_silence([job], client.namespace, invocation.clock.wall())


def _runs(job: JobView) -> list[tuple[str, str]]:
    return [
        ("last success", time_text(job.last_success) or ""),
        ("open runs", "\n".join(map(_open_run, job.open_runs))),
    ]


def _errored(job: JobView, option: str) -> list[tuple[str, str]]:
    """When a job that its breaker has stopped is tried again, and where there is more of it."""
    streak = None if job.own is None else job.own.streak
    if streak is None or streak.tripped is None:
        return []
    resume = f"kadence resume {job.name}{option}"
    tries = "1 such try" if streak.probes == 1 else f"{streak.probes} such tries"
    failed = f" ({tries} failed)" if streak.probes else ""
    again = f"{time_text(streak.probe_at)}, by itself{failed}; sooner: {resume}"
    letter = f"; kadence dlq show {streak.failed[-1][0]}{option}" if streak.failed else ""
    return [
        ("next try", f"none by itself: {resume}" if streak.probe_at is None else again),
        ("more", f"kadence runs {job.name} --failed{option}{letter}"),
    ]


def _open_run(run: Run) -> str:
    told = [f"attempt {run.attempt}"]
    told += [f"since {time_text(run.started or run.fired)}"]
    told += [f"again at {time_text(run.next_at)}"] if run.next_at is not None else []
    told += [run.error] if run.error else []
    return f"{run.id}  {run.status}: {', '.join(told)}"


def _described(job: JobView, namespace: str) -> list[tuple[str, str]]:
    own = job.own
    pause = None if own is None else own.pause
    streak = None if own is None else own.streak
    pairs = [
        ("name", job.name),
        ("state", job.state),
        ("reason", job.reason or ""),
        ("since", time_text(job.since) or ""),
        ("by", job.by or ""),
        ("next", time_text(job.next_due) or "-"),
        ("schedule", schedule_text(job.document.get("schedule"))),
        ("holds", ", ".join(job.holds)),
        ("tags", ", ".join(job.tags)),
    ]
    if pause is not None and pause.active:
        told = [f"since {time_text(pause.at)}"]
        told += [f"until {time_text(pause.until)}"] if pause.until is not None else []
        told += [f"by {pause.by}"] if pause.by else []
        told += [f"({pause.reason})"] if pause.reason else []
        pairs.append(("paused", " ".join(told)))
    if streak is not None:
        pairs.append(("failures", f"{job.failures} in a row" if job.failures else ""))
        pairs.append(("failed runs", "\n".join(run for run, _ in streak.failed)))
        pairs.append(("last error", streak.last_error or ""))
    pairs += _errored(job, namespace_option(namespace))
    pairs += _runs(job)
    if own is not None and own.rejection is not None:
        pairs.append(("rejected", f"the record at offset {own.rejection.offset}: {own.rejection.error}"))
    if job.newer is not None:
        pairs.append(("not yet read", f"a newer record at offset {job.newer}"))
    pairs.append(("shard", str(job.shard)))
    pairs.append(("spec", json.dumps(dict(job.document), indent=2, ensure_ascii=False)))
    return pairs


@click.command
@output_option
@connection_options
@click.pass_obj
def status_command(invocation: Invocation, output: Output) -> None:
    """Show shards with their owner and progress, jobs by state, and holds."""
    with invocation.client() as client:
        view = client.status()
    if output == "json":
        print_json(status_document(view))
        return
    counted = "  ".join(f"{state} {number}" for state, number in view.counts().items())
    click.echo(f"namespace {view.namespace}  jobs {len(view.jobs)}  {counted}\n")
    print_table(
        ("SHARD", "WORKER", "APPLIED", "BEHIND", "THROUGH", "AGE"),
        [
            (
                str(shard.shard),
                shard.worker or "(never run)",
                str(shard.control),
                str(shard.behind),
                time_text(shard.through) or "-",
                age_text(shard.age),
            )
            for shard in view.shards
        ],
    )
    _print_holds(view)
    if view.pauses:
        click.echo(f"\npauses that wait for a job of their name: {', '.join(view.pauses)}")
    for problem in view.unreadable:
        note(f"a state record cannot be read by this version: {problem}")


def _print_holds(view: View) -> None:
    holds = [hold for hold in view.holds.values() if hold.state != "ended"]
    if holds:
        click.echo()
        print_table(
            ("HOLD", "STATE", "JOBS WITH", "MATCHED", "END", "REASON"),
            [
                (
                    hold.name,
                    hold.state,
                    selector_text(hold),
                    matched_text(hold),
                    end_text(hold),
                    hold.reason or "",
                )
                for hold in holds
            ],
        )
