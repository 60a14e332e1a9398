"""State records of runs: those that are under way, or were over less than an hour ago."""

from __future__ import annotations

from kadence.domain.duration import parse_time
from kadence.domain.fields import integer
from kadence.domain.firing import MOST_FIRINGS
from kadence.domain.run import Run, RunStatus, Skipped
from kadence.domain.spec import compact_json
from kadence.domain.stimulus import Rejected
from kadence.wire import control, strict
from kadence.wire.state.parts import (
    Document,
    explained,
    optional_instant,
    optional_text,
    present,
    read_object,
    text,
    written,
)

_count = integer(1, 2**53)
_firings = integer(1, MOST_FIRINGS)


def encode_run(run: Run) -> bytes:
    """The state record of a run. The payload that a trigger brought is in it as it was written: JSON."""
    return compact_json(
        present(
            {
                "status": run.status,
                "n": run.n,
                "attempt": run.attempt,
                "cause": run.cause,
                "time": written(run.time),
                "fired": written(run.fired),
                "started": written(run.started),
                "expires": written(run.expires),
                "next_at": written(run.next_at),
                "settled_at": written(run.settled_at),
                "error": run.error,
                "skipped": None if run.skipped is None else _skipped_document(run.skipped),
                "payload": None if run.payload is None else {"json": strict.loads(run.payload, own=True)},
            }
        )
    )


def _skipped_document(skipped: Skipped) -> Document:
    return {"count": skipped.count, "first": written(skipped.first), "last": written(skipped.last)}


def decode_run(id_: str, value: bytes) -> Run | Rejected:
    """The run that a state record describes; ``id_`` is what follows ``run/`` in its key."""
    try:
        found = read_object(strict.loads(value, own=True))
        skipped, payload = found.get("skipped"), found.get("payload")
        return Run(
            id=id_,
            time=parse_time(found["time"]),
            cause=text(found["cause"]),
            fired=parse_time(found["fired"]),
            n=_firings(found["n"]),
            attempt=_firings(found["attempt"]),
            status=RunStatus(text(found["status"])),
            started=optional_instant(found.get("started")),
            expires=optional_instant(found.get("expires")),
            next_at=optional_instant(found.get("next_at")),
            settled_at=optional_instant(found.get("settled_at")),
            error=optional_text(found.get("error")),
            payload=None if payload is None else compact_json(read_object(payload)["json"]),
            skipped=None if skipped is None else _read_skipped(read_object(skipped)),
        )
    except (ValueError, KeyError) as error:
        return Rejected(f"state record run/{id_[:300]}: {explained(error)}", value[: control.EXCERPT])


def _read_skipped(found: Document) -> Skipped:
    return Skipped(_count(found["count"]), parse_time(found["first"]), parse_time(found["last"]))
