"""Dead letters: executions whose runs failed for good, with the reason in their headers. Pure.

The names of the headers are Kafka Connect's (KIP-298), so that what people have for its dead letters reads these, and
what Connect puts aside of our executions is a letter here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kadence.domain.duration import parse_time
from kadence.domain.firing import read_firing, run_id
from kadence.domain.partition import murmur2
from kadence.domain.stimulus import Failure
from kadence.wire import letter as wire

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kadence.log.port import Record
    from kadence.view.model import JobView

_MANY_DIGITS: Final = 9
_MAX_WORD: Final = 40


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter: the execution as it was last fired, why its run failed, and where the letter lies.

    ``at`` is its broker time, ``failed_at`` what its writer says (ms). ``source``: the topic the execution went to.
    ``error.traceback`` is the whole stack trace.
    """

    topic: str
    partition: int
    offset: int
    at: int
    run: str
    job: str
    status: str
    error: Failure
    attempts: int | None = None
    failed_at: int | None = None
    source: str | None = None
    key: bytes | None = None
    value: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def retry_id(self) -> str:
        """The id of the trigger that runs it again: its place, so that one letter is not run again twice."""
        return f"dlq-{murmur2(self.topic.encode()) & 0xFFFFFFFF:08x}-{self.partition}-{self.offset}"

    @property
    def retry_run(self) -> str:
        """The run that a retry makes."""
        return run_id(self.job, 0, self.retry_id)


def read_letter(record: Record) -> Letter | None:
    """The letter in a record; None where it tells of no failed run of kadence's."""
    found = {name: value.decode("utf-8", "replace") for name, value in record.headers}
    named = found.get(wire.RUN) or (found.get("ce_id") if wire.CLASS in found else None)
    about = None if named is None else read_firing(named)
    if about is None:
        return None
    return Letter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        at=record.timestamp,
        run=about.run,
        job=about.job,
        status=found.get(wire.STATUS, "failed")[:_MAX_WORD],
        error=Failure(found.get(wire.CLASS, ""), found.get(wire.MESSAGE, ""), found.get(wire.STACKTRACE, "")),
        attempts=_number(found.get(wire.ATTEMPTS) or found.get("ce_attempt", "")),
        failed_at=_time(found.get(wire.AT)),
        source=found.get(wire.TOPIC),
        key=record.key,
        value=record.value,
        headers=record.headers,
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MANY_DIGITS else None


def _time(text: str | None) -> int | None:
    try:
        return None if text is None else parse_time(text)
    except ValueError:
        return None


def topics_of(jobs: Iterable[JobView]) -> set[str]:
    """The topics that jobs name for their dead letters."""
    specs = (job.spec for job in jobs if job.spec is not None)
    return {spec.dead_letters.topic for spec in specs if spec.dead_letters.topic is not None}


def newest(letters: Iterable[Letter]) -> dict[str, Letter]:
    """The newest letter of each run: one may be there twice."""
    return {letter.run: letter for letter in sorted(letters, key=lambda one: one.at)}
