"""What the user may set, and what errors mean; no broker is asked."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from kadence.errors import ConfigurationError, FencedError, RefusedError, UncleanError, UnreachableError
from kadence.log.kafka import PROTECTED, KafkaLog
from kadence.log.kafka.errors import in_transaction, outside_transaction, taken_over

NOWHERE = "127.0.0.1:1"  # a port that is never listened on
EVERY_CODE = sorted(
    {code for name in dir(KafkaError) if name.isupper() and isinstance(code := getattr(KafkaError, name), int)}
)


@pytest.mark.parametrize("name", sorted(PROTECTED))
def test_a_property_that_a_guarantee_rests_on_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"property {name} "):
        KafkaLog(NOWHERE, {name: "1"})


def test_what_the_issue_calls_safety_is_protected() -> None:
    assert {
        "transactional.id", "isolation.level", "enable.idempotence", "enable.auto.commit", "acks", "group.id",
        "partition.assignment.strategy", "auto.offset.reset",
    } <= PROTECTED  # fmt: skip


def test_a_property_that_librdkafka_does_not_know_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"sasl\.passwort"):
        KafkaLog(NOWHERE, {"sasl.passwort": "x"}).reader()


def test_an_error_in_no_row_of_the_table_is_unclean_inside_a_transaction() -> None:
    assert EVERY_CODE
    fenced = {code for code in EVERY_CODE if isinstance(in_transaction(KafkaError(code)), FencedError)}
    assert fenced == {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}
    assert all(isinstance(in_transaction(KafkaError(code)), UncleanError) for code in set(EVERY_CODE) - fenced)


def test_outside_a_transaction_an_error_is_a_refusal_or_a_reason_to_try_again() -> None:
    missing = outside_transaction(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART), "orders")
    assert isinstance(missing, RefusedError)
    assert missing.topic == "orders"
    assert isinstance(outside_transaction(KafkaError(KafkaError._MSG_TIMED_OUT), "orders"), UnreachableError)


def test_a_takeover_that_may_not_be_is_a_matter_of_configuration() -> None:
    forbidden = KafkaError(KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    assert isinstance(taken_over(forbidden, "ns.shard.0"), ConfigurationError)
    assert isinstance(taken_over(KafkaError(KafkaError._TIMED_OUT), "ns.shard.0"), UnreachableError)


def test_a_cluster_that_is_not_there_is_unreachable_to_questions_and_appends() -> None:
    log = KafkaLog(NOWHERE)
    reader, admin, appender = log.reader(), log.admin(), log.appender()
    with pytest.raises(UnreachableError):
        admin.brokers(timeout=0.3)
    with pytest.raises(UnreachableError):
        admin.describe(["orders"], timeout=0.3)
    with pytest.raises(UnreachableError):
        reader.bounds("orders", 0, 0.3)
    with pytest.raises(UnreachableError):
        appender.append("orders", 0, b"k", b"v", timeout=0.3)
    reader.close()
    admin.close()
