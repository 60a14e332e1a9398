"""The topics of a namespace: created as the contract's table says, adopted, refused, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kadence.errors import ConfigurationError
from kadence.log.kafka import KafkaLog
from kadence.log.memory import MemoryLog
from kadence.log.topics import TopicsReport, check_topics, init_topics

if TYPE_CHECKING:
    from kadence.testing.broker import Cluster

# The contract's table, written out once more: an oracle that shares no line with the plan it checks.
TABLE = {
    "ns.control": {"cleanup.policy": "compact", "min.compaction.lag.ms": "86400000"},
    "ns.state": {
        "cleanup.policy": "compact",
        "segment.ms": "600000",
        "segment.bytes": "67108864",
        "min.cleanable.dirty.ratio": "0.1",
        "delete.retention.ms": "3600000",
    },
    "ns.executions": {"cleanup.policy": "delete", "retention.ms": "604800000"},
    "ns.outcomes": {"cleanup.policy": "delete", "retention.ms": "604800000"},
    "ns.events": {"cleanup.policy": "delete", "retention.ms": "2592000000"},
}
LETTERS = {"ns.dead_letters": {"cleanup.policy": "delete", "retention.ms": "2592000000"}}
EVERY = TABLE | LETTERS


def a_log(brokers: int = 3) -> MemoryLog:
    log = MemoryLog(lambda: 1_760_000_000_000)
    log.set_brokers(brokers)
    return log


def initialised(brokers: int = 3) -> MemoryLog:
    log = a_log(brokers)
    init_topics(log.admin(), "ns")
    return log


def problems(report: TopicsReport) -> str:
    return "\n".join(finding.sentence for finding in report.errors)


def test_init_creates_the_topics_of_the_contract() -> None:
    log = a_log()
    done = init_topics(log.admin(), "ns", shards=7)
    found = log.admin().describe(EVERY)
    assert {name: info.partitions for name, info in found.items()} == dict.fromkeys(EVERY, 7) | {"ns.control": 1}
    for name, settings in EVERY.items():
        expected = settings | {"message.timestamp.type": "LogAppendTime"}
        assert {key: found[name].config[key] for key in expected} == expected
    assert done[0] == "created ns.control: 1 partition, replication 3, compact"
    assert done[1] == "created ns.state: 7 partitions, replication 3, compact"


def test_what_init_created_passes_the_check_without_a_warning() -> None:
    log = initialised()
    report = check_topics(log.admin(), "ns")
    control = log.admin().describe(["ns.control"])["ns.control"]
    assert report == TopicsReport((), (), 12, control.topic_id)
    assert report.ok


def test_init_twice_does_nothing_the_second_time() -> None:
    assert init_topics(initialised().admin(), "ns") == []


@pytest.mark.parametrize(("brokers", "copies"), [(1, 1), (2, 2), (3, 3), (5, 3)])
def test_replication_is_three_or_as_many_as_there_are_brokers(brokers: int, copies: int) -> None:
    found = initialised(brokers).admin().describe(EVERY)
    assert {info.replication for info in found.values()} == {copies}


def test_few_replicas_are_a_warning() -> None:
    report = check_topics(initialised(brokers=1).admin(), "ns")
    assert report.ok
    assert [finding.problem for finding in report.warnings] == [
        "6 topics of namespace ns are kept on 1 broker only: fine for trying things out, but losing one can lose them"
    ]


def test_a_control_topic_that_auto_creation_made_is_adopted_with_its_records() -> None:
    log = a_log()
    log.admin().create("ns.control", 1, 1, {})
    log.appender().append("ns.control", 0, b"job/a", b"{}")
    done = init_topics(log.admin(), "ns")
    assert done[0] == (
        "adopted ns.control: set message.timestamp.type=LogAppendTime, cleanup.policy=compact, "
        "min.compaction.lag.ms=86400000"
    )
    assert check_topics(log.admin(), "ns").ok
    assert len(log.records("ns.control", 0)) == 1


def test_a_control_topic_with_several_partitions_is_refused_before_anything_is_done() -> None:
    log = a_log()
    log.admin().create("ns.control", 3, 1, {})
    with pytest.raises(
        ConfigurationError, match=r"has 3 partitions and must have exactly 1.*kafka-topics.sh.*--delete"
    ):
        init_topics(log.admin(), "ns")
    assert list(log.admin().describe(EVERY)) == ["ns.control"]


def test_an_existing_state_topic_decides_how_many_shards_there_are() -> None:
    log = a_log()
    log.admin().create("ns.state", 5, 3, TABLE["ns.state"] | {"message.timestamp.type": "LogAppendTime"})
    done = init_topics(log.admin(), "ns", shards=8)
    assert done[0] == "ns.state has 5 partitions already, so there are 5 shards"
    report = check_topics(log.admin(), "ns")
    assert (report.ok, report.shards) == (True, 5)


def test_a_chosen_retention_is_left_alone_but_warned_of() -> None:
    log = initialised()
    log.admin().alter("ns.executions", {"retention.ms": "3600000"})
    assert init_topics(log.admin(), "ns") == []
    [warning] = check_topics(log.admin(), "ns").warnings
    assert warning.problem == "topic ns.executions has retention.ms=3600000 and should have at least 604800000"
    assert warning.remedy.endswith("--entity-name ns.executions --add-config retention.ms=604800000")


@pytest.mark.parametrize("value", ["-1", "9000000000"])
def test_a_longer_retention_is_as_good(value: str) -> None:
    log = initialised()
    log.admin().alter("ns.events", {"retention.ms": value})
    assert check_topics(log.admin(), "ns").warnings == ()


ERRORS = [
    ("ns.control", "cleanup.policy", "compact,delete", "must have compact"),
    ("ns.control", "cleanup.policy", "delete", "must have compact"),
    ("ns.control", "message.timestamp.type", "CreateTime", "must have LogAppendTime"),
    ("ns.state", "cleanup.policy", "compact,delete", "must have compact"),
    ("ns.state", "message.timestamp.type", "CreateTime", "must have LogAppendTime"),
    ("ns.executions", "message.timestamp.type", "CreateTime", "must have LogAppendTime"),
    ("ns.outcomes", "message.timestamp.type", "CreateTime", "must have LogAppendTime"),
    ("ns.events", "message.timestamp.type", "CreateTime", "must have LogAppendTime"),
]


@pytest.mark.parametrize(("topic", "setting", "value", "wanted"), ERRORS)
def test_a_setting_that_would_lose_something_is_an_error_that_init_mends(
    topic: str, setting: str, value: str, wanted: str
) -> None:
    log = initialised()
    log.admin().alter(topic, {setting: value})
    [error] = check_topics(log.admin(), "ns", servers="here:9092").errors
    assert error.problem == f"topic {topic} has {setting}={value} and {wanted}"
    assert error.remedy.startswith("set it: kafka-configs.sh --bootstrap-server here:9092 --alter --entity-type topics")
    assert init_topics(log.admin(), "ns")[0].startswith(f"adopted {topic}: set {setting}=")
    assert check_topics(log.admin(), "ns").ok


WARNINGS = [
    ("ns.control", "min.compaction.lag.ms", "0"),
    ("ns.state", "segment.ms", "604800000"),
    ("ns.state", "segment.bytes", "1073741824"),
    ("ns.state", "min.cleanable.dirty.ratio", "0.5"),
    ("ns.state", "delete.retention.ms", "1000"),
    ("ns.executions", "cleanup.policy", "compact"),
    ("ns.outcomes", "max.message.bytes", "1000"),
    ("ns.events", "min.insync.replicas", "1"),
]


@pytest.mark.parametrize(("topic", "setting", "value"), WARNINGS)
def test_any_other_setting_that_is_off_is_a_warning(topic: str, setting: str, value: str) -> None:
    log = initialised()
    log.admin().alter(topic, {setting: value})
    report = check_topics(log.admin(), "ns")
    assert report.ok
    assert [finding.problem.split(" and ")[0] for finding in report.warnings] == [
        f"topic {topic} has {setting}={value}"
    ]


@pytest.mark.parametrize(("partitions", "remedy"), [(5, "--alter --topic ns.events --partitions 12"), (13, "--delete")])
def test_a_topic_that_does_not_match_the_shards_is_an_error(partitions: int, remedy: str) -> None:
    log = initialised()
    log.delete("ns.events")
    log.admin().create("ns.events", partitions, 3, TABLE["ns.events"] | {"message.timestamp.type": "LogAppendTime"})
    report = check_topics(log.admin(), "ns")
    assert f"topic ns.events has {partitions} partitions but there are 12 shards" in problems(report)
    assert remedy in problems(report)


def test_every_missing_topic_is_named_and_init_is_the_remedy() -> None:
    report = check_topics(a_log().admin(), "ns")
    assert [finding.sentence for finding in report.errors] == [
        f"topic {name} does not exist; create it with: kadence topics init --namespace ns" for name in TABLE
    ]
    assert (report.shards, report.control_topic_id) == (0, "")


def test_topics_that_this_login_cannot_use_are_errors() -> None:
    log = initialised()
    log.restrict("ns.state", writable=False)
    log.restrict("ns.control", error="TOPIC_AUTHORIZATION_FAILED")
    report = check_topics(log.admin(), "ns")
    assert "ns.state may not be written by this login; allow it: kafka-acls.sh" in problems(report)
    assert "ns.control cannot be described: TOPIC_AUTHORIZATION_FAILED" in problems(report)
    with pytest.raises(ConfigurationError, match="cannot be described"):
        init_topics(log.admin(), "ns")


# --- dead letters: a worker runs without, and says so ---

UNKEPT = ", so that runs which failed for good are not kept there"


def letters(log: MemoryLog, partitions: int = 12, settings: dict[str, str] | None = None) -> tuple[str, str]:
    """The one warning about a topic of dead letters that was made by hand: the problem and the remedy."""
    log.delete("ns.dead_letters")
    if partitions:
        log.admin().create("ns.dead_letters", partitions, 3, settings or {})
    report = check_topics(log.admin(), "ns")
    assert report.ok
    [warning] = report.warnings
    return warning.problem, warning.remedy


def test_a_namespace_without_dead_letters_runs_with_a_warning_and_init_is_the_remedy() -> None:
    log = initialised()
    problem, remedy = letters(log, 0)
    assert problem == f"topic ns.dead_letters does not exist{UNKEPT}"
    assert remedy == "create it with: kadence topics init --namespace ns"
    assert init_topics(log.admin(), "ns") == ["created ns.dead_letters: 12 partitions, replication 3, delete"]
    assert check_topics(log.admin(), "ns").warnings == ()


GOOD = {"message.timestamp.type": "LogAppendTime", "retention.ms": "2592000000", "min.insync.replicas": "2"}


@pytest.mark.parametrize(("partitions", "remedy"), [(1, "--alter --topic ns.dead_letters"), (13, "--delete")])
def test_dead_letters_with_other_partitions_are_a_warning(partitions: int, remedy: str) -> None:
    problem, told = letters(initialised(), partitions, GOOD)
    shown, effect = ("1 partition", UNKEPT) if partitions == 1 else ("13 partitions", "")
    assert problem == f"topic ns.dead_letters has {shown} but there are 12 shards{effect}"
    assert remedy in told


def test_dead_letters_in_a_producers_time_are_a_warning_that_init_mends() -> None:
    log = initialised()
    problem, remedy = letters(log, 12, GOOD | {"message.timestamp.type": "CreateTime"})
    assert problem == "topic ns.dead_letters has message.timestamp.type=CreateTime and must have LogAppendTime"
    assert "--add-config message.timestamp.type=LogAppendTime" in remedy
    assert init_topics(log.admin(), "ns") == ["adopted ns.dead_letters: set message.timestamp.type=LogAppendTime"]
    assert check_topics(log.admin(), "ns").warnings == ()


def test_dead_letters_that_are_kept_for_less_long_are_kept_all_the_same() -> None:
    problem, _ = letters(initialised(), 12, GOOD | {"retention.ms": "1000"})
    assert problem == "topic ns.dead_letters has retention.ms=1000 and should have at least 2592000000"


@pytest.mark.parametrize(("writable", "error"), [(False, None), (True, "TOPIC_AUTHORIZATION_FAILED")])
def test_dead_letters_that_this_login_cannot_use_are_a_warning(*, writable: bool, error: str | None) -> None:
    log = initialised()
    log.restrict("ns.dead_letters", writable=writable, error=error)
    report = check_topics(log.admin(), "ns")
    assert report.ok
    [warning] = report.warnings
    assert warning.problem.endswith(UNKEPT)
    assert "kafka-acls.sh" in warning.remedy
    assert init_topics(log.admin(), "ns") == []


@pytest.mark.broker
def test_on_a_real_broker_init_creates_adopts_and_passes_its_own_check(broker: Cluster, namespace: str) -> None:
    admin = KafkaLog(broker.bootstrap_servers).admin()
    admin.create(f"{namespace}.control", 1, 1, {})
    assert not check_topics(admin, namespace).ok
    done = init_topics(admin, namespace, shards=3)
    assert done[0].startswith(f"adopted {namespace}.control: set ")
    report = check_topics(admin, namespace)
    assert (report.errors, report.shards) == ((), 3)
    assert report.control_topic_id
    assert [finding.problem.partition(" are kept on ")[2].partition(" only")[0] for finding in report.warnings] == [
        "1 broker"
    ]
    admin.close()
