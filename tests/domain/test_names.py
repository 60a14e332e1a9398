from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kadence.domain.fields import InvalidError
from kadence.domain.names import command_id, job_name, tag, topic_name

if TYPE_CHECKING:
    from collections.abc import Callable

GOOD: list[tuple[Callable[[object], str], str]] = [
    (job_name, "a"),
    (job_name, "0.a_b-C"),
    (job_name, "x" * 200),
    (command_id, "_"),
    (command_id, "-a_9"),
    (command_id, "x" * 64),
    (tag, "team:billing/eu=1"),
    (tag, "x" * 100),
    (topic_name, "_a.b-c"),
    (topic_name, "x" * 249),
]
BAD: list[tuple[Callable[[object], str], object, str]] = [
    (job_name, "", "is no name"),
    (job_name, "-a", "is no name"),
    (job_name, ".a", "is no name"),
    (job_name, "_a", "is no name"),
    (job_name, "a/b", "is no name"),
    (job_name, "a@b", "is no name"),
    (job_name, "a!b", "is no name"),
    (job_name, "a\n", "is no name"),
    (job_name, "ä", "is no name"),
    (job_name, "a٣", "is no name"),
    (job_name, "x" * 201, "is no name"),
    (job_name, 5, "must be a string, not a number"),
    (command_id, "", "is no id"),
    (command_id, "a.b", "is no id"),
    (command_id, "x" * 65, "is no id"),
    (command_id, "probe-1", "the breaker's own"),
    (tag, "-x", "is no tag"),
    (tag, "a b", "is no tag"),
    (tag, "x" * 101, "is no tag"),
    (tag, None, "must be a string, not null"),
    (topic_name, "a/b", "is no topic name"),
    (topic_name, "x" * 250, "is no topic name"),
    (topic_name, ".", "no job may write"),
    (topic_name, "..", "no job may write"),
    (topic_name, "__consumer_offsets", "no job may write"),
]


@pytest.mark.parametrize(("read", "value"), GOOD)
def test_names_that_the_contract_allows(read: Callable[[object], str], value: str) -> None:
    assert read(value) == value


@pytest.mark.parametrize(("read", "value", "error"), BAD)
def test_names_that_it_does_not(read: Callable[[object], str], value: object, error: str) -> None:
    with pytest.raises(InvalidError, match=error):
        read(value)
