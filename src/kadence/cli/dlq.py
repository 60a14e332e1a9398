"""The verbs `dlq list`, `dlq show` and `dlq retry`: what failed for good, and running it again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import click

from kadence.cli.context import Invocation, connection_options
from kadence.cli.output import note, print_json, print_pairs, print_table
from kadence.cli.retries import report_retries, retry_all
from kadence.cli.values import DURATION, output_option, reason_option, wait_options
from kadence.client.selecting import matches
from kadence.domain.firing import read_firing
from kadence.errors import InvalidSpecError, NotFoundError
from kadence.log.topics import counted, namespace_option
from kadence.view.documents import time_text
from kadence.view.letterdocuments import letter_detail, letter_document
from kadence.view.letters import newest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kadence.cli.values import Output
    from kadence.client import Client
    from kadence.domain.firing import Firing
    from kadence.view.letterbox import LetterBox
    from kadence.view.letters import Letter

_HEADINGS: Final = ("RUN", "STATUS", "ATTEMPTS", "AT", "TOPIC", "ERROR")
_LIMIT: Final = 50

_topics = click.option(
    "--topic", "topics", multiple=True, metavar="TOPIC", help="Look into this topic, too (repeat for several)."
)
_since = click.option("--since", type=DURATION, help="Only letters of so long ago or later.  [default: all there are]")


@click.group("dlq")
def dlq_command() -> None:
    """Look at the dead letters of runs that failed for good, and run them again.

    They are in <namespace>.dead_letters, and in the topics that jobs name under dead_letters.topic.
    """


@dlq_command.command("list")
@click.argument("names", nargs=-1, metavar="[NAME…|GLOB…]")
@_since
@click.option("--limit", type=click.IntRange(1), default=_LIMIT, show_default=True, help="The newest so many.")
@_topics
@output_option
@connection_options
@click.pass_obj
def list_command(
    invocation: Invocation,
    names: tuple[str, ...],
    since: int | None,
    limit: int,
    topics: tuple[str, ...],
    output: Output,
) -> None:
    """List dead letters, the newest last."""
    with invocation.client() as client:
        box = client.letter_box(names, topics, _start(invocation, since))
    _tell_troubles(box)
    if len(box.letters) > limit:
        note(f"the newest {limit} of {len(box.letters)} letters are shown; --limit N shows more")
    shown = box.letters[-limit:]
    if output == "json":
        print_json([letter_document(letter) for letter in shown])
        return
    print_table(_HEADINGS, [_row(letter) for letter in shown])


@dlq_command.command
@click.argument("run")
@_topics
@output_option
@connection_options
@click.pass_obj
def show(invocation: Invocation, run: str, topics: tuple[str, ...], output: Output) -> None:
    """Show one dead letter in full: headers, payload, error, stack trace."""
    about = _firing(run)
    with invocation.client() as client:
        box = _box_of(client, [about.job], topics)
    letter = newest(box.letters).get(about.run)
    if letter is None:
        raise NotFoundError(_absent(about.run, box))
    if output == "json":
        print_json(letter_detail(letter))
    else:
        print_pairs(_described(letter, client.namespace))


@dlq_command.command
@click.argument("runs", nargs=-1, metavar="[RUN…]")
@click.option(
    "--all", "names", multiple=True, metavar="NAME|GLOB", help="Every letter of these jobs (repeat for several)."
)
@click.option("--since", type=DURATION, help="With --all: only letters of so long ago or later.")
@_topics
@reason_option
@wait_options
@output_option
@connection_options
@click.pass_obj
def retry(  # noqa: PLR0913  one per option
    invocation: Invocation,
    *,
    runs: tuple[str, ...],
    names: tuple[str, ...],
    since: int | None,
    topics: tuple[str, ...],
    reason: str | None,
    wait: int,
    output: Output,
) -> None:
    """Run failed runs again, paused or not, each with the payload that it had.

    A letter that was retried already is not run twice.
    """
    if not runs and not names:
        raise click.UsageError("say which runs: RUN…, or --all NAME for every letter of a job")
    if since is not None and not names:
        raise click.UsageError("--since goes with --all")
    named, every, start = [_firing(run) for run in runs], matches(names), _start(invocation, since) or 0
    asked = dict.fromkeys(about.run for about in named)
    with invocation.client() as client:
        box = _box_of(client, [*names, *(about.job for about in named)], topics)
        found = newest(box.letters)
        chosen = [
            one for one in found.values() if one.run in asked or (every.name_matches(one.job) and one.at >= start)
        ]
        done = retry_all(client, chosen, box, reason=reason, wait=wait)
    absent = [run for run in asked if run not in found]
    for run in absent:
        note(_absent(run, box))
    for name in dict.fromkeys(names):
        if not any(matches([name]).name_matches(letter.job) for letter in chosen):
            note(f"there is no dead letter of job {name} to retry")
    report_retries(done, output, wait=wait, absent=bool(absent))


def _start(invocation: Invocation, since: int | None) -> int | None:
    return None if since is None else max(0, invocation.clock.wall() - since)


def _firing(text: str) -> Firing:
    """The run, or a firing of it, that somebody names."""
    found = read_firing(text)
    if found is None:
        raise InvalidSpecError(f"{text!r:.80} is no run, such as invoices@2026-11-23T09:00:00Z or invoices!ID")
    return found


def _box_of(client: Client, names: Sequence[str], topics: Sequence[str]) -> LetterBox:
    """The letters of these jobs."""
    box = client.letter_box(list(dict.fromkeys(names)), topics, None)
    _tell_troubles(box)
    return box


def _absent(run: str, box: LetterBox) -> str:
    return f"there is no dead letter of run {run} in {', '.join(box.topics)}; `kadence dlq list` shows what there is"


def _tell_troubles(box: LetterBox) -> None:
    for trouble in box.troubles:
        note(trouble)
    for topic, number in box.strangers.items():
        note(f"left out {counted(number, 'record')} of {topic}: not about a run")


def _row(letter: Letter) -> tuple[str, ...]:
    attempts = "-" if letter.attempts is None else str(letter.attempts)
    at = time_text(letter.failed_at or letter.at) or "-"
    return (letter.run, letter.status, attempts, at, letter.topic, letter.error.line)


def _described(letter: Letter, namespace: str) -> list[tuple[str, str]]:
    error = letter.error
    return [
        ("run", letter.run),
        ("job", letter.job),
        ("status", letter.status),
        ("attempts", "" if letter.attempts is None else str(letter.attempts)),
        ("failed at", time_text(letter.failed_at or letter.at) or ""),
        ("letter", f"{letter.topic}[{letter.partition}] at offset {letter.offset}"),
        ("execution", letter.source or ""),
        ("error", ": ".join(part for part in (error.type, error.message) if part)),
        ("key", "" if letter.key is None else letter.key.decode("utf-8", "replace")),
        ("headers", "\n".join(f"{name}: {_text(value)}" for name, value in letter.headers if not _is_long(name))),
        ("payload", _payload(letter)),
        ("stacktrace", error.traceback),
        ("retry with", f"kadence dlq retry{namespace_option(namespace)} '{letter.run}'"),
    ]


def _is_long(header: str) -> bool:
    """Shown by itself, and over many lines."""
    return header.endswith((".stacktrace", ".exception.message"))


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"{len(value)} bytes, {value!r}"


def _payload(letter: Letter) -> str:
    found = letter_detail(letter)
    if "payload" in found:
        return json.dumps(found["payload"], indent=2, ensure_ascii=False)
    return str(found.get("payload_text") or f"base64: {found.get('payload_base64', '')}")
