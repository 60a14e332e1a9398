"""The verb `plan`: what deploying the jobs of an app would change. It writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kadence.cli.context import Invocation, connection_options
from kadence.cli.output import note, print_json, print_table, schedule_text
from kadence.cli.values import output_option
from kadence.domain.spec import compact_json

if TYPE_CHECKING:
    from kadence.cli.values import Output
    from kadence.client import Plan, Step
    from kadence.client.differing import Change


@click.command
@click.argument("place", metavar="MODULE:APP")
@click.option("--exit-code", is_flag=True, help="Leave with 1 where there is something to change, else with 0.")
@output_option
@connection_options
@click.pass_obj
def plan_command(
    invocation: Invocation,
    place: str,
    exit_code: bool,  # noqa: FBT001  click passes options by position or name as it likes
    output: Output,
) -> None:
    """Show what starting an executor of this app would change. Nothing is written.

    MODULE is imported with the current directory on Python's path; APP is the kadence.App in it.
    """
    from kadence.handlers.app import load_app  # noqa: PLC0415  what it imports is the user's

    app = load_app(place)
    handlers = app.handlers  # every payload's type is known, or that is said now
    with invocation.client() as client:
        plan = client.plan(app.specs(), app.name)
    if output == "json":
        print_json([_document(step) for step in (*plan.steps, *plan.kept)])
    elif handlers:
        print_table(("JOB", "WHAT", "FIELDS"), [_row(step) for step in (*plan.steps, *plan.kept)])
    for sentence in plan.warnings():
        note(f"warning: {sentence}")
    note(_summary(app.name, plan))
    if exit_code and plan.changes:
        raise click.exceptions.Exit(1)


def _document(step: Step) -> dict[str, object]:
    return {
        "name": step.name,
        "what": step.what,
        "fields": list(step.fields),
        "changes": {change.field: [change.old, change.new] for change in step.changes if change.small},
        "why": step.why,
    }


def _row(step: Step) -> tuple[str, str, str]:
    return step.name, step.what, step.why or ", ".join(map(_told, step.changes))


def _told(change: Change) -> str:
    if not change.small:
        return change.field
    return f"{change.field}: {_value(change.field, change.old)} -> {_value(change.field, change.new)}"


def _value(field: str, value: object) -> str:
    match value:
        case None:
            return "none"
        case str() | int() | float():
            return str(value)
        case _ if field == "schedule":
            return schedule_text(value)
        case _:
            return compact_json(value).decode()


def _summary(app: str, plan: Plan) -> str:
    if not plan.steps:
        return f"app {app} has no jobs"
    counts = {what: sum(step.what == what for step in plan.steps) for what in ("created", "changed")}
    told = " and ".join(f"{count} would be {what}" for what, count in counts.items() if count)
    return f"app {app}: {told or 'nothing would change'}"
