"""One execution as an executor reads it from the log (contract, "Executions")."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from kadence.domain.duration import format_time, parse_time
from kadence.domain.firing import Firing, firing_id, read_firing
from kadence.domain.names import job_name
from kadence.handlers.specs import APP_HEADER
from kadence.wire.execution import TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kadence.log.port import Record

_TYPE: Final = TYPE.encode()


class Execution(NamedTuple):
    """What a record of the executions topic asks for, and where it stands. Times in ms since the epoch.

    ``app`` is None where the job is no handler's; ``group`` is empty for the namespace's own. ``timestamp`` is broker
    time. ``headers`` are all of the record's.
    """

    firing: Firing
    due: int
    attempt: int
    cause: str
    expires: int | None
    app: str | None
    group: str
    headers: Mapping[str, bytes]
    value: bytes | None
    partition: int
    offset: int
    timestamp: int

    @property
    def id(self) -> str:
        """The ``ce_id``, which names this firing of the run."""
        return firing_id(self.firing.run, self.firing.n)


def read_execution(record: Record) -> Execution | None:
    """The execution in a record; None where there is none that kadence wrote. Total."""
    headers = dict(record.headers)
    try:
        if headers["ce_type"] != _TYPE:
            return None
        id_, subject, time = headers["ce_id"], headers["ce_subject"], headers["ce_time"]
        job, due = _job(subject), _instant(time)
        # Most are the first firing of a due time of the schedule, which need not be taken to pieces.
        plain = id_ == b"%b@%b" % (subject, time)
        firing = Firing(id_.decode(), job, due, None, 1) if plain else read_firing(id_.decode())
        if firing is None or firing.job != job:
            return None
        attempt, expires = headers.get("ce_attempt"), headers.get("ce_expirytime")
        cause, mark = headers.get("ce_cause"), headers.get(APP_HEADER)
        app, group = (None, "") if mark is None else _app(mark)
        return Execution(
            firing,
            due,
            1 if attempt is None else int(attempt),
            "schedule" if cause is None else cause.decode(),
            None if expires is None else parse_time(expires.decode()),
            app,
            group,
            headers,
            record.value,
            record.partition,
            record.offset,
            record.timestamp,
        )
    except (KeyError, ValueError):  # UnicodeDecodeError is one, too
        return None


# The records of a burst have these in common. What raises is not kept.


@lru_cache(maxsize=4096)
def _job(text: bytes) -> str:
    return job_name(text.decode())


@lru_cache(maxsize=4096)
def _instant(text: bytes) -> int:
    """A time in the one spelling that kadence writes."""
    found = parse_time(text.decode())
    if format_time(found).encode() != text:
        raise ValueError("another spelling")
    return found


@lru_cache(maxsize=64)
def _app(text: bytes) -> tuple[str, str]:
    app, _, group = text.decode().partition("@")
    return app, group
