"""A place for each test, and nothing left of it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tests.executor.place import Place, until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def place() -> Iterator[Place]:
    """A namespace with two shards; its executors are stopped, and their threads are gone, when the test is over."""
    place = Place()
    yield place
    place.close()
    until(lambda: not [one for one in threading.enumerate() if one.name.startswith("kadence")])
