"""How earlier runs went is waited for after a takeover, and only where there are earlier runs to wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kadence.testing import MemoryCluster

if TYPE_CHECKING:
    import pytest


def test_a_job_that_comes_long_after_a_takeover_waits_for_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with MemoryCluster() as cluster:
        cluster.advance("1h")
        cluster.client.put("tick", {"schedule": {"every": "1m"}, "overlap": "skip"})
        cluster.advance("1m")
        cluster.assert_fired("tick", 1)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == []
