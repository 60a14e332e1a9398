"""Verbs on holds: hold, release, holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kadence.cli.context import Invocation, connection_options
from kadence.cli.output import note, print_json, print_table
from kadence.cli.report import NOT_FOUND, report
from kadence.cli.typos import hint_at_nothing_held
from kadence.cli.values import DURATION, TIME, output_option, policy_option, reason_option, wait_options
from kadence.domain.duration import format_time

if TYPE_CHECKING:
    from kadence.cli.values import Output
    from kadence.domain.spec import Policy


def _selector(
    tags: tuple[str, ...], globs: tuple[str, ...], not_tags: tuple[str, ...], not_globs: tuple[str, ...], *, every: bool
) -> dict[str, object]:
    """The contract's selector."""
    if every and (tags or globs):
        raise click.UsageError("--all goes without --tag and --name; leave jobs out with --not-tag or --not-name")
    if not (every or tags or globs):
        raise click.UsageError("say which jobs: --tag T or --name GLOB (each may be repeated), or --all")
    found: dict[str, object] = {"all": True} if every else {}
    found |= {"tags": list(tags)} if tags else {}
    found |= {"names": list(globs)} if globs else {}
    never = ({"tags": list(not_tags)} if not_tags else {}) | ({"names": list(not_globs)} if not_globs else {})
    return found | ({"not": never} if never else {})


def _end(start: int | None, end: int | None, length: int | None, now: int) -> int | None:
    """When the hold ends by itself, from --end or --for: later than it begins, and than now."""
    if end is not None and length is not None:
        raise click.UsageError("give --end or --for, not both")
    if length is not None:
        end = (now if start is None else start) + length
    if end is not None and start is not None and end <= start:
        raise click.UsageError("that hold would end before it begins: --end must be later than --start")
    if end is not None and end <= now:
        raise click.UsageError("that hold would be over already: --end or --for must end in the future")
    return end


@click.command
@click.argument("name")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Jobs with this tag (repeat for several).")
@click.option("--name", "globs", multiple=True, metavar="GLOB", help="Jobs whose name matches (repeat for several).")
@click.option("--all", "every", is_flag=True, help="Every job.")
@click.option("--not-tag", "not_tags", multiple=True, metavar="TAG", help="But none with this tag.")
@click.option("--not-name", "not_globs", multiple=True, metavar="GLOB", help="But none whose name matches.")
@click.option("--start", type=TIME, help="When it begins (else: now).")
@click.option("--end", type=TIME, help="When it ends by itself (else: with `kadence release`).")
@click.option("--for", "length", type=DURATION, help="How long it lasts from its start.")
@policy_option
@reason_option
@wait_options
@output_option
@connection_options
@click.pass_obj
def hold_command(  # noqa: PLR0913  one per option
    invocation: Invocation,
    *,
    name: str,
    tags: tuple[str, ...],
    globs: tuple[str, ...],
    every: bool,
    not_tags: tuple[str, ...],
    not_globs: tuple[str, ...],
    start: int | None,
    end: int | None,
    length: int | None,
    catch_up: Policy | None,
    reason: str | None,
    wait: int,
    output: Output,
) -> None:
    """Pause every job of a kind under a name, those created later included.

    Given both --tag and --name, a job must match one of each. --catch-up is for a hold with an end; to choose when a
    hold without one is released, there is `kadence release NAME --catch-up`.
    """
    match = _selector(tags, globs, not_tags, not_globs, every=every)
    finish = _end(start, end, length, invocation.clock.wall())
    if catch_up is not None and finish is None:
        raise click.UsageError(
            f"--catch-up is for a hold that ends by itself: add --for or --end, or choose when you release it, with "
            f"kadence release {name} --catch-up {catch_up}"
        )
    with invocation.client() as client:
        command = client.holding(
            name,
            match,
            start=None if start is None else format_time(start),
            end=None if finish is None else format_time(finish),
            catch_up=catch_up,
            reason=reason,
        )
        done = client.submit([command], wait=wait / 1000)
        report(done, "hold", output, wait=wait)
        if wait > 0:
            hint_at_nothing_held(client, name, tags)


@click.command
@click.argument("name")
@policy_option
@wait_options
@output_option
@connection_options
@click.pass_obj
def release_command(invocation: Invocation, name: str, catch_up: Policy | None, wait: int, output: Output) -> None:
    """Release a hold: each job is again exactly what it was before.

    With --catch-up the hold is written again with an end, now, and that choice. Its record then stays, and `holds`
    shows it as ended, until it is released once more or a hold of that name is written.
    """
    with invocation.client() as client:
        done = client.submit([client.releasing(name, catch_up=catch_up)], wait=wait / 1000)
    if done[0].found is False:
        click.echo(f"kadence: there is no hold {name}; `kadence holds` shows what there is", err=True)
        raise click.exceptions.Exit(NOT_FOUND)
    report(done, "released", output, wait=wait)


@click.command
@output_option
@connection_options
@click.pass_obj
def holds_command(invocation: Invocation, output: Output) -> None:
    """List holds with what they select and how many jobs they are over."""
    from kadence.view.documents import (  # noqa: PLC0415  croniter is slow to load
        end_text,
        hold_document,
        matched_text,
        selector_text,
        time_text,
    )

    with invocation.client() as client:
        found = client.holds()
    if output == "json":
        print_json([hold_document(hold) for hold in found])
        return
    rows = [
        (
            hold.name,
            hold.state,
            selector_text(hold),
            matched_text(hold),
            time_text(hold.since) or "-",
            end_text(hold),
            hold.reason or "",
        )
        for hold in found
    ]
    print_table(("NAME", "STATE", "JOBS WITH", "MATCHED", "SINCE", "END", "REASON"), rows)
    for hold in found:
        if hold.refused is not None and hold.state != "rejected":
            newest = f"the newest record of hold {hold.name}, at offset {hold.refused},"
            note(f"{newest} was rejected; the one before it is shown")
