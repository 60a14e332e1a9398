"""Dead letters as JSON documents. Times are RFC 3339, UTC; bytes that are no text are base64."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from kadence.domain.fields import InvalidError
from kadence.view.documents import time_text
from kadence.wire import strict

if TYPE_CHECKING:
    from kadence.view.documents import Document
    from kadence.view.letters import Letter


def letter_document(letter: Letter) -> Document:
    """A letter as it is listed."""
    return {
        "run": letter.run,
        "job": letter.job,
        "status": letter.status,
        "attempts": letter.attempts,
        "at": time_text(letter.failed_at or letter.at),
        "error": letter.error.line or None,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
    }


def letter_detail(letter: Letter) -> Document:
    """A letter with everything that is in it."""
    return {
        **letter_document(letter),
        "error": {"type": letter.error.type, "message": letter.error.message},
        "stacktrace": letter.error.traceback,
        "execution_topic": letter.source,
        "key": None if letter.key is None else letter.key.decode("utf-8", "replace"),
        "headers": [{"name": name, **bytes_document("value", value)} for name, value in letter.headers],
        **_payload(letter.value),
        "retry": letter.retry_run,
    }


def _payload(value: bytes | None) -> Document:
    """The payload in the field in which a job would give it."""
    try:
        return {"payload": strict.loads(value or b"")}
    except InvalidError:
        found = bytes_document("payload", value or b"")
        return {"payload_text" if name == "payload" else name: content for name, content in found.items()}


def bytes_document(name: str, value: bytes) -> Document:
    """Bytes as text, or else as base64 under ``<name>_base64``."""
    try:
        return {name: value.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(value).decode()}
