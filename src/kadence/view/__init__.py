"""Reading the world from the log: jobs with their effective state, holds, shards. Nothing here writes or prints."""

from __future__ import annotations

from kadence.view.model import HoldView, JobView, ShardView, View
from kadence.view.snapshot import snapshot

__all__ = ["HoldView", "JobView", "ShardView", "View", "snapshot"]
