"""What stood on the control topic before a record was written, for what no shard has ever had in force.

A definition or a hold that was rejected is in no state record, yet whoever takes it away should be told that it was
there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kadence.log.topics import CONTROL
from kadence.view.reading import Deadline, read_through

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kadence.clock import Clock
    from kadence.log.port import Log


def stood_before(log: Log, namespace: str, keys: Mapping[bytes, int], timeout: float, clock: Clock) -> set[bytes]:
    """Those keys under which a value, and no tombstone, stood below the offset given for each.

    Reads the whole control topic. Raises `UnreachableError`.
    """
    deadline = Deadline(clock, timeout)
    topic = f"{namespace}.{CONTROL.suffix}"
    stood: set[bytes] = set()
    reader = log.reader()
    try:
        for record in read_through(reader, topic, [0], deadline):
            key = record.key or b""
            if record.offset < keys.get(key, 0):
                (stood.discard if record.value is None else stood.add)(key)
    finally:
        reader.close()
    return stood
