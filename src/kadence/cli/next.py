"""The verb `next`: when a job or a schedule is due."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from kadence.cli.context import Invocation, connection_options
from kadence.cli.output import note, print_json, print_table
from kadence.cli.values import DURATION, TIME, output_option
from kadence.domain.duration import format_duration, format_time
from kadence.domain.schedule import Cron, parse_schedule
from kadence.domain.spec import Timing
from kadence.errors import InvalidSpecError, NotFoundError

if TYPE_CHECKING:
    from kadence.cli.values import Output
    from kadence.domain.duetimes import HasDueTimes
    from kadence.view import JobView


@click.command
@click.argument("name", required=False)
@click.option("--cron", metavar="EXPR", help="A cron expression; no broker is needed. NAME then resolves an H.")
@click.option("--timezone", metavar="ZONE", help="The cron's time zone, as Europe/Berlin.  [default: UTC]")
@click.option("--dst", multiple=True, metavar="RULE", help="gap=after|skip or fold=first|second|both; may be repeated.")
@click.option("--every", type=DURATION, help="A period; no broker is needed.")
@click.option("--offset", type=DURATION, help="What the period is moved by.")
@click.option("--from", "after", type=TIME, help="Only due times after this one.  [default: now]")
@click.option("--count", type=click.IntRange(1, 100_000), default=5, show_default=True, help="How many.")
@output_option
@connection_options
@click.pass_obj
def next_command(  # noqa: PLR0913  one per option
    invocation: Invocation,
    *,
    name: str | None,
    cron: str | None,
    timezone: str | None,
    dst: tuple[str, ...],
    every: int | None,
    offset: int | None,
    after: int | None,
    count: int,
    output: Output,
) -> None:
    """Show the next due times of the job NAME, or of a schedule that is given here."""
    if sum(given is not None for given in (cron, every)) > 1 or (every is not None and name is not None):
        raise click.UsageError("give one of NAME, --cron and --every")
    if cron is None and (timezone is not None or dst):
        raise click.UsageError("--timezone and --dst go with --cron")
    if cron is not None and name is None and any(field.upper().startswith("H") for field in cron.split()):
        raise click.UsageError("an H in a cron is hashed by its job's name: give NAME, too")
    if every is None and offset is not None:
        raise click.UsageError("--offset goes with --every")
    job: JobView | None = None
    if cron is not None:
        timing = _parsed(_cron_document(cron, timezone, dst), name or "")
    elif every is not None:
        document = {"every": format_duration(every), "offset": format_duration(offset or 0)}
        timing = _parsed(document, "")
    elif name is not None:
        job = _job(invocation, name)
        timing = _timing(job)
    else:
        raise click.UsageError("give one of NAME, --cron and --every")
    dues = _first(timing, invocation.clock.wall() if after is None else after, count)
    if output == "json":
        print_json([format_time(due) for due in dues])
    else:
        _print_dues(dues, _zone(timing))
        if job is not None and job.state != "running":
            note(_stopped(job))


def _cron_document(cron: str, timezone: str | None, dst: tuple[str, ...]) -> dict[str, object]:
    rules: dict[str, str] = {}
    for rule in (one for item in dst for one in item.split(",")):
        field, equals, value = rule.partition("=")
        if not equals:
            raise click.UsageError(f"--dst takes gap=after|skip or fold=first|second|both, not {rule!r}")
        rules[field.strip()] = value.strip()
    return {"cron": cron, "timezone": timezone or "UTC", "dst": rules}


def _parsed(document: dict[str, object] | dict[str, str], name: str) -> HasDueTimes:
    try:
        return parse_schedule(document, name)
    except ValueError as error:
        raise InvalidSpecError(str(error)) from error


def _job(invocation: Invocation, name: str) -> JobView:
    with invocation.client() as client:
        return client.get(name)


def _timing(job: JobView) -> HasDueTimes:
    if job.spec is None:
        raise NotFoundError(f"job {job.name} has no definition that can be read: {job.reason}")
    return job.spec.timing


def _stopped(job: JobView) -> str:
    """That the schedule goes on but the job does not fire."""
    why = f" ({job.reason})" if job.reason else ""
    if job.state == "finished":
        return f"job {job.name} is finished{why}: it will not fire any more"
    until = "" if job.next_due is None else f" before {format_time(job.next_due)}"
    return f"job {job.name} is {job.state}{why}: these are the times of its schedule, and it does not fire{until}"


def _zone(timing: HasDueTimes) -> str:
    """The time zone that people think of the schedule in."""
    schedule = timing.schedule if isinstance(timing, Timing) else timing
    return schedule.timezone if isinstance(schedule, Cron) else "UTC"


def _first(timing: HasDueTimes, after: int, count: int) -> list[int]:
    dues: list[int] = []
    due = timing.next_after(after)
    while due is not None and len(dues) < count:
        dues.append(due)
        due = timing.next_after(due)
    return dues


def _print_dues(dues: list[int], zone: str) -> None:
    if not dues:
        click.echo("no due time is left")
    elif zone == "UTC":
        for due in dues:
            click.echo(format_time(due))
    else:
        local = [datetime.fromtimestamp(due / 1000, UTC).astimezone(ZoneInfo(zone)) for due in dues]
        rows = [(format_time(due), moment.isoformat(sep=" ")) for due, moment in zip(dues, local, strict=True)]
        print_table(("DUE", zone.upper()), rows)
