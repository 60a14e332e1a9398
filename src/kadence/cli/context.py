"""Where a command works: the options that every verb takes, before it or after it, and what they lead to."""

from __future__ import annotations

import getpass
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from kadence.clock import SystemClock
from kadence.errors import ConfigurationError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kadence.client import Client
    from kadence.clock import Clock
    from kadence.log.port import Log
    from kadence.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(slots=True)
class Invocation:
    """What was said about the place. ``log`` and ``clock`` are for tests; everybody else leaves them."""

    bootstrap_servers: str | None = None
    namespace: str | None = None
    config: Path | None = None
    verbose: bool = False
    log: Log | None = None
    clock: Clock = field(default_factory=SystemClock)

    def settings(self, **overrides: object) -> Settings:
        """The settings of this process. Raises `SettingsError`."""
        from kadence.settings import Settings  # noqa: PLC0415  pydantic takes a while to load

        given: dict[str, Any] = {"bootstrap_servers": self.bootstrap_servers, "namespace": self.namespace, **overrides}
        return Settings.load(self.config, **given)

    @property
    def servers(self) -> str:
        """The brokers' addresses."""
        return self.settings().bootstrap_servers

    def open_log(self) -> Log:
        """The cluster. Raises `SettingsError` where the Kafka properties given are none, or may not be set."""
        if self.log is not None:
            return self.log
        from kadence.log.kafka import KafkaLog  # noqa: PLC0415  librdkafka takes a while to load

        settings = self.settings()
        try:
            log = KafkaLog(settings.bootstrap_servers, settings.kafka, client_id="kadence-cli")
            if settings.kafka:  # only librdkafka knows its properties, and it looks at them when a client is made
                log.reader().close()
        except ConfigurationError as error:
            raise SettingsError(str(error)) from error
        return log

    def client(self) -> Client:
        """A client that signs what it writes with the name of whoever is logged in."""
        from kadence.client import Client  # noqa: PLC0415

        return Client(log=self.open_log(), namespace=self.settings().namespace, by=_user())


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container may have a user id without a name
        return None


def _remember(ctx: click.Context, parameter: click.Parameter, value: object) -> None:
    """Keep an option for the whole command line; the one after the verb wins over the one before it."""
    if value is not None and value is not False and parameter.name is not None:
        setattr(ctx.ensure_object(Invocation), parameter.name, value)


def connection_options(command: Callable[P, R]) -> Callable[P, R]:
    """Add the options that say where: cluster, namespace, configuration file; and -v."""
    options = (
        click.option(
            "--bootstrap-servers",
            metavar="HOST:PORT,…",
            help="The Kafka brokers (KADENCE_BOOTSTRAP_SERVERS).",
            expose_value=False,
            callback=_remember,
        ),
        click.option(
            "--namespace",
            metavar="NAME",
            help="What kadence's topics begin with (KADENCE_NAMESPACE).",
            expose_value=False,
            callback=_remember,
        ),
        click.option(
            "--config",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE.toml",
            help="Settings in a file (KADENCE_CONFIG).",
            expose_value=False,
            callback=_remember,
        ),
        click.option(
            "-v",
            "--verbose",
            is_flag=True,
            help="Log what happens, and show where an error came from.",
            expose_value=False,
            callback=_remember,
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command
