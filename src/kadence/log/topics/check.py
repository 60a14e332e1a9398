"""Comparing the topics that are there with what a worker needs; each finding carries the command that mends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kadence.log.topics.plans import (
    CONTROL,
    DEAD_LETTERS,
    SAFE_REPLICATION,
    SERVERS,
    STATE,
    TOPICS,
    Setting,
    are,
    counted,
    init_command,
    topic_names,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kadence.log.port import LogAdmin, TopicInfo
    from kadence.log.topics.plans import TopicPlan

_BATCH_BYTES: Final = 1_000_000  # the largest batch a worker's producer makes; a topic refuses a larger one whole
_UNKEPT: Final = ", so that runs which failed for good are not kept there"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a topic that is not as it should be, and the command that mends it."""

    problem: str
    remedy: str

    @property
    def sentence(self) -> str:
        """Both in one line."""
        return f"{self.problem}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class TopicsReport:
    """What `check_topics` found. ``shards``: partitions of ``<ns>.state``, 0 where it is missing.

    ``control_topic_id`` is what a cursor must name, empty where the topic is missing.
    """

    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    shards: int
    control_topic_id: str

    @property
    def ok(self) -> bool:
        """Whether a worker may run."""
        return not self.errors


def check_topics(admin: LogAdmin, namespace: str, *, servers: str = SERVERS) -> TopicsReport:
    """Compare a namespace's topics with the contract, as whoever ``admin`` is logged in as sees them.

    ``servers`` stands in the commands of the findings. Raises `UnreachableError`.
    """
    found = admin.describe(topic_names(namespace))
    state, control = found.get(f"{namespace}.state"), found.get(f"{namespace}.control")
    shards = 0 if state is None else state.partitions
    errors: list[Finding] = []
    warnings: list[Finding] = []
    for plan in TOPICS:
        name = f"{namespace}.{plan.suffix}"
        info = found.get(name)
        if info is None:
            errors.append(Finding(f"topic {name} does not exist", f"create it with: {init_command(namespace)}"))
            continue
        errors += unusable(info, servers)
        if info.error is None:
            errors += partitions_off(plan, info, shards, namespace, servers)
            errors += _settings_off(plan.settings, info, servers, required=True)
            warnings += _settings_off(_wanted(plan, info), info, servers, required=False)
    warnings += _letters_off(found.get(f"{namespace}.{DEAD_LETTERS.suffix}"), shards, namespace, servers)
    warnings += _replication_low(namespace, found.values(), servers)
    topic_id = "" if control is None else control.topic_id
    return TopicsReport(tuple(errors), tuple(warnings), shards, topic_id)


def _letters_off(info: TopicInfo | None, shards: int, namespace: str, servers: str) -> Iterator[Finding]:
    """What is off with the topic of dead letters: never a reason for a worker not to run."""
    if info is None:
        name = f"{namespace}.{DEAD_LETTERS.suffix}"
        yield Finding(f"topic {name} does not exist{_UNKEPT}", f"create it with: {init_command(namespace)}")
        return
    for finding in unusable(info, servers):
        yield Finding(finding.problem + _UNKEPT, finding.remedy)
    if info.error is not None:
        return
    few = _UNKEPT if info.partitions < shards else ""
    for finding in partitions_off(DEAD_LETTERS, info, shards, namespace, servers):
        yield Finding(finding.problem + few, finding.remedy)
    yield from _settings_off(DEAD_LETTERS.settings, info, servers, required=True)
    yield from _settings_off(_wanted(DEAD_LETTERS, info), info, servers, required=False)


def _wanted(plan: TopicPlan, info: TopicInfo) -> tuple[Setting, ...]:
    """The plan's settings, and those that are only looked at: clusters have sensible values of their own for them."""
    in_sync = Setting("min.insync.replicas", str(SAFE_REPLICATION - 1), "at least")
    size = Setting("max.message.bytes", str(_BATCH_BYTES), "at least")
    return (*plan.settings, size, *((in_sync,) if info.replication >= SAFE_REPLICATION else ()))


def unusable(info: TopicInfo, servers: str) -> Iterator[Finding]:
    """What this login may not do with the topic."""
    grant = f"kafka-acls.sh --bootstrap-server {servers} --add --allow-principal User:NAME --topic {info.name}"
    if info.error is not None:
        yield Finding(f"topic {info.name} cannot be described: {info.error}", f"allow it: {grant} --operation All")
        return
    if not info.writable:
        yield Finding(f"topic {info.name} may not be written by this login", f"allow it: {grant} --operation Write")
    if not info.config:
        yield Finding(
            f"the settings of topic {info.name} may not be read by this login, so they cannot be checked",
            f"allow it: {grant} --operation DescribeConfigs",
        )


def partitions_off(plan: TopicPlan, info: TopicInfo, shards: int, namespace: str, servers: str) -> Iterator[Finding]:
    """A partition count that does not go with the shards; 0 shards: not known."""
    tool = f"kafka-topics.sh --bootstrap-server {servers}"
    init = init_command(namespace)
    differs = f"topic {info.name} has {counted(info.partitions, 'partition')} but there {are(shards, 'shard')}"
    if not plan.sharded:
        if info.partitions != 1:
            yield Finding(
                f"topic {info.name} has {info.partitions} partitions and must have exactly 1, "
                "so that all commands have one order",
                f"delete it ({tool} --delete --topic {info.name}), run: {init}, and write its jobs again",
            )
    elif shards and info.partitions < shards:
        yield Finding(
            differs,
            f"add some: {tool} --alter --topic {info.name} --partitions {shards}",
        )
    elif shards and info.partitions > shards:
        yield Finding(
            differs,
            f"delete it with its records ({tool} --delete --topic {info.name}) and run: {init}",
        )


def _replication_low(namespace: str, topics: Iterable[TopicInfo], servers: str) -> Iterator[Finding]:
    """One finding for all topics: they are made together, with the same replication."""
    low = [info for info in topics if info.error is None and info.replication < SAFE_REPLICATION]
    if low:
        copies = min(info.replication for info in low)
        yield Finding(
            f"{counted(len(low), 'topic')} of namespace {namespace} {'is' if len(low) == 1 else 'are'} kept on "
            f"{counted(copies, 'broker')} only: fine for trying things out, but losing one can lose them",
            f"on {SAFE_REPLICATION} brokers or more, add replicas: kafka-reassign-partitions.sh "
            f"--bootstrap-server {servers} --reassignment-json-file FILE --execute",
        )


def _settings_off(settings: tuple[Setting, ...], info: TopicInfo, servers: str, *, required: bool) -> Iterator[Finding]:
    for setting in settings:
        actual = info.config.get(setting.name)
        if setting.required == required and actual is not None and not setting.met_by(actual):
            bound = "" if setting.bound == "exactly" else f"{setting.bound} "
            yield Finding(
                f"topic {info.name} has {setting.name}={actual} and {'must' if required else 'should'} have "
                f"{bound}{setting.value}",
                f"set it: kafka-configs.sh --bootstrap-server {servers} --alter --entity-type topics "
                f"--entity-name {info.name} --add-config {setting.name}={setting.value}",
            )


@dataclass(frozen=True, slots=True)
class Applied:
    """How far a shard's cursor says that it has applied control, and which topic that was."""

    shard: int
    control: int
    topic_id: str


def control_recreated(namespace: str, applied: Applied, topic_id: str, end: int) -> Finding | None:
    """What is wrong where the control topic, with this id and end, is not the one that a shard had applied."""
    topic = f"{namespace}.{CONTROL.suffix}"
    if applied.topic_id != topic_id:
        what = f"{topic} is another topic (id {topic_id}) than the one that shard {applied.shard} had applied"
    elif applied.control > end:
        what = f"{topic} ends at offset {end}, before the {applied.control} that shard {applied.shard} had applied"
    else:
        return None
    return Finding(
        f"{what}: it was recreated or restored, and its commands cannot be told from applied ones",
        f"stop all workers, delete {namespace}.{STATE.suffix}, run '{init_command(namespace)}', and start again: every "
        "job then begins anew from its control record, so that triggers of the last day, and what catch_up asks for "
        "of the due times since the record, run once more",
    )
