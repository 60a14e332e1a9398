"""State records: what a shard applied and how far it is. Written by the shard's owner, read by it and by views.

Times are RFC 3339 text, so that a person with a console consumer can read them. Decoding raises nothing: a state
record that cannot be read is a bug, a stranger's or a newer version's, and the caller is told so by a `Rejected`.
"""

from kadence.wire.state.cursor import (
    BARRIER,
    CURSOR,
    CursorRecord,
    barrier_nonce,
    decode_cursor,
    encode_barrier,
    encode_cursor,
)
from kadence.wire.state.holds import decode_hold, encode_hold
from kadence.wire.state.jobs import JobRecord, decode_job, encode_job
from kadence.wire.state.runs import decode_run, encode_run

__all__ = [
    "BARRIER",
    "CURSOR",
    "CursorRecord",
    "JobRecord",
    "barrier_nonce",
    "decode_cursor",
    "decode_hold",
    "decode_job",
    "decode_run",
    "encode_barrier",
    "encode_cursor",
    "encode_hold",
    "encode_job",
    "encode_run",
]
