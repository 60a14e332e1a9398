"""A job scheduler whose only store is Kafka."""

from __future__ import annotations

from importlib.metadata import version as _version

__version__ = _version("kadence")
