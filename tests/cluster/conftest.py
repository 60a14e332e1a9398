"""One broker for all the stories, and a stage for each."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from kadence.testing.broker import AUTHORIZER, Cluster
from tests.cluster.stage import Stage
from tests.conftest import BROKER_CACHE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def broker(java: None) -> Iterator[Cluster]:
    """One real node that lets workers have short sessions, so that a death is noticed in seconds."""
    short = {"group.min.session.timeout.ms": "1000"}
    with Cluster(1, properties={**AUTHORIZER, **short}, cache=BROKER_CACHE) as cluster:
        yield cluster


@pytest.fixture
def make_stage(namespace: str, tmp_path: Path) -> Iterator[Callable[[str], Stage]]:
    """What makes a stage on some cluster. What its workers said is shown where the test fails."""
    stages: list[Stage] = []

    def make(bootstrap_servers: str) -> Stage:
        stages.append(Stage(bootstrap_servers, namespace, tmp_path))
        return stages[-1]

    yield make
    for stage in stages:
        stage.close()
        sys.stdout.write(stage.report())


@pytest.fixture
def stage(broker: Cluster, make_stage: Callable[[str], Stage]) -> Stage:
    """A stage on the session's broker."""
    return make_stage(broker.bootstrap_servers)
