"""State records of holds, as one shard applied them."""

from __future__ import annotations

from kadence.domain.fields import boolean
from kadence.domain.holds import parse_hold
from kadence.domain.job import AppliedHold
from kadence.domain.spec import compact_json
from kadence.domain.stimulus import Rejected
from kadence.wire import control, strict
from kadence.wire.state.parts import explained, instant, optional_text, present, read_object, whole, written

_OWN = ("offset", "from", "at", "started", "ended", "by", "reason")


def encode_hold(applied: AppliedHold) -> bytes:
    """The state record of a hold, as applied by this shard."""
    return compact_json(
        present(
            {
                **applied.hold.document(),
                "offset": applied.offset,
                "from": written(applied.since),
                "at": written(applied.at),
                "started": applied.started,
                "ended": applied.ended,
                "by": applied.by,
                "reason": applied.reason,
            }
        )
    )


def decode_hold(name: str, value: bytes) -> AppliedHold | Rejected:
    """The hold that a state record describes."""
    try:
        found = read_object(strict.loads(value, own=True))
        own = {field: found.pop(field) for field in _OWN if field in found}
        return AppliedHold(
            name=name,
            hold=parse_hold(found),
            offset=whole(own["offset"]),
            since=instant(own["from"]),
            at=instant(own["at"]),
            started=boolean(own["started"]),
            ended=boolean(own["ended"]),
            by=optional_text(own.get("by")),
            reason=optional_text(own.get("reason")),
        )
    except (ValueError, KeyError) as error:
        return Rejected(f"state record hold/{name[:200]}: {explained(error)}", value[: control.EXCERPT])
