"""Verbs on single jobs: delete, pause, resume."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kadence.cli.context import Invocation, connection_options
from kadence.cli.report import NOT_FOUND, report
from kadence.cli.typos import hint_at_errored, hint_at_names, refuse_patterns
from kadence.cli.values import DURATION, TIME, output_option, policy_option, reason_option, wait_options
from kadence.domain.duration import format_time

if TYPE_CHECKING:
    from kadence.cli.values import Output
    from kadence.client import Written
    from kadence.domain.spec import Policy

_names = click.argument("names", nargs=-1, required=True, metavar="NAME…")


def _no_job_yet(name: str) -> str:
    return f"there is no job {name} yet"


@click.command
@_names
@wait_options
@output_option
@connection_options
@click.pass_obj
def delete_command(invocation: Invocation, names: tuple[str, ...], wait: int, output: Output) -> None:
    """Delete jobs for good: the definition, and a pause of that name."""
    with invocation.client() as client:
        wanted = [client.deletion(name) for name in dict.fromkeys(names)]
        done = client.submit([command for pair in wanted for command in pair], wait=wait / 1000)
    pairs = list(zip(done[::2], done[1::2], strict=True))
    absent = [job.name for job, pause in pairs if job.found is False and pause.found is False]
    report([_later(job, pause) for job, pause in pairs if job.name not in absent], "deleted", output, wait=wait)
    for name in absent:
        click.echo(f"kadence: there is no job {name} to delete; `kadence list` shows what there is", err=True)
    if absent:
        raise click.exceptions.Exit(NOT_FOUND)


def _later(job: Written, pause: Written) -> Written:
    """A deletion is in force when both of its records are."""
    return job if job.fate == "rejected" or pause.fate == "in_force" else pause


@click.command
@_names
@reason_option
@click.option("--until", type=TIME, help="When it ends by itself, as 2026-11-23T09:00:00Z.")
@click.option("--for", "length", type=DURATION, help="How long it lasts, as 2h or 1h30m.")
@wait_options
@output_option
@connection_options
@click.pass_obj
def pause_command(
    invocation: Invocation,
    names: tuple[str, ...],
    reason: str | None,
    until: int | None,
    length: int | None,
    wait: int,
    output: Output,
) -> None:
    """Pause jobs, also ones that are yet to come. Due times under the pause are dropped, not run later."""
    refuse_patterns(names, "pause")
    if until is not None and length is not None:
        raise click.UsageError("give --until or --for, not both")
    end = until if length is None else invocation.clock.wall() + length
    if end is not None and end <= invocation.clock.wall():
        raise click.UsageError("that pause would be over already: --until or --for must end in the future")
    with invocation.client() as client:
        text = None if end is None else format_time(end)
        commands = [client.pausing(name, reason=reason, until=text) for name in dict.fromkeys(names)]
        done = client.submit(commands, wait=wait / 1000)
        if wait > 0:
            hint_at_names(client, done, "kadence resume")
    report(done, "paused", output, wait=wait, missing=_no_job_yet)


@click.command
@_names
@policy_option
@reason_option
@wait_options
@output_option
@connection_options
@click.pass_obj
def resume_command(
    invocation: Invocation,
    names: tuple[str, ...],
    catch_up: Policy | None,
    reason: str | None,
    wait: int,
    output: Output,
) -> None:
    """Resume jobs: lift their pause and put errored ones back into service. Holds stay."""
    refuse_patterns(names, "resume")
    with invocation.client() as client:
        commands = [client.resuming(name, catch_up=catch_up, reason=reason) for name in dict.fromkeys(names)]
        done = client.submit(commands, wait=wait / 1000)
        if wait > 0:
            hint_at_names(client, done)
            hint_at_errored(client, done)
    report(done, "resumed", output, wait=wait, missing=_no_job_yet)
