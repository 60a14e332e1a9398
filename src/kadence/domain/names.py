"""Names, ids and tags, as the contract spells them."""

from __future__ import annotations

import re
from typing import Final

from kadence.domain.fields import InvalidError, kind_of

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", re.ASCII)
ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
TAG: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/=-]{0,99}", re.ASCII)
TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}", re.ASCII)
"""Kafka's own rule for topic names (org.apache.kafka.common.internals.Topic)."""
PROBE_PREFIX: Final = "probe-"
"""Ids of one-off commands do not start with this: it names the breaker's own runs."""


def _matching(pattern: re.Pattern[str], value: object, what: str, rule: str) -> str:
    if not isinstance(value, str):
        msg = f"{what} must be a string, not {kind_of(value)}"
        raise InvalidError(msg)
    if not pattern.fullmatch(value):
        msg = f"{value[:64]!r} is no {what}: {rule}"
        raise InvalidError(msg)
    return value


def job_name(value: object) -> str:
    """A job's or hold's name."""
    return _matching(NAME, value, "name", "letters, digits, '.', '_' and '-', a letter or digit first, at most 200")


def tag(value: object) -> str:
    """A tag."""
    return _matching(TAG, value, "tag", "letters, digits and '._:/=-', a letter or digit first, at most 100")


def command_id(value: object) -> str:
    """The id of a one-off command."""
    found = _matching(ID, value, "id", "letters, digits, '_' and '-', at most 64")
    if found.startswith(PROBE_PREFIX):
        msg = f"{found[:64]!r} is no id: ids that start with 'probe-' are the breaker's own"
        raise InvalidError(msg)
    return found


def topic_name(value: object) -> str:
    """The name of a topic that a job may write to, as far as the name itself can tell."""
    found = _matching(TOPIC, value, "topic name", "letters, digits, '.', '_' and '-', at most 249")
    if found in {".", ".."} or found.startswith("__"):
        msg = f"{found!r} is a topic that no job may write to"
        raise InvalidError(msg)
    return found
