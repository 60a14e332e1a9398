"""Strict JSON (RFC 8259), so that all workers agree on what a record says.

Beyond the grammar: UTF-8 only, no NaN or infinity, no duplicate names in an object, no lone surrogates, nesting of
at most 16 and at most 256 KiB. These limits are part of the contract.
"""

from __future__ import annotations

import json
from collections import Counter
from math import isinf
from typing import Final, NoReturn

from kadence.domain.fields import InvalidError

MAX_VALUE: Final = 256 * 1024
MAX_NESTING: Final = 16


def loads(data: bytes, *, own: bool = False) -> object:
    """The JSON value in ``data``. Raises `InvalidError` with one sentence.

    ``own``: a record of a worker's, which wraps what others wrote, a whole spec say, and so may be larger and deeper.
    """
    if len(data) > MAX_VALUE and not own:
        msg = f"the value has {len(data)} bytes; the most is {MAX_VALUE}"
        raise InvalidError(msg)
    try:
        value = json.loads(data.decode(), object_pairs_hook=_pairs, parse_constant=_constant)
    except UnicodeDecodeError as error:
        msg = f"the value is not UTF-8 (byte {error.start})"
        raise InvalidError(msg) from None
    except RecursionError:
        raise InvalidError(_TOO_DEEP) from None
    except json.JSONDecodeError as error:
        msg = f"the value is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        raise InvalidError(msg) from None
    except ValueError as error:
        msg = f"the value is not JSON: {error}"
        raise InvalidError(msg) from None
    _check(value, escaped=b"\\u" in data, nesting=MAX_NESTING + _WRAPPED if own else MAX_NESTING)
    return value


_WRAPPED: Final = 4
"""How much deeper a worker's own record is than what it wraps."""
_TOO_DEEP: Final = f"the value nests deeper than {MAX_NESTING}"


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        [(twice, _), *_] = Counter(name for name, _ in pairs).most_common(1)
        msg = f"the name {twice[:64]!r} stands twice in one object"
        raise InvalidError(msg)
    return found


def _constant(name: str) -> NoReturn:
    msg = f"{name} is no JSON number"
    raise InvalidError(msg)


def _check(value: object, *, escaped: bool, nesting: int) -> None:
    """Depth, infinities (1e999 parses as one), and where an escape was used, lone surrogates."""
    layer, depth = [value], 0
    while layer:
        below: list[object] = []
        for item in layer:
            match item:
                case dict():
                    below.extend(item.values())
                    if escaped:
                        below.extend(item.keys())
                case list():
                    below.extend(item)
                case float() if isinf(item):
                    msg = "a number is too large"
                    raise InvalidError(msg)
                case str() if escaped and any("\ud800" <= char <= "\udfff" for char in item):
                    msg = "a string holds half a surrogate pair"
                    raise InvalidError(msg)
        depth += any(isinstance(item, (dict, list)) for item in layer)
        if depth > nesting:
            raise InvalidError(_TOO_DEEP)
        layer = below
