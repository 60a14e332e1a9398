from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadence.domain.fields import InvalidError
from kadence.wire.strict import MAX_NESTING, MAX_VALUE, loads

REFUSED: list[tuple[bytes, str]] = [
    (b"", "not JSON"),
    (b"{", "not JSON"),
    (b"{'a': 1}", "not JSON"),
    (b'{"a": 1,}', "not JSON"),
    (b"1 2", "not JSON"),
    (b"01", "not JSON"),
    (b"\xff", "not UTF-8"),
    ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
    ('{"a": 1}'.encode("utf-16-le"), "not JSON"),
    (b"\xef\xbb\xbf{}", "not JSON"),
    (b'"\xed\xa0\x80"', "not UTF-8"),
    (b'{"a": 1, "a": 1}', "'a' stands twice"),
    (b'[{"x": {"a": 1, "b": 2, "a": 3}}]', "'a' stands twice"),
    (b'{"a": 1, "\\u0061": 2}', "'a' stands twice"),
    (b"NaN", "NaN is no JSON number"),
    (b"[-Infinity]", "-Infinity is no JSON number"),
    (b"1e999", "too large"),
    (b'{"a": [-1e999]}', "too large"),
    (b"9" * 5000, "not JSON"),
    (b'"\\ud800"', "half a surrogate"),
    (b'{"\\udfff": 1}', "half a surrogate"),
    (b'["\\ud83d", "\\ude00"]', "half a surrogate"),
    (b"[" * 17 + b"]" * 17, "deeper than 16"),
    (b'{"a":' * 17 + b"1" + b"}" * 17, "deeper than 16"),
    (b"[" * 100_000, "deeper than 16"),
    (b'{"a":' * 40_000, "deeper than 16"),
    (b'"' + b"x" * MAX_VALUE + b'"', f"the most is {MAX_VALUE}"),
    (b'"\x01"', "not JSON"),
]
READ: list[tuple[bytes, object]] = [
    (b"null", None),
    (b' {"a": [1, 2.5, "\\u00e4", true]} ', {"a": [1, 2.5, "ä", True]}),
    (b'"\\ud83d\\ude00"', "😀"),
    ('"😀\\n"'.encode(), "😀\n"),
    (b"[" * 16 + b"]" * 16, [[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]),
    (b'"' + b"x" * (MAX_VALUE - 2) + b'"', "x" * (MAX_VALUE - 2)),
    (b"1e308", 1e308),
    (b"-0", 0),
]


@pytest.mark.parametrize(("data", "why"), REFUSED)
def test_what_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(InvalidError, match=why):
        loads(data)


@pytest.mark.parametrize(("data", "value"), READ)
def test_what_is_read(data: bytes, value: object) -> None:
    assert loads(data) == value


@given(st.binary())
def test_any_bytes_are_a_value_or_one_error(data: bytes) -> None:
    try:
        value = loads(data)
    except InvalidError:
        return
    assert value == json.loads(data.decode())


@given(st.text(st.sampled_from('{}[]",:\\ud8dc01eE+-. \n'), max_size=30))
def test_any_text_made_of_json_is_a_value_or_one_error(text: str) -> None:
    try:
        value = loads(text.encode())
    except InvalidError:
        return
    assert not (isinstance(value, float) and math.isinf(value))


@given(st.integers(1, 40), st.booleans())
def test_the_depth_is_counted_over_lists_and_objects(depth: int, objects: bool) -> None:  # noqa: FBT001  drawn
    pair = ('{"a":', "}") if objects else ("[", "]")
    text = pair[0] * depth + "1" + pair[1] * depth
    if depth > MAX_NESTING:
        with pytest.raises(InvalidError):
            loads(text.encode())
    else:
        assert loads(text.encode()) == json.loads(text)
