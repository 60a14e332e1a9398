"""The five topics of a namespace: what the contract asks of them, creating what is missing, checking what is there.

A mismatch that would lose or double something is an error, and a worker does not run on it; what only makes
an accident more likely or a rebuild slower is a warning. Each finding carries the command that mends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from kadence.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from kadence.log.port import Log, LogAdmin, TopicInfo

DEFAULT_NAMESPACE: Final = "kadence"
DEFAULT_SHARDS: Final = 12
ANSWER_SECONDS: Final = 10.0
"""A cluster that says nothing for so long counts as unreachable, however much longer the question's work may take."""
_SAFE_REPLICATION: Final = 3
_SERVERS: Final = "$KADENCE_BOOTSTRAP_SERVERS"
_HOUR: Final = 3_600_000
_DAY: Final = 24 * _HOUR
_UNLIMITED: Final = "-1"
_BATCH_BYTES: Final = 1_000_000  # the largest batch a worker's producer makes; a topic refuses a larger one whole

Bound = Literal["exactly", "at least", "at most"]


@dataclass(frozen=True, slots=True)
class Setting:
    """A topic setting and the value it should have; ``required``: a worker does not run without it."""

    name: str
    value: str
    bound: Bound = "exactly"
    required: bool = False

    def met_by(self, actual: str) -> bool:
        """Whether the cluster's value will do."""
        match self.bound:
            case "exactly":
                return actual == self.value
            case "at least":
                return actual == _UNLIMITED or float(actual) >= float(self.value)
            case "at most":
                return actual != _UNLIMITED and float(actual) <= float(self.value)


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """One of the five topics: its name after ``<ns>.``, whether it has one partition per shard, and its settings."""

    suffix: str
    sharded: bool
    settings: tuple[Setting, ...]

    def config(self) -> dict[str, str]:
        """What the topic is created with."""
        return {setting.name: setting.value for setting in self.settings}


_APPEND_TIME: Final = Setting("message.timestamp.type", "LogAppendTime", required=True)
_COMPACT: Final = Setting("cleanup.policy", "compact", required=True)


def _kept(suffix: str, days: int) -> TopicPlan:
    return TopicPlan(
        suffix,
        sharded=True,
        settings=(
            _APPEND_TIME,
            Setting("cleanup.policy", "delete"),
            Setting("retention.ms", str(days * _DAY), "at least"),
        ),
    )


CONTROL: Final = TopicPlan(
    "control",
    sharded=False,
    settings=(_APPEND_TIME, _COMPACT, Setting("min.compaction.lag.ms", str(_DAY), "at least")),
)
STATE: Final = TopicPlan(
    "state",
    sharded=True,
    settings=(
        _APPEND_TIME,
        _COMPACT,
        Setting("segment.ms", str(10 * 60_000), "at most"),
        Setting("segment.bytes", str(64 * 1024 * 1024), "at most"),
        Setting("min.cleanable.dirty.ratio", "0.1", "at most"),
        Setting("delete.retention.ms", str(_HOUR), "at least"),
    ),
)
TOPICS: Final = (CONTROL, STATE, _kept("executions", 7), _kept("outcomes", 7), _kept("events", 30))
"""The contract's table ("Topics"), in the order in which they are created."""


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


def topic_names(namespace: str) -> tuple[str, ...]:
    """The full names of the five topics, control first."""
    return tuple(f"{namespace}.{plan.suffix}" for plan in TOPICS)


def check_topics(admin: LogAdmin, namespace: str, *, servers: str = _SERVERS) -> TopicsReport:
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
        errors += _unusable(info, servers)
        if info.error is None:
            errors += _partitions_off(plan, info, shards, namespace, servers)
            errors += _settings_off(plan.settings, info, servers, required=True)
            warnings += _settings_off(_wanted(plan, info), info, servers, required=False)
    warnings += _replication_low(namespace, found.values(), servers)
    return TopicsReport(tuple(errors), tuple(warnings), shards, "" if control is None else control.topic_id)


def _wanted(plan: TopicPlan, info: TopicInfo) -> tuple[Setting, ...]:
    """The plan's settings, and those that are only looked at: clusters have sensible values of their own for them."""
    in_sync = Setting("min.insync.replicas", str(_SAFE_REPLICATION - 1), "at least")
    size = Setting("max.message.bytes", str(_BATCH_BYTES), "at least")
    return (*plan.settings, size, *((in_sync,) if info.replication >= _SAFE_REPLICATION else ()))


def _unusable(info: TopicInfo, servers: str) -> Iterator[Finding]:
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


def _partitions_off(plan: TopicPlan, info: TopicInfo, shards: int, namespace: str, servers: str) -> Iterator[Finding]:
    tool = f"kafka-topics.sh --bootstrap-server {servers}"
    init = init_command(namespace)
    differs = f"topic {info.name} has {_counted(info.partitions, 'partition')} but there {_are(shards, 'shard')}"
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
    low = [info for info in topics if info.error is None and info.replication < _SAFE_REPLICATION]
    if low:
        copies = min(info.replication for info in low)
        yield Finding(
            f"{_counted(len(low), 'topic')} of namespace {namespace} {'is' if len(low) == 1 else 'are'} kept on "
            f"{_counted(copies, 'broker')} only: fine for trying things out, but losing one can lose them",
            f"on {_SAFE_REPLICATION} brokers or more, add replicas: kafka-reassign-partitions.sh "
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
        have = _counted(state.partitions, "partition")
        report.append(f"{state.name} has {have} already, so there {_are(state.partitions, 'shard')}")
        shards = state.partitions
    missing = [plan for plan in TOPICS if f"{namespace}.{plan.suffix}" not in found]
    copies = replication if replication > 0 or not missing else min(_SAFE_REPLICATION, admin.brokers())
    for plan in missing:
        name, partitions = f"{namespace}.{plan.suffix}", shards if plan.sharded else 1
        safe = {"min.insync.replicas": str(_SAFE_REPLICATION - 1)} if copies >= _SAFE_REPLICATION else {}
        admin.create(name, partitions, copies, plan.config() | safe)
        report.append(
            f"created {name}: {_counted(partitions, 'partition')}, replication {copies}, "
            f"{plan.config()['cleanup.policy']}"
        )
    return report


def _refuse_beyond_repair(found: Mapping[str, TopicInfo], namespace: str) -> None:
    """Look before anything is changed."""
    closed = [finding for info in found.values() if info.error is not None for finding in _unusable(info, _SERVERS)]
    control = found.get(f"{namespace}.control")
    split = [] if control is None or control.error else list(_partitions_off(CONTROL, control, 0, namespace, _SERVERS))
    for finding in (*closed, *split):
        raise ConfigurationError(finding.sentence)


def _adopt(admin: LogAdmin, found: Mapping[str, TopicInfo], namespace: str) -> Iterator[str]:
    """Mend existing topics. One with a wrong cleanup policy was not made for kadence: it is given all of the plan."""
    for plan in TOPICS:
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
        adopted = any(setting.name == _COMPACT.name for setting in required)
        mended = {setting.name: setting.value for setting in (off if adopted else required)}
        admin.alter(info.name, mended)
        yield f"adopted {info.name}: set " + ", ".join(f"{name}={value}" for name, value in mended.items())


def shard_count(log: Log, namespace: str, timeout: float = ANSWER_SECONDS) -> int:
    """P, the partitions of ``<ns>.state``. Raises `ConfigurationError` where it is missing, `UnreachableError`."""
    name = f"{namespace}.{STATE.suffix}"
    reader = log.reader()
    try:
        shards = reader.partitions(name, timeout)
    finally:
        reader.close()
    if not shards:
        raise ConfigurationError(
            f"topic {name} does not exist; create kadence's topics with `{init_command(namespace)}`, "
            "or name another namespace or cluster"
        )
    return shards


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


def init_command(namespace: str) -> str:
    """What to type to create the topics of a namespace."""
    return f"kadence topics init{namespace_option(namespace)}"


def namespace_option(namespace: str) -> str:
    """What a command that a person is told to type ends with, so that it means this namespace."""
    return "" if namespace == DEFAULT_NAMESPACE else f" --namespace {namespace}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _are(number: int, noun: str) -> str:
    return f"{'is' if number == 1 else 'are'} {_counted(number, noun)}"
