"""Cursors and barriers: how far a shard is, and the marks of its takeovers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from kadence.domain.book import Cursor
from kadence.domain.duration import format_time, parse_time
from kadence.domain.fields import InvalidError
from kadence.domain.spec import compact_json
from kadence.domain.stimulus import Rejected
from kadence.wire import control, strict
from kadence.wire.state.parts import explained, offset, optional_text, read_list, read_object, text, whole

CURSOR: Final = b"cursor"
BARRIER: Final = b"barrier"


@dataclass(frozen=True, slots=True)
class CursorRecord:
    """A cursor as it stands in the log. ``rejected``: (offset, error) of records refused in its transaction."""

    through: int
    after: str | None
    control: int
    control_topic_id: str
    outcomes: int
    worker: str
    tzdata: str
    rejected: tuple[tuple[int, str], ...] = field(default=())

    def cursor(self) -> Cursor:
        """The part of it that the fold goes on from."""
        return Cursor(self.through, self.after, self.control, self.outcomes)


def encode_cursor(record: CursorRecord) -> bytes:
    """The value under the key ``cursor``."""
    return compact_json(
        {
            "through": format_time(record.through),
            "after": record.after,
            "control": record.control,
            "control_topic_id": record.control_topic_id,
            "outcomes": record.outcomes,
            "worker": record.worker,
            "tzdata": record.tzdata,
            "rejected": [{"offset": at, "error": error} for at, error in record.rejected],
        }
    )


def decode_cursor(value: bytes) -> CursorRecord | Rejected:
    """The cursor in a record."""
    try:
        found = read_object(strict.loads(value, own=True))
        rejected = [read_object(item) for item in read_list(found.get("rejected"))]
        return CursorRecord(
            through=parse_time(found["through"]),
            after=optional_text(found.get("after")),
            control=offset(found["control"]),
            control_topic_id=text(found["control_topic_id"]),
            outcomes=offset(found["outcomes"]),
            worker=text(found["worker"]),
            tzdata=text(found["tzdata"]),
            rejected=tuple((whole(item["offset"]), text(item["error"])) for item in rejected),
        )
    except (ValueError, KeyError) as error:
        return Rejected(f"cursor record: {explained(error)}", value[: control.EXCERPT])


def encode_barrier(worker: str, nonce: str) -> bytes:
    """The value under the key ``barrier``, and of ``barrier/<p>`` on the control topic."""
    return compact_json({"worker": worker, "nonce": nonce})


def barrier_nonce(value: bytes | None) -> str | None:
    """The nonce of a barrier record; None for anything else."""
    try:
        found = strict.loads(value or b"null")
    except InvalidError:
        return None
    nonce = found.get("nonce") if isinstance(found, dict) else None
    return nonce if isinstance(nonce, str) else None
