from __future__ import annotations

import fnmatch
import re
import string
import time  # a stopwatch for one pathological glob; the domain itself reads no clock
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadence.domain.fields import InvalidError
from kadence.domain.holds import Hold, glob_expression, parse_selector

JOBS = {"a": ("x",), "ab": (), "b": ("x", "y"), "nightly-1": ("y",), "nightly-22": ()}
SELECTORS: list[tuple[dict[str, object], set[str]]] = [
    ({"all": True}, set(JOBS)),
    ({"names": ["a"]}, {"a"}),
    ({"names": ["a*"]}, {"a", "ab"}),
    ({"names": ["?"]}, {"a", "b"}),
    ({"names": ["[!a]"]}, {"b"}),
    ({"names": ["[^a]"]}, {"b"}),
    ({"names": ["nightly-[0-9]"]}, {"nightly-1"}),
    ({"names": ["nightly-*", "b"]}, {"nightly-1", "nightly-22", "b"}),
    ({"tags": ["x"]}, {"a", "b"}),
    ({"tags": ["x", "y"]}, {"a", "b", "nightly-1"}),
    ({"names": ["b", "nightly-*"], "tags": ["y"]}, {"b", "nightly-1"}),
    ({"all": True, "not": {"names": ["nightly-*"]}}, {"a", "ab", "b"}),
    ({"all": True, "not": {"names": ["ab"], "tags": ["y"]}}, {"a", "nightly-22"}),
    ({"tags": ["x"], "not": {"tags": ["y"]}}, {"a"}),
    ({"all": False, "names": ["a"]}, {"a"}),
    ({"names": ["A"]}, set()),
]
BAD: list[tuple[object, str]] = [
    ({}, "selects nothing"),
    (None, "must be a JSON object"),
    ([], "must be a JSON object"),
    ({"all": False}, "selects nothing"),
    ({"not": {"names": ["a"]}}, "selects nothing"),
    ({"names": []}, "names: must be a list of 1"),
    ({"names": "a"}, "names: must be a list of 1"),
    ({"names": [1]}, "names: must be a string, not a number"),
    ({"names": ["a{b,c}"]}, "is no glob"),
    ({"names": ["["]}, "is no glob"),
    ({"names": ["[]"]}, "is no glob"),
    ({"names": ["[!]"]}, "is no glob"),
    ({"names": ["[z-a]"]}, "runs backwards"),
    ({"names": ["x" * 251]}, "is no glob"),
    ({"names": ["a"] * 1001}, "1 to 1000"),
    ({"tags": ["a b"]}, "is no tag"),
    ({"all": True, "names": ["a"]}, "'all' goes without"),
    ({"all": True, "not": {}}, "not: must name at least one"),
    ({"all": True, "nor": {}}, "did you mean 'not'"),
    ({"all": 1}, "all: must be true or false"),
    ({"tag": ["a"]}, "did you mean 'tags'"),
]


@pytest.mark.parametrize(("document", "selected"), SELECTORS)
def test_a_selector_selects(document: dict[str, object], selected: set[str]) -> None:
    selector = parse_selector(document)
    assert {name for name, tags in JOBS.items() if selector.matches(name, tags)} == selected
    assert parse_selector(selector.document()) == selector


@pytest.mark.parametrize(("document", "error"), BAD)
def test_a_selector_that_is_none_says_why(document: object, error: str) -> None:
    with pytest.raises(InvalidError, match=error):
        parse_selector(document)


letters = st.sampled_from("abA0-._")
groups = st.builds(
    lambda negated, inside: f"[{'!' if negated else ''}{inside}]",
    st.booleans(),
    st.text(st.sampled_from("ab09._"), min_size=1, max_size=3) | st.sampled_from(["a-c", "0-9", "a-cx", "-"]),
)
globs = st.lists(letters | st.sampled_from("**?") | groups, min_size=1, max_size=8).map("".join)


@given(globs, st.text(letters, max_size=8))
def test_globs_mean_what_fnmatch_means_by_them(glob: str, name: str) -> None:
    assert parse_selector({"names": [glob]}).matches(name, ()) == fnmatch.fnmatchcase(name, glob)


@given(st.text(string.printable, max_size=10))
def test_any_text_is_a_glob_or_an_error(text: str) -> None:
    with suppress(InvalidError):
        re.compile(glob_expression(text))


def test_no_glob_keeps_a_shard_busy() -> None:
    selector = parse_selector({"names": ["*a" * 100 + "*b"]})
    began = time.perf_counter()
    assert not selector.matches("a" * 200, ())
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    ("start", "end", "inside", "outside"),
    [(None, None, [0, 10**13], []), (5, None, [5, 6], [4]), (None, 5, [0, 4], [5]), (5, 7, [5, 6], [4, 7])],
)
def test_a_window_is_half_open(start: int | None, end: int | None, inside: list[int], outside: list[int]) -> None:
    hold = Hold(parse_selector({"all": True}), start, end)
    assert all(hold.covers(instant) for instant in inside)
    assert not any(hold.covers(instant) for instant in outside)
