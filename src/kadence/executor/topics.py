"""The topics that an executor reads and writes, as they must be before it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kadence.errors import ConfigurationError
from kadence.log.topics import init_command

if TYPE_CHECKING:
    from kadence.log.port import Log

_NEEDED: Final = ("executions", "outcomes")


def outcome_partitions(log: Log, namespace: str) -> int:
    """Partitions of the outcomes topic, once both topics are found as they must be.

    Raises `ConfigurationError`, which says what to do, and `UnreachableError`.
    """
    topics = [f"{namespace}.{name}" for name in _NEEDED]
    admin = log.admin()
    try:
        found = admin.describe(topics, config=False)
    finally:
        admin.close()
    for topic in topics:
        info = found.get(topic)
        if info is None:
            raise ConfigurationError(f"topic {topic} does not exist; create it with: {init_command(namespace)}")
        if info.error is not None:
            raise ConfigurationError(f"topic {topic} cannot be used: {info.error}; ask for its ACLs")
    executions, outcomes = (found[topic] for topic in topics)
    if not outcomes.writable:
        raise ConfigurationError(f"{outcomes.name} may not be written; ask for the right to WRITE to it")
    if executions.partitions != outcomes.partitions:
        raise ConfigurationError(
            f"{executions.name} has {executions.partitions} partitions and {outcomes.name} {outcomes.partitions}, "
            "but an outcome stands in the partition of its execution; give both as many as the state topic has"
        )
    return outcomes.partitions
