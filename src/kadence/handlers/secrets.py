"""Taking secrets out of texts that leave the process: an error's message, a traceback."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

MASKED: Final = "***"
_SHORTEST: Final = 4
"""Characters of a value that is looked for as it is; a shorter one would take half of every text with it."""
_SHORTEST_LINE: Final = 16
"""The same of one line of a value that has several: members of an exception group are indented line by line."""

_NAME: Final = (
    r"(?:password|passwd|passphrase|pwd|secret|token|credentials?|(?:api|access|private|secret|signing|account)[_-]?key)"
    r"(?:[_-]?(?:key|value|text))?"
)
_VALUE: Final = r"""b?"(?:[^"\\\n]|\\.)*"|b?'(?:[^'\\\n]|\\.)*'|[^\s,;&()\[\]{}"']+|["']\S+"""
_RULES: Final = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"), MASKED),
    # What is between the colon and the last @ of an address, as in postgresql://app:secret@db/billing.
    (re.compile(r"(://[^\s:/@]*:)[^\s/]+(?=@)"), rf"\1{MASKED}"),
    (re.compile(r"((?:proxy-)?authorization[\"']?\s*[:=,]\s*(?:b?[\"'])?)[^\r\n\"']+", re.IGNORECASE), rf"\1{MASKED}"),
    (re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {MASKED}"),
    # password=…, "api_key": "…", SECRET_TOKEN: …
    (re.compile(rf"(?<![\w.-])([\w.-]*{_NAME}[\"']?\s*[=:]\s*)(?:{_VALUE})", re.IGNORECASE), rf"\1{MASKED}"),
    # pydantic says what it was given; that may be anything.
    (re.compile(r"\[type=([\w.]+), input_value=(?:.*|[\s\S]{0,500}?), input_type=[^\]\n]*\]"), r"[type=\1]"),
)


class Mask:
    """Replaces secrets in a text by ``***``: values that are known, and what looks like one by its surroundings."""

    def __init__(self, secret_values: Iterable[str] = ()) -> None:
        """``secret_values``: as `kadence.settings.secret_values` gives them; those under 4 characters are left out."""
        spelt = {spelling for value in secret_values for spelling in _spellings(value) if len(spelling) >= _SHORTEST}
        longest_first = sorted(spelt, key=lambda one: (-len(one), one))
        self._known = re.compile("|".join(re.escape(one) for one in longest_first)) if spelt else None

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        if self._known is not None:
            text = self._known.sub(MASKED, text)
        for pattern, instead in _RULES:
            text = pattern.sub(instead, text)
        return text


def _spellings(value: str) -> set[str]:
    """A value as it stands in texts: plain, within quotes of Python or JSON, within an address."""
    lines = value.splitlines()
    long_lines = {line for line in lines if len(line) >= _SHORTEST_LINE} if len(lines) > 1 else set[str]()
    return {value, repr(value)[1:-1], json.dumps(value)[1:-1], quote(value, safe=""), *long_lines}
