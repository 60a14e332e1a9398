"""The verbs that run: worker, executor, demo."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from kadence.cli.context import Invocation, connection_options
from kadence.cli.values import DURATION

if TYPE_CHECKING:
    from collections.abc import Callable

    from kadence.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")


def _process_options(command: Callable[P, R]) -> Callable[P, R]:
    """Add the options of a process that goes on until it is told to stop."""
    options = (
        click.option("--metrics-port", type=click.IntRange(0, 65_535), help="Port of /metrics, /livez and /readyz."),
        click.option("--worker-id", metavar="ID", help="Names this process to people."),
        click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="What to log."),
        click.option("--log-format", type=click.Choice(["text", "json"]), help="How to log."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command
@click.option("--app", "place", metavar="MODULE:APP", help="Be an executor of this app as well.")
@click.option("--create-topics", is_flag=True, default=None, help="Create topics that are missing.")
@_process_options
@connection_options
@click.pass_obj
def worker_command(invocation: Invocation, /, place: str | None, **overrides: object) -> None:
    """Run a worker: take over shards, fire their jobs, until SIGTERM or Ctrl-C."""
    settings = _begin(invocation, **overrides)
    if place is None:
        from kadence.worker.worker import Worker  # noqa: PLC0415  it brings everything with it

        Worker(settings).run()
        return
    from kadence.cli.parts import run_both  # noqa: PLC0415
    from kadence.handlers.app import load_app  # noqa: PLC0415  what it imports is the user's

    run_both(load_app(place), settings, invocation)


@click.command
@click.argument("place", metavar="MODULE:APP")
@_process_options
@connection_options
@click.pass_obj
def executor_command(invocation: Invocation, /, place: str, **overrides: object) -> None:
    """Run an executor: deploy the jobs of an app and run their handlers, until SIGTERM or Ctrl-C.

    MODULE is imported with the current directory on Python's path; APP is the kadence.App in it.
    """
    from kadence.cli.parts import run_executor  # noqa: PLC0415
    from kadence.handlers.app import load_app  # noqa: PLC0415  what it imports is the user's

    settings = _begin(invocation, **overrides)
    run_executor(load_app(place), settings, invocation)


def _begin(invocation: Invocation, **overrides: object) -> Settings:
    """The settings of this process, and its log as they say."""
    from kadence.cli.logs import set_up_logging  # noqa: PLC0415

    settings = invocation.settings(**overrides)
    set_up_logging("debug" if invocation.verbose else settings.log_level, settings.log_format)
    logger = logging.getLogger("kadence")
    for unknown in settings.unknown_environment():
        logger.warning("%s", unknown)
    if settings.kafka:
        invocation.open_log()  # a property that is none is a usage error, before anything starts
    return settings


@click.command
@click.option("--duration", type=DURATION, help="Stop by itself after this long.")
@connection_options
@click.pass_obj
def demo_command(invocation: Invocation, duration: int | None) -> None:
    """Try kadence: a broker in this process, a worker, a few jobs, executions as they commit.

    With --bootstrap-servers it does the same on a real cluster.
    """
    from kadence.demo.run import run  # noqa: PLC0415  it brings everything with it

    # Only the flag means a real cluster: an address in the environment is for other commands.
    run(
        invocation.bootstrap_servers,
        invocation.namespace,
        None if duration is None else duration / 1000,
    )
