"""Creating the topics that are missing, and adopting what auto-creation made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kadence.errors import ConfigurationError
from kadence.log.topics.check import partitions_off, unusable
from kadence.log.topics.plans import (
    COMPACT,
    CONTROL,
    DEAD_LETTERS,
    DEFAULT_SHARDS,
    EVERY_TOPIC,
    SAFE_REPLICATION,
    SERVERS,
    are,
    counted,
    topic_names,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kadence.log.port import LogAdmin, TopicInfo


def init_topics(admin: LogAdmin, namespace: str, shards: int = DEFAULT_SHARDS, replication: int = -1) -> list[str]:
    """Create what is missing and set right what a worker cannot run on; returns what was done, in words.

    A topic that auto-creation made is adopted: given the plan's settings. ``shards`` is ignored where
    ``<ns>.state`` exists: its partitions decide. ``replication`` -1: three, or as many brokers as there are.
    Raises `ConfigurationError` where only deleting a topic would help, and `UnreachableError`.
    """
    found = admin.describe(topic_names(namespace))
    _refuse_beyond_repair(found, namespace)
    report = list(_adopt(admin, found, namespace))
    state = found.get(f"{namespace}.state")
    if state is not None and state.partitions != shards:
        have = counted(state.partitions, "partition")
        report.append(f"{state.name} has {have} already, so there {are(state.partitions, 'shard')}")
        shards = state.partitions
    missing = [plan for plan in EVERY_TOPIC if f"{namespace}.{plan.suffix}" not in found]
    copies = replication if replication > 0 or not missing else min(SAFE_REPLICATION, admin.brokers())
    for plan in missing:
        name, partitions = f"{namespace}.{plan.suffix}", shards if plan.sharded else 1
        safe = {"min.insync.replicas": str(SAFE_REPLICATION - 1)} if copies >= SAFE_REPLICATION else {}
        admin.create(name, partitions, copies, plan.config() | safe)
        report.append(
            f"created {name}: {counted(partitions, 'partition')}, replication {copies}, "
            f"{plan.config()['cleanup.policy']}"
        )
    return report


def _refuse_beyond_repair(found: Mapping[str, TopicInfo], namespace: str) -> None:
    """Look before anything is changed. A worker runs without dead letters, so that nothing is refused for them."""
    needed = [info for info in found.values() if info.name != f"{namespace}.{DEAD_LETTERS.suffix}"]
    closed = [finding for info in needed if info.error is not None for finding in unusable(info, SERVERS)]
    control = found.get(f"{namespace}.control")
    split = [] if control is None or control.error else list(partitions_off(CONTROL, control, 0, namespace, SERVERS))
    for finding in (*closed, *split):
        raise ConfigurationError(finding.sentence)


def _adopt(admin: LogAdmin, found: Mapping[str, TopicInfo], namespace: str) -> Iterator[str]:
    """Mend existing topics. One with a wrong cleanup policy was not made for kadence: it is given all of the plan."""
    for plan in EVERY_TOPIC:
        info = found.get(f"{namespace}.{plan.suffix}")
        if info is None:
            continue
        off = [
            setting
            for setting in plan.settings
            if setting.name in info.config and not setting.met_by(info.config[setting.name])
        ]
        required = [setting for setting in off if setting.required]
        if not required:
            continue
        adopted = any(setting.name == COMPACT.name for setting in required)
        mended = {setting.name: setting.value for setting in (off if adopted else required)}
        admin.alter(info.name, mended)
        yield f"adopted {info.name}: set " + ", ".join(f"{name}={value}" for name, value in mended.items())
