"""What a delivery report means; no broker is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from kadence.errors import UncleanError, UnreachableError
from kadence.log.kafka.delivery import Ack, Failures, receipt_of
from kadence.log.kafka.errors import in_transaction
from kadence.log.port import Receipt

if TYPE_CHECKING:
    from confluent_kafka import Message


class Report:
    """A message as a report without an error brings it; ``offset`` None: acknowledged by a later one's success."""

    def __init__(self, offset: int | None) -> None:
        self._offset = offset

    def topic(self) -> str:
        return "orders"

    def offset(self) -> int | None:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return 2, 1_000


def report(offset: int | None) -> Message:
    return cast("Message", Report(offset))


def test_a_report_with_an_offset_is_an_acknowledgement() -> None:
    failures = Failures()
    ack = Ack(failures)
    ack(None, report(7))
    assert failures.cause is None
    assert ack.receipt() == receipt_of(report(7)) == Receipt(7, 1_000)


def test_a_report_without_an_offset_makes_a_transaction_unclean() -> None:
    failures = Failures()
    ack = Ack(failures)
    ack(None, report(None))
    assert failures.cause is not None
    assert isinstance(in_transaction(failures.cause), UncleanError)
    assert failures.refused is None
    with pytest.raises(UncleanError):
        ack.receipt()


def test_a_report_without_an_offset_is_a_reason_to_append_again() -> None:
    with pytest.raises(UnreachableError, match="may be lost"):
        receipt_of(report(None))
