"""`kadence`: the verbs, loaded when they are used, and how every error becomes one sentence and an exit code."""

from __future__ import annotations

import logging
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

import click
from typing_extensions import override

from kadence import __version__
from kadence.cli.context import Invocation, connection_options
from kadence.cli.reach import why_unreachable
from kadence.cli.trace import trace_text
from kadence.errors import (
    InvalidSpecError,
    KadenceError,
    NotConfirmedError,
    NotFoundError,
    RejectedError,
    SettingsError,
    UnreachableError,
)

if TYPE_CHECKING:
    from types import TracebackType

FAILED: Final = 1
EXIT_CODES: Final = (
    (SettingsError, 2),
    (InvalidSpecError, 2),
    (NotFoundError, 3),
    (RejectedError, 4),
    (NotConfirmedError, 5),
    (UnreachableError, 6),
)
"""The first class that an error belongs to gives the exit code; any other error of kadence is a plain failure."""

INTERRUPTED: Final = 130
CODES_TOLD: Final = """\b
Exit codes:
  0  done
  1  failed: the topics are not as they must be, or something unforeseen
  2  usage: an option, a setting, a file, a job or a hold is not valid; nothing was written
  3  not found: there is no such job or hold
  4  stale or rejected: a shard read the record and refused it
  5  not confirmed in time: it is recorded and not lost, but no worker has said so
  6  broker unreachable: try again
  130  interrupted: what was recorded before takes effect all the same
"""

VERBS: Final = {
    "apply": ("kadence.cli.apply", "Create or change jobs from files."),
    "plan": ("kadence.cli.plan", "Show what starting an app's executor would change."),
    "list": ("kadence.cli.show", "List jobs with their state and next due time."),
    "get": ("kadence.cli.show", "Show one job with all that is known of it."),
    "delete": ("kadence.cli.jobs", "Delete jobs and their pauses."),
    "pause": ("kadence.cli.jobs", "Pause jobs until resumed, or for a time."),
    "resume": ("kadence.cli.jobs", "Resume paused or errored jobs."),
    "trigger": ("kadence.cli.trigger", "Run a job once now."),
    "runs": ("kadence.cli.runs", "Show how runs went, or follow them."),
    "dlq": ("kadence.cli.dlq", "Look at runs that failed for good, and run them again."),
    "hold": ("kadence.cli.holds", "Pause every job of a kind, by tag or name."),
    "release": ("kadence.cli.holds", "Release a hold."),
    "holds": ("kadence.cli.holds", "List holds."),
    "status": ("kadence.cli.show", "Show shards, counts by state, active holds."),
    "next": ("kadence.cli.next", "Show the next due times of a job or a schedule."),
    "topics": ("kadence.cli.topics", "Create and check kadence's topics."),
    "worker": ("kadence.cli.run", "Run a worker until SIGTERM."),
    "executor": ("kadence.cli.run", "Run an app's handlers until SIGTERM."),
    "demo": ("kadence.cli.run", "Try kadence without a Kafka cluster."),
}
"""Each verb's module, in which it is named ``<verb>_command``, and its line in the help."""


class Verbs(click.Group):
    """A group whose commands are imported on use, so that `kadence --help` is quick."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command = getattr(import_module(VERBS[cmd_name][0]), f"{cmd_name}_command")
        return command if isinstance(command, click.Command) else None

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in VERBS.items()])

    @override
    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KadenceError as error:
            if ctx.ensure_object(Invocation).verbose:
                click.echo(trace_text(error), err=True, nl=False)
            click.echo(f"kadence: {_sentence(error, ctx.ensure_object(Invocation))}", err=True)
            ctx.exit(exit_code(error))
        except KeyboardInterrupt:
            click.echo("\nkadence: interrupted; what was recorded before takes effect all the same", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            # Whoever read our output has seen enough. What is left of it must not fail again when Python exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)


def exit_code(error: KadenceError) -> int:
    """What the process says to its caller."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), FAILED)


def _sentence(error: KadenceError, invocation: Invocation) -> str:
    if isinstance(error, UnreachableError):
        why = None if invocation.log is not None else why_unreachable(invocation.servers)
        return (
            f"no answer from {invocation.servers}: {why or error} "
            "(name other brokers with --bootstrap-servers or KADENCE_BOOTSTRAP_SERVERS)"
        )
    return str(error)


@click.group(
    cls=Verbs,
    epilog=CODES_TOLD,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", prog_name="kadence", message="%(prog)s %(version)s")
@connection_options
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Schedule jobs whose only store is Kafka."""
    invocation = ctx.ensure_object(Invocation)
    if ctx.invoked_subcommand not in {"worker", "executor"}:  # which log it
        from kadence.settings import Settings  # noqa: PLC0415  --help does not need it

        for unknown in Settings.unknown_environment():
            click.echo(f"kadence: warning: {unknown}", err=True)
    if "NO_COLOR" in os.environ:  # https://no-color.org
        ctx.color = False
    logging.basicConfig(
        level=logging.DEBUG if invocation.verbose else logging.CRITICAL,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )


def main() -> None:
    """Run the command line of this process."""
    sys.excepthook = _explain
    cli(prog_name="kadence")


def _explain(kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    """One sentence for what nobody foresaw."""
    if "-v" in sys.argv or "--verbose" in sys.argv:
        click.echo(trace_text(error), err=True, nl=False)
    click.echo(f"kadence: failed unexpectedly with {kind.__name__}: {error}; -v shows where", err=True)
