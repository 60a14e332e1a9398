"""What an error of librdkafka means to kadence: one table, and what is in none of its rows is unclean."""

from __future__ import annotations

# ruff: noqa: SLF001 - a leading underscore is how librdkafka names the errors that never were on the wire
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from kadence.errors import (
    ConfigurationError,
    FencedError,
    KadenceError,
    LogError,
    RefusedError,
    UncleanError,
    UnreachableError,
)

# A newer producer holds the transactional id (KIP-98; KIP-588 for the second name of it).
FENCED: Final = frozenset({KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH})
# What the library does with records once their transaction has failed: drops them, or does not take them. Why it
# failed is said elsewhere or nowhere.
DROPPED: Final = frozenset({KafkaError._PURGE_INFLIGHT, KafkaError._PURGE_QUEUE, KafkaError._STATE})
# The topic will not take this record now, whoever sends it however often.
REFUSED: Final = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNKNOWN_TOPIC_ID,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.POLICY_VIOLATION,
        KafkaError.UNSUPPORTED_COMPRESSION_TYPE,
        KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
    }
)
# An ACL is missing that is none of a single topic's.
FORBIDDEN: Final = frozenset(
    {
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
    }
)
# A question about a topic that is not there.
MISSING: Final = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC})
# The log does not hold the offset that a reader asked for (auto.offset.reset=error gives it the first name).
OUT_OF_RANGE: Final = frozenset(
    {KafkaError._AUTO_OFFSET_RESET, KafkaError._LOG_TRUNCATION, KafkaError.OFFSET_OUT_OF_RANGE}
)
# A batch that this client cannot take apart, now or later.
UNREADABLE: Final = frozenset({KafkaError._BAD_COMPRESSION, KafkaError._BAD_MSG, KafkaError.INVALID_MSG})
# The group will not have us until somebody changes something.
UNJOINABLE: Final = FORBIDDEN | {
    KafkaError.GROUP_MAX_SIZE_REACHED,
    KafkaError.INCONSISTENT_GROUP_PROTOCOL,
    KafkaError.INVALID_GROUP_ID,
    KafkaError.INVALID_SESSION_TIMEOUT,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
}
# Nobody answered, or not the right one: asking again may help, and nothing was begun that could be torn.
UNREACHABLE: Final = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._RESOLVE,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._MSG_TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError._WAIT_CACHE,
        KafkaError._WAIT_COORD,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.CONCURRENT_TRANSACTIONS,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.NOT_CONTROLLER,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REQUEST_TIMED_OUT,
    }
)


def cause(error: KafkaException) -> KafkaError:
    """Return the error that the library wrapped."""
    wrapped: KafkaError = error.args[0]
    return wrapped


def is_fatal(error: KafkaError) -> bool:
    """Return whether the client that met this error can do nothing more."""
    return error.fatal() or error.code() == KafkaError._FATAL


def is_grave(error: KafkaError) -> bool:
    """Return whether an operator should hear of this now, although the client goes on trying."""
    return is_fatal(error) or error.code() == KafkaError._ALL_BROKERS_DOWN


def is_unreachable(error: KafkaError) -> bool:
    """Return whether asking again may help."""
    return error.code() in UNREACHABLE or (error.retriable() and not error.fatal())


def in_transaction(error: KafkaError) -> LogError:
    """Say what an error means to a writer that holds an open transaction: fenced, or outcome unknown.

    Retriable or not makes no difference here: the library has already tried for as long as it may, and a caller
    that tried again would send twice.
    """
    if error.code() in FENCED:
        return FencedError(f"another writer has taken over: {error.str()}")
    return UncleanError(f"the transaction's outcome is unknown: {error.str()}")


def taken_over(error: KafkaError, transactional_id: str) -> KadenceError:
    """Say what an error means to a writer that is taking over ``transactional_id``."""
    if error.code() in FENCED:
        return FencedError(f"another writer is taking over {transactional_id}: {error.str()}")
    if error.code() in FORBIDDEN or error.code() == KafkaError.INVALID_TRANSACTION_TIMEOUT:
        return ConfigurationError(f"transactional id {transactional_id} cannot be used: {error.str()}")
    # Nothing was begun, so whatever else it is, trying again harms nothing.
    return UnreachableError(f"transactional id {transactional_id} was not taken over: {error.str()}")


def outside_transaction(error: KafkaError, topic: str) -> LogError:
    """Say what an error means to a plain append to ``topic``: refused, or try again.

    Whatever it is, trying again can at worst append twice, which every reader of plain appends allows for.
    """
    if error.code() in REFUSED:
        return RefusedError(topic, error.str())
    return UnreachableError(f"{topic} did not acknowledge a record in time: {error.str()}")
