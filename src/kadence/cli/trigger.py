"""The verb `trigger`: one run now. Its id is told whatever becomes of it, so that it can be looked for or repeated."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import click

from kadence.cli.context import Invocation, connection_options
from kadence.cli.output import note, print_json
from kadence.cli.report import NOT_CONFIRMED, NOT_FOUND, rejected, written_document
from kadence.cli.values import JSON, output_option, reason_option, wait_options
from kadence.errors import UnreachableError

if TYPE_CHECKING:
    from kadence.cli.values import Output


@click.command
@click.argument("name")
@click.option("--payload", type=JSON, default=None, help="JSON to send instead of the job's own payload.")
@click.option("--id", "token", metavar="ID", help="Names the run; the same id never runs twice.")
@reason_option
@wait_options
@output_option
@connection_options
@click.pass_context
def trigger_command(
    ctx: click.Context,
    *,
    name: str,
    payload: object,
    token: str | None,
    reason: str | None,
    wait: int,
    output: Output,
) -> None:
    """Run a job once now, paused or not. Prints the run's id, also where no worker has confirmed it in time."""
    given = ctx.get_parameter_source("payload") is not click.core.ParameterSource.DEFAULT
    token = secrets.token_hex(8) if token is None else token
    with ctx.ensure_object(Invocation).client() as client:
        command = client.triggering(name, token, payload if given else ..., reason=reason)
        try:
            [done] = client.submit([command], wait=wait / 1000)
        except UnreachableError:
            note(f"it may have been recorded: repeat it with --id {token}, which never runs twice")
            raise
        absent = client.lacks_job(done)
    run = f"{name}!{token}"
    if output == "json":
        print_json({**written_document(done), "id": token, "run": run})
    elif done.fate != "rejected":
        click.echo(run)
    if absent:
        note(f"there is no job {name} in namespace {client.namespace} to trigger; `kadence list` shows what there is")
        raise click.exceptions.Exit(NOT_FOUND)
    rejected([done])
    if wait > 0 and done.fate == "recorded":
        note(
            f"trigger {name} is recorded at offset {done.offset} but no worker has confirmed it in time: it runs once "
            f"a worker runs, and repeating it with --id {token} never runs it twice"
        )
        raise click.exceptions.Exit(NOT_CONFIRMED)
