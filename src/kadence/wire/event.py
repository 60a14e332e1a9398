"""Event records, for audit and alerting: CloudEvents 1.0 over Kafka, binary mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kadence.domain.duration import format_time
from kadence.domain.spec import compact_json

if TYPE_CHECKING:
    from kadence.domain.decision import Happening


def encode(happening: Happening, namespace: str, now: int, id_: str) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    """(key, value, headers) of an event decided at ``now``; ``id_`` is unique in the namespace."""
    state = {"before": happening.before, "after": happening.after}
    body = {
        "state": {name: item for name, item in state.items() if item is not None} or None,
        "reason": happening.reason,
        "by": happening.by,
        "control_offset": happening.offset,
        **happening.detail,
    }
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_type", f"kadence.{happening.kind}.v1".encode()),
        ("ce_source", f"/kadence/{namespace}".encode()),
        ("content-type", b"application/json"),
        ("ce_id", id_.encode()),
        ("ce_subject", happening.name.encode()),
        ("ce_time", format_time(now).encode()),
    ]
    value = compact_json({name: item for name, item in body.items() if item is not None})
    return happening.name.encode(), value, headers
