"""The topics of a namespace, as the contract has them, and how they are named and counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from kadence.errors import ConfigurationError

if TYPE_CHECKING:
    from kadence.log.port import Log

DEFAULT_NAMESPACE: Final = "kadence"
DEFAULT_SHARDS: Final = 12
ANSWER_SECONDS: Final = 10.0
"""A cluster that says nothing for so long counts as unreachable, however much longer the question's work may take."""
SAFE_REPLICATION: Final = 3
SERVERS: Final = "$KADENCE_BOOTSTRAP_SERVERS"
_HOUR: Final = 3_600_000
_DAY: Final = 24 * _HOUR
_UNLIMITED: Final = "-1"


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
    """One of the topics: its name after ``<ns>.``, whether it has one partition per shard, and its settings."""

    suffix: str
    sharded: bool
    settings: tuple[Setting, ...]

    def config(self) -> dict[str, str]:
        """What the topic is created with."""
        return {setting.name: setting.value for setting in self.settings}


_APPEND_TIME: Final = Setting("message.timestamp.type", "LogAppendTime", required=True)
COMPACT: Final = Setting("cleanup.policy", "compact", required=True)


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
    settings=(_APPEND_TIME, COMPACT, Setting("min.compaction.lag.ms", str(_DAY), "at least")),
)
STATE: Final = TopicPlan(
    "state",
    sharded=True,
    settings=(
        _APPEND_TIME,
        COMPACT,
        Setting("segment.ms", str(10 * 60_000), "at most"),
        Setting("segment.bytes", str(64 * 1024 * 1024), "at most"),
        Setting("min.cleanable.dirty.ratio", "0.1", "at most"),
        Setting("delete.retention.ms", str(_HOUR), "at least"),
    ),
)
TOPICS: Final = (CONTROL, STATE, _kept("executions", 7), _kept("outcomes", 7), _kept("events", 30))
"""Those that a worker does not run without, in the order in which they are created."""
DEAD_LETTERS: Final = _kept("dead_letters", 30)
"""A worker runs without it, and keeps no failed runs then: namespaces of earlier versions have none."""
EVERY_TOPIC: Final = (*TOPICS, DEAD_LETTERS)
"""The contract's table ("Topics")."""


def topic_names(namespace: str) -> tuple[str, ...]:
    """The full names of all topics, control first."""
    return tuple(f"{namespace}.{plan.suffix}" for plan in EVERY_TOPIC)


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


def init_command(namespace: str) -> str:
    """What to type to create the topics of a namespace."""
    return f"kadence topics init{namespace_option(namespace)}"


def namespace_option(namespace: str) -> str:
    """What a command that a person is told to type ends with, so that it means this namespace."""
    return "" if namespace == DEFAULT_NAMESPACE else f" --namespace {namespace}"


def counted(number: int, noun: str) -> str:
    """``1 topic``, ``2 topics``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def are(number: int, noun: str) -> str:
    """``is 1 shard``, ``are 2 shards``."""
    return f"{'is' if number == 1 else 'are'} {counted(number, noun)}"
