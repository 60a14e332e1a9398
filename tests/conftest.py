"""Fixtures that more than one kind of test asks for."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from kadence.testing.broker import AUTHORIZER, Cluster, java_available

if TYPE_CHECKING:
    from collections.abc import Iterator

# A busy machine draws its examples slowly; how fast anything is stands in the benchmarks, never in a test. CI draws the
# same ones each time, so that what it says is about the change; desks draw new ones, and find what nobody thought of.
settings.register_profile(
    "kadence",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("kadence")

BROKER_CACHE = Path(__file__).parents[1] / ".cache"


@pytest.fixture
def namespace() -> str:
    """A namespace that no other test has: tests share a broker and run in any order."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def java() -> None:
    """Java and Maven: a desk may lack them, and then skips; CI may not."""
    if not java_available():
        if os.environ.get("CI"):
            pytest.fail("CI needs Java and Maven for a real broker")
        pytest.skip("needs Java and Maven for a real broker")


@pytest.fixture(scope="session")
def broker(java: None) -> Iterator[Cluster]:
    """One real node, started once per session; ACLs may forbid single topics, all else is allowed."""
    with Cluster(1, properties=AUTHORIZER, cache=BROKER_CACHE) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def three_brokers(java: None) -> Iterator[Cluster]:
    """Three real nodes, for tests that take one away; they must bring it back."""
    with Cluster(3, cache=BROKER_CACHE) as cluster:
        yield cluster
