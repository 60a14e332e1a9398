"""The pytest plugin: one fixture, and nothing else. Nothing of kadence is loaded before a test asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kadence.testing import MemoryCluster


@pytest.fixture
def kadence_cluster() -> Iterator[type[MemoryCluster]]:
    """Make clusters in memory, ``kadence_cluster(app, start=…)``; those that are left are closed after the test."""
    from kadence.testing import MemoryCluster  # noqa: PLC0415  runs without such a test pay for none of it

    made: list[MemoryCluster] = []

    class Cluster(MemoryCluster):
        def __init__(self, *given: Any, **options: Any) -> None:
            made.append(self)
            super().__init__(*given, **options)

    yield Cluster
    for cluster in made:
        cluster.close()
