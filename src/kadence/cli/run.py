"""The verbs that run: worker, demo."""

from __future__ import annotations

import logging

import click

from kadence.cli.context import Invocation, connection_options
from kadence.cli.values import DURATION


@click.command
@click.option("--metrics-port", type=click.IntRange(0, 65_535), help="Port of /metrics, /livez and /readyz.")
@click.option("--create-topics", is_flag=True, default=None, help="Create topics that are missing.")
@click.option("--worker-id", metavar="ID", help="Names this process to people.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="What to log.")
@click.option("--log-format", type=click.Choice(["text", "json"]), help="How to log.")
@connection_options
@click.pass_obj
def worker_command(invocation: Invocation, /, **overrides: object) -> None:
    """Run a worker: take over shards, fire their jobs, until SIGTERM or Ctrl-C."""
    from kadence.cli.logs import set_up_logging  # noqa: PLC0415
    from kadence.worker.worker import Worker  # noqa: PLC0415  it brings everything with it

    settings = invocation.settings(**overrides)
    set_up_logging("debug" if invocation.verbose else settings.log_level, settings.log_format)
    logger = logging.getLogger("kadence")
    for unknown in settings.unknown_environment():
        logger.warning("%s", unknown)
    if settings.kafka:
        invocation.open_log()  # a property that is none is a usage error, before anything starts
    Worker(settings).run()


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
