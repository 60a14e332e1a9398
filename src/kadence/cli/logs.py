"""How a worker's log looks: lines for people, or one JSON object a line for machines. Always on stderr."""

from __future__ import annotations

import json
import logging
from typing import Final

from typing_extensions import override

from kadence.domain.duration import format_time

_TEXT: Final = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class TextLines(logging.Formatter):
    """A line for people, with the time as it stands everywhere else (RFC 3339, UTC)."""

    def __init__(self) -> None:
        """One form."""
        super().__init__(_TEXT)

    @override
    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return format_time(int(record.created * 1000))


class JsonLines(logging.Formatter):
    """One JSON object a record: time (RFC 3339, UTC), level, logger, message, and the traceback if there is one."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        found = {
            "time": format_time(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            found["traceback"] = self.formatException(record.exc_info)
        return json.dumps(found, ensure_ascii=False)


def set_up_logging(level: str, form: str) -> None:
    """Log this process's records to stderr at ``level`` (debug, info, warning, error), as ``form`` (text, json)."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
