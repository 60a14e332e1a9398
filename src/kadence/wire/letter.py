"""Dead letters: executions of runs whose attempts are spent, with what went wrong in further headers.

Where Kafka Connect has a name for it, that is taken (KIP-298, ``errors.deadletterqueue.context.headers.enable``), so
that tools which read its dead letters read these, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kadence.domain.duration import format_time
from kadence.domain.firing import run_id
from kadence.wire.execution import ANY_PARTITION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kadence.domain.decision import DeadLetter
    from kadence.wire.execution import Encoder

TOPIC: Final = "__connect.errors.topic"
CLASS: Final = "__connect.errors.exception.class.name"
MESSAGE: Final = "__connect.errors.exception.message"
STACKTRACE: Final = "__connect.errors.exception.stacktrace"
RUN: Final = "kadence.errors.run"
STATUS: Final = "kadence.errors.status"
ATTEMPTS: Final = "kadence.errors.attempts"
AT: Final = "kadence.errors.at"


def encode(
    letter: DeadLetter, encoder: Encoder, now: int, own: tuple[str, int]
) -> tuple[str, int, bytes, bytes, Sequence[tuple[str, bytes]]]:
    """(topic, partition, key, value, headers) of a dead letter decided at ``now`` (ms).

    ``own``: the namespace's topic for them and the shard's partition in it; elsewhere the key decides.
    """
    fire, error = letter.fire, letter.error
    topic, _, key, value, headers = encoder.encode(fire, now)
    added = {
        TOPIC: topic,
        CLASS: error.type,
        MESSAGE: error.message,
        STACKTRACE: error.traceback,
        RUN: run_id(fire.name, fire.time, fire.command),
        STATUS: letter.status,
        ATTEMPTS: str(fire.attempt),
        AT: format_time(letter.at),
    }
    told = [*headers, *((name, text.encode()) for name, text in added.items() if text)]
    return letter.topic, own[1] if letter.topic == own[0] else ANY_PARTITION, key, value, told
