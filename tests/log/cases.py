"""The one list of conformance cases: what must be the same in Kafka and in memory."""

from __future__ import annotations

from tests.log import (
    cases_consuming,
    cases_group,
    cases_posting,
    cases_reading,
    cases_times,
    cases_topics,
    cases_transactions,
)
from tests.log.bench import CASES

__all__ = [
    "CASES",
    "cases_consuming",
    "cases_group",
    "cases_posting",
    "cases_reading",
    "cases_times",
    "cases_topics",
    "cases_transactions",
]
