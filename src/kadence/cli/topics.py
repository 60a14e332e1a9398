"""The verbs `topics init` and `topics check`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from kadence.cli.context import Invocation, connection_options
from kadence.cli.output import note, print_json
from kadence.cli.values import output_option
from kadence.demo.mock_broker import EMBEDDED_BROKER
from kadence.errors import ConfigurationError, UnreachableError
from kadence.log.topics import ANSWER_SECONDS, Applied, check_topics, control_recreated, counted, init_topics

if TYPE_CHECKING:
    from kadence.cli.values import Output
    from kadence.log.port import Log
    from kadence.log.topics import Finding, TopicsReport

_FAILED = 1
_LOOK_SECONDS = 30.0


@click.group("topics")
def topics_command() -> None:
    """Create and check the topics of a namespace."""


@topics_command.command
@click.option(
    "--shards", type=click.IntRange(1, 10_000), help="Partitions of all but the control topic (KADENCE_SHARDS)."
)
@click.option(
    "--replication", type=click.IntRange(1, 1000), help="Copies of each record.  [default: 3, or as many as brokers]"
)
@output_option
@connection_options
@click.pass_obj
def init(invocation: Invocation, shards: int | None, replication: int | None, output: Output) -> None:
    """Create the topics that are missing, and mend those that auto-creation made."""
    settings = invocation.settings(shards=shards, replication=replication)
    log = invocation.open_log()
    _refuse_demo(log, settings.bootstrap_servers)
    admin = log.admin()
    try:
        done = init_topics(admin, settings.namespace, settings.shards, settings.replication)
        if output == "table":
            for line in done:
                click.echo(line)
            if not done:
                click.echo(f"the topics of namespace {settings.namespace} are all there")
        report = check_topics(admin, settings.namespace, servers=settings.bootstrap_servers)
    finally:
        admin.close()
    if output == "json":
        print_json({"done": done, **_report_document(report)})
        _leave(report)
    else:
        _tell(report)


@topics_command.command
@output_option
@connection_options
@click.pass_obj
def check(invocation: Invocation, output: Output) -> None:
    """Compare the topics with what a worker needs; exit code 1 where it would refuse to run."""
    settings = invocation.settings()
    log = invocation.open_log()
    _refuse_demo(log, settings.bootstrap_servers)
    admin = log.admin()
    try:
        report = check_topics(admin, settings.namespace, servers=settings.bootstrap_servers)
    finally:
        admin.close()
    if report.ok:
        report = replace(report, errors=_against_cursors(log, settings.namespace, report.control_topic_id))
    if output == "json":
        print_json(_report_document(report))
        _leave(report)
        return
    _tell(report)
    shards = counted(report.shards, "shard")
    click.echo(f"the topics of namespace {settings.namespace} are as a worker needs them: {shards}")


def _against_cursors(log: Log, namespace: str, topic_id: str) -> tuple[Finding, ...]:
    """What a worker would find when it takes a shard over: one such finding stands for all shards."""
    from kadence.view import snapshot  # noqa: PLC0415  croniter is slow to load

    view = snapshot(log, namespace, _LOOK_SECONDS)
    for shard in view.shards:
        if shard.control_topic_id is not None:
            applied = Applied(shard.shard, shard.control, shard.control_topic_id)
            finding = control_recreated(namespace, applied, topic_id, view.control_end)
            if finding is not None:
                return (finding,)
    return ()


def _refuse_demo(log: Log, servers: str) -> None:
    """The demo's broker never answers what is asked here; said at once, by the sign that it puts up."""
    reader = log.reader()
    try:
        is_demo = reader.partitions(EMBEDDED_BROKER, ANSWER_SECONDS) > 0
    except UnreachableError as error:
        raise UnreachableError("the cluster did not tell what topics it has in time") from error
    except ConfigurationError:  # this login may not know, so somebody has set up access: a real cluster
        is_demo = False
    finally:
        reader.close()
    if is_demo:
        raise ConfigurationError(
            f"{servers} is the broker of `kadence demo`: its topics are there already, and it knows no requests that "
            "create or describe any; name a real cluster with --bootstrap-servers"
        )


def _report_document(report: TopicsReport) -> dict[str, object]:
    return {
        "ok": report.ok,
        "shards": report.shards,
        "errors": [_document(finding) for finding in report.errors],
        "warnings": [_document(finding) for finding in report.warnings],
    }


def _document(finding: Finding) -> dict[str, str]:
    return {"problem": finding.problem, "remedy": finding.remedy}


def _tell(report: TopicsReport) -> None:
    for finding in report.warnings:
        note(f"warning: {finding.problem}\n    {finding.remedy}")
    for finding in report.errors:
        note(f"error: {finding.problem}\n    {finding.remedy}")
    _leave(report)


def _leave(report: TopicsReport) -> None:
    if not report.ok:
        raise click.exceptions.Exit(_FAILED)
