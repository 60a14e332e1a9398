"""Retrying dead letters: what becomes of each, told one line each, and the exit code that follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import click

from kadence.cli.output import note, print_json
from kadence.cli.report import NOT_CONFIRMED, NOT_FOUND, REJECTED
from kadence.client.retrying import done_before
from kadence.errors import InvalidSpecError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kadence.cli.values import Output
    from kadence.client import Client, Command
    from kadence.view.letterbox import LetterBox
    from kadence.view.letters import Letter

Fate = Literal["in_force", "recorded", "rejected", "already", "job_gone", "not_sendable"]
_INVALID: Final = 2
_CODES: Final[tuple[tuple[Fate, int], ...]] = (
    ("rejected", REJECTED),
    ("recorded", NOT_CONFIRMED),
    ("job_gone", NOT_FOUND),
    ("not_sendable", _INVALID),
)


@dataclass(frozen=True, slots=True)
class Retry:
    """A letter and what became of it; ``error`` says why nothing did."""

    letter: Letter
    fate: Fate
    error: str | None = None

    def document(self) -> dict[str, object]:
        """As JSON."""
        letter = self.letter
        return {
            "run": letter.run,
            "job": letter.job,
            "topic": letter.topic,
            "partition": letter.partition,
            "offset": letter.offset,
            "retry": letter.retry_run,
            "fate": self.fate,
            "error": self.error,
        }

    def tell(self, *, waited: bool) -> None:
        """As a line."""
        run, again = self.letter.run, self.letter.retry_run
        match self.fate:
            case "in_force":
                click.echo(f"retried {run}: as {again}")
            case "recorded":
                click.echo(f"retried {run}: as {again}, {'once a worker runs' if waited else 'not waited for'}")
            case "already":
                click.echo(f"retried {run}: already, as {again}{self.error or ''}")
            case "rejected":
                note(f"the retry of {run} was rejected: {self.error}")
            case "job_gone" | "not_sendable":
                note(str(self.error))


def retry_all(
    client: Client, letters: Sequence[Letter], box: LetterBox, *, reason: str | None, wait: int
) -> list[Retry]:
    """Write the trigger of each letter that can be retried, all at once, and say what became of each letter."""
    failed_again = {letter.run for letter in box.letters}
    done: dict[Letter, Retry] = {}
    wanted: list[tuple[Letter, Command]] = []
    for letter in letters:
        job = box.jobs.get(letter.job)
        if letter.retry_run in failed_again:
            done[letter] = Retry(letter, "already", ", which failed, too: retry that one")
        elif job is None:
            error = f"run {letter.run} cannot be retried: its job {letter.job} is gone; apply it again first"
            done[letter] = Retry(letter, "job_gone", error)
        else:
            try:
                wanted.append((letter, client.retrying(letter, job, reason=reason)))
            except InvalidSpecError as error:
                done[letter] = Retry(letter, "not_sendable", str(error))
    written = client.submit([command for _, command in wanted], wait=wait / 1000)
    for (letter, _), one in zip(wanted, written, strict=True):
        before = done_before(one)
        done[letter] = Retry(letter, "already" if before else one.fate, None if before else one.error)
    return [done[letter] for letter in letters]


def report_retries(retries: Sequence[Retry], output: Output, *, wait: int, absent: bool) -> None:
    """Say what became of each and leave with the exit code. ``absent``: of some runs there was no letter."""
    if output == "json":
        print_json([one.document() for one in retries])
    else:
        for one in retries:
            one.tell(waited=wait > 0)
    fates = {one.fate for one in retries} | ({"job_gone"} if absent else set())
    if wait <= 0:
        fates.discard("recorded")
    code = next((code for fate, code in _CODES if fate in fates), 0)
    if code:
        raise click.exceptions.Exit(code)
