"""Running the command line in this process, against an in-process log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from kadence.cli.context import Invocation
from kadence.cli.main import cli
from tests.surfaces.owner import NS

if TYPE_CHECKING:
    from click.testing import Result

    from kadence.log.port import Log


def run(*arguments: str, log: Log | None = None, text: str | None = None, env: dict[str, str] | None = None) -> Result:
    """What `kadence ARGUMENTS` does; ``text`` is its standard input. An unforeseen exception is raised."""
    invocation = Invocation(namespace=NS, log=log)
    return CliRunner(env=env).invoke(cli, arguments, input=text, obj=invocation, catch_exceptions=False)


def data(*arguments: str, log: Log | None = None) -> Any:  # noqa: ANN401  JSON
    """The JSON that a command prints."""
    result = run(*arguments, "-o", "json", log=log)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)
