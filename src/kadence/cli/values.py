"""Values on the command line: times, durations, JSON, and the options that several verbs share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, Literal, ParamSpec, TypeVar

import click
from typing_extensions import override

from kadence.domain.duration import parse_duration, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

Output = Literal["table", "json"]
DEFAULT_WAIT: Final = "30s"


class _Time(click.ParamType[int]):
    """An RFC 3339 time, as ms since the epoch."""

    name = "TIME"

    @override
    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse_time(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Duration(click.ParamType[int]):
    """A duration of the contract, as ms. A bare number is seconds."""

    name = "DURATION"

    @override
    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        text = str(value)
        try:
            return parse_duration(float(text) if text.replace(".", "", 1).isdigit() else text)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Json(click.ParamType[object]):
    """Any JSON value."""

    name = "JSON"

    @override
    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError as error:
            self.fail(f"{value[:60]!r} is not JSON: {error}; quote a text twice, as '\"text\"'", param, ctx)


TIME: Final = _Time()
DURATION: Final = _Duration()
JSON: Final = _Json()


def output_option(command: Callable[P, R]) -> Callable[P, R]:
    """Add ``-o table|json``."""
    return click.option(
        "-o", "--output", type=click.Choice(["table", "json"]), default="table", help="How to show it."
    )(command)


def reason_option(command: Callable[P, R]) -> Callable[P, R]:
    """Add ``--reason``."""
    return click.option("--reason", metavar="TEXT", help="Why; everybody who looks will read it.")(command)


def wait_options(command: Callable[P, R]) -> Callable[P, R]:
    """Add ``--wait`` and ``--no-wait``, as ``wait`` in ms, 0 for not at all."""
    command = click.option("--no-wait", "wait", flag_value=0, type=DURATION, help="Return once it is recorded.")(
        command
    )
    return click.option(
        "--wait",
        type=DURATION,
        default=DEFAULT_WAIT,
        help=f"How long to wait until it is in force.  [default: {DEFAULT_WAIT}]",
    )(command)


def policy_option(command: Callable[P, R]) -> Callable[P, R]:
    """Add ``--catch-up``."""
    return click.option(
        "--catch-up",
        type=click.Choice(["skip", "latest", "all"]),
        help="What becomes of the due times in between (else: as the job says).",
    )(command)
