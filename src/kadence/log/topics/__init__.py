"""The topics of a namespace: what the contract asks of them, creating what is missing, checking what is there.

A mismatch that would lose or double something is an error, and a worker does not run on it; what only makes an
accident more likely or a rebuild slower is a warning. So is anything about the topic of dead letters, without which a
worker does all of its work but keep the runs that failed.
"""

from kadence.log.topics.check import (
    Applied,
    Finding,
    TopicsReport,
    check_topics,
    control_recreated,
)
from kadence.log.topics.create import init_topics
from kadence.log.topics.plans import (
    ANSWER_SECONDS,
    CONTROL,
    DEAD_LETTERS,
    DEFAULT_NAMESPACE,
    DEFAULT_SHARDS,
    EVERY_TOPIC,
    STATE,
    TOPICS,
    counted,
    init_command,
    namespace_option,
    shard_count,
    topic_names,
)

__all__ = [
    "ANSWER_SECONDS",
    "CONTROL",
    "DEAD_LETTERS",
    "DEFAULT_NAMESPACE",
    "DEFAULT_SHARDS",
    "EVERY_TOPIC",
    "STATE",
    "TOPICS",
    "Applied",
    "Finding",
    "TopicsReport",
    "check_topics",
    "control_recreated",
    "counted",
    "init_command",
    "init_topics",
    "namespace_option",
    "shard_count",
    "topic_names",
]
