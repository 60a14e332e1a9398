"""The client against the in-process log, with an owner that applies what is written by the real fold."""

from __future__ import annotations

import json
import os
import pickle
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from kadence.client import Client
from kadence.domain.partition import partition_for
from kadence.domain.spec import parse_spec
from kadence.errors import (
    ConfigurationError,
    InvalidSpecError,
    KadenceError,
    NotConfirmedError,
    NotFoundError,
    RejectedError,
    SettingsError,
    UnreachableError,
)
from kadence.log.memory import MemoryLog
from tests.surfaces.owner import NS, Owner, a_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EVERY: dict[str, object] = {"schedule": {"every": "30s"}}


@pytest.fixture
def log() -> MemoryLog:
    return a_log()


@pytest.fixture
def client(log: MemoryLog) -> Iterator[Client]:
    """A client of a namespace whose shards are owned."""
    with Owner(log), Client(log=log, namespace=NS, by="anna", timeout=5) as client:
        yield client


def alone(log: MemoryLog, **settings: Any) -> Client:
    """A client of a namespace that no worker runs."""
    return Client(log=log, namespace=NS, **{"timeout": 5, **settings})


def control(log: MemoryLog) -> list[tuple[str, Any]]:
    records = log.records(f"{NS}.control", 0)
    return [((one.key or b"").decode(), None if one.value is None else json.loads(one.value)) for one in records]


# --- writing ---


def test_put_writes_the_definition_as_it_was_given_and_waits_until_it_is_in_force(
    log: MemoryLog, client: Client
) -> None:
    spec = {"schedule": {"cron": "0 9 * * MON-FRI", "timezone": "Europe/Berlin"}, "tags": ["b", "a"]}
    written = client.put("invoices", spec, reason="new")
    assert (written.kind, written.name, written.offset, written.fate) == ("job", "invoices", 0, "in_force")
    assert written.in_force
    assert control(log) == [("job/invoices", {**spec, "by": "anna", "reason": "new"})]


def test_python_times_and_durations_become_the_contracts_text(log: MemoryLog, client: Client) -> None:
    berlin = datetime.fromisoformat("2099-01-01T00:00:00+01:00")
    client.put("a", {"schedule": {"every": timedelta(minutes=90)}, "start": berlin, "jitter": timedelta(seconds=5)})
    assert control(log)[0][1] == {
        "schedule": {"every": "1h30m"},
        "start": "2098-12-31T23:00:00Z",
        "jitter": "5s",
        "by": "anna",
    }


def test_what_is_kept_but_not_acted_on_is_a_warning(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    client.put("a", {**EVERY, "max_runs": 3})
    client.put("b", EVERY)
    [warning] = [record for record in caplog.records if record.name == "kadence.client"]
    assert warning.getMessage().endswith("(a job does not finish by it): job a")


def test_a_parsed_spec_is_taken_too(log: MemoryLog, client: Client) -> None:
    client.put("a", parse_spec("a", {**EVERY, "tags": ["x"]}, NS))
    assert control(log)[0][1] == {**EVERY, "tags": ["x"], "by": "anna"}


INVALID: list[tuple[str, Callable[[Client], object], str]] = [
    ("an unknown field", lambda c: c.put("a", {"shedule": {}}), "job a: unknown field 'shedule'.*'schedule'"),
    ("no cron", lambda c: c.put("a", {"schedule": {"cron": "99 * * * *"}}), "job a: schedule: "),
    ("no mapping", lambda c: c.put("a", ["every"]), "job a: a job must be a mapping"),  # type: ignore[arg-type]
    ("no JSON", lambda c: c.put("a", {**EVERY, "payload": {1, 2}}), "job a: it does not fit into JSON"),
    ("NaN", lambda c: c.put("a", {**EVERY, "payload": float("nan")}), "job a: it does not fit into JSON"),
    ("half a surrogate pair", lambda c: c.put("a", {**EVERY, "payload": "\ud800"}), "job a: it does not fit"),
    ("no name", lambda c: c.put("a/b", EVERY), "is no name"),
    ("a naive time", lambda c: c.pause("a", until=datetime(2099, 1, 1)), "no time zone"),  # noqa: DTZ001
    ("no time", lambda c: c.pause("a", until="tomorrow"), "tomorrow.* is not an RFC 3339 time"),
    ("a negative duration", lambda c: c.pause("a", until=timedelta(seconds=-1)), "must not be negative"),
    ("a long reason", lambda c: c.pause("a", reason="x" * 1001), "pause a: reason: has 1001 characters"),
    ("no policy", lambda c: c.resume("a", catch_up="some"), "pause a: catch_up: must be one of"),  # type: ignore[arg-type]
    ("an empty selector", lambda c: c.hold("h", {}), "hold h: match: selects nothing"),
    ("an end before the start", lambda c: c.hold("h", {"all": True}, start="2099-01-02T00:00:00Z",
     end="2099-01-01T00:00:00Z"), "hold h: end: must be later"),
    ("a catch-up without an end", lambda c: c.hold("h", {"all": True}, catch_up="all"), "hold h: catch_up is for"),
    ("no id", lambda c: c.trigger("a", id="a b"), "trigger a: .* is no id"),
    ("a payload that is no JSON", lambda c: c.trigger("a", object()), "trigger a: the payload does not fit"),
    ("another namespace's topic", lambda c: c.put("a", {**EVERY, "target": {"topic": f"{NS}.state"}}), "kadence's own"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), [row[1:] for row in INVALID], ids=[row[0] for row in INVALID])
def test_what_a_worker_would_reject_is_not_written(
    log: MemoryLog, call: Callable[[Client], object], message: str
) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        call(alone(log))
    assert control(log) == []


def test_without_a_worker_the_record_is_there_but_not_confirmed(log: MemoryLog) -> None:
    with pytest.raises(NotConfirmedError, match="recorded at offset 0 but no worker has confirmed") as raised:
        alone(log).put("a", EVERY, wait=0.05)
    assert raised.value.offset == 0
    assert len(control(log)) == 1


def test_not_waiting_returns_once_it_is_recorded(log: MemoryLog) -> None:
    written = alone(log).pause("a", wait=False)
    assert (written.fate, written.found, written.in_force) == ("recorded", None, False)


@pytest.mark.parametrize("wait", [0.05, timedelta(milliseconds=50)])
def test_how_long_to_wait_is_seconds_or_a_timedelta(log: MemoryLog, wait: float | timedelta) -> None:
    with pytest.raises(NotConfirmedError):
        alone(log).pause("a", wait=wait)


def test_a_stale_write_is_rejected_with_the_shards_word(client: Client) -> None:
    first = client.put("a", EVERY)
    client.put("a", {"schedule": {"every": "1m"}}, if_offset=first.offset)
    with pytest.raises(RejectedError, match="job a was rejected at offset 2: stale: written for offset 0, but the one"):
        client.put("a", EVERY, if_offset=first.offset)
    assert client.get("a").document["schedule"] == {"every": "1m"}


def test_a_deployment_that_is_too_old_is_rejected(client: Client) -> None:
    client.put("a", {**EVERY, "revision": 7})
    with pytest.raises(RejectedError, match="revision 6 is older than 7"):
        client.put("a", {**EVERY, "revision": 6})


def test_many_jobs_are_written_in_one_go_and_all_of_them_confirmed(log: MemoryLog, client: Client) -> None:
    written = client.put_all({f"job-{number}": EVERY for number in range(200)})
    assert [one.offset for one in written] == list(range(200))
    assert {one.fate for one in written} == {"in_force"}
    assert len(client.list()) == 200


def test_one_bad_job_of_many_and_nothing_is_written(log: MemoryLog, client: Client) -> None:
    with pytest.raises(InvalidSpecError, match="job b: "):
        client.put_all({"a": EVERY, "b": {}, "c": EVERY})
    assert control(log) == []


def test_a_rejected_one_of_many_is_named_and_the_others_are_in_force(client: Client) -> None:
    client.put("b", {**EVERY, "revision": 2})
    with pytest.raises(RejectedError, match="job b was rejected at offset 2: stale"):
        client.put_all({"a": EVERY, "b": {**EVERY, "revision": 1}, "c": EVERY})
    assert [job.name for job in client.list()] == ["a", "b", "c"]


def test_nothing_to_write_is_no_error(client: Client) -> None:
    assert client.put_all({}) == ()


# --- pauses, holds, triggers ---


def test_pausing_and_resuming_a_job(client: Client) -> None:
    client.put("a", EVERY)
    assert client.pause("a", reason="audit").found is True
    job = client.get("a")
    assert (job.state, job.reason, job.by, job.next_due) == ("paused", "audit", "anna", None)
    assert client.resume("a").found is True
    assert client.get("a").state == "running"


def test_a_pause_may_precede_its_job_and_says_so(client: Client) -> None:
    assert client.pause("a").found is False
    with pytest.raises(NotFoundError, match="there is no job a in namespace ns; a pause waits for one of that name"):
        client.get("a")
    client.put("a", EVERY)
    assert client.get("a").state == "paused"


def test_a_pause_with_an_end(log: MemoryLog, client: Client) -> None:
    client.put("a", EVERY)
    end = datetime(2099, 1, 1, tzinfo=UTC)
    client.pause("a", until=end)
    assert client.get("a").next_due == int(end.timestamp() * 1000)
    client.pause("a", until=timedelta(hours=1))
    until = datetime.fromisoformat(control(log)[-1][1]["until"])
    assert timedelta(minutes=59) < until - datetime.now(UTC) <= timedelta(hours=1)  # noqa: TID251


def test_delete_takes_the_pause_along(log: MemoryLog, client: Client) -> None:
    client.put("a", EVERY)
    client.pause("a")
    assert client.delete("a").found is True
    assert control(log)[-2:] == [("job/a", None), ("pause/a", None)]
    client.put("a", EVERY)
    assert client.get("a").state == "running"


def test_deleting_what_is_not_there_is_said(client: Client) -> None:
    assert client.delete("a").found is False


def test_a_hold_is_in_force_once_every_shard_applied_it(client: Client) -> None:
    client.put_all({name: {**EVERY, "tags": ["batch"]} for name in ("a", "b", "c", "d")})
    client.put("vital", {**EVERY, "tags": ["batch", "vital"]})
    written = client.hold("freeze", {"tags": ["batch"], "not": {"tags": ["vital"]}}, reason="move")
    assert written.fate == "in_force"
    assert {job.name: job.state for job in client.list()} == dict.fromkeys("abcd", "paused") | {"vital": "running"}
    [hold] = client.holds()
    assert (hold.name, hold.state, hold.matched, hold.shards, hold.reason) == ("freeze", "active", 4, 3, "move")
    assert client.get("a").reason == "hold freeze: move"
    assert client.release("freeze").found is True
    assert client.release("freeze").found is False
    assert {job.state for job in client.list()} == {"running"}


def test_an_end_given_as_a_duration_counts_from_the_start(log: MemoryLog, client: Client) -> None:
    client.hold("night", {"all": True}, start="2099-01-01T00:00:00Z", end=timedelta(hours=6))
    assert control(log)[0][1]["end"] == "2099-01-01T06:00:00Z"
    assert client.holds()[0].state == "scheduled"


def test_a_release_may_say_what_becomes_of_the_due_times_that_were_kept(log: MemoryLog, client: Client) -> None:
    client.put("a", EVERY)
    client.hold("freeze", {"all": True}, reason="move")
    assert client.release("freeze", catch_up="all").in_force
    value = control(log)[-1][1]
    assert (value["match"], value["catch_up"], value["reason"], value["by"]) == ({"all": True}, "all", "move", "anna")
    assert (client.holds()[0].state, client.get("a").state) == ("ended", "running")
    with pytest.raises(NotFoundError, match="there is no hold nothing in force"):
        client.release("nothing", catch_up="all")
    assert client.release("freeze").found is True


def test_a_hold_that_only_some_shards_have_applied_is_not_confirmed(log: MemoryLog) -> None:
    with Owner(log) as owner:
        owner.shards.pop()
        with pytest.raises(NotConfirmedError):
            alone(log).hold("h", {"all": True}, wait=0.3)
    assert alone(log).holds()[0].state == "pending"


def test_a_trigger_acts_once_per_id(client: Client) -> None:
    client.put("a", EVERY)
    assert client.trigger("a", {"x": 1}, id="once") == "once"
    with pytest.raises(RejectedError, match="duplicate: id 'once' was triggered before"):
        client.trigger("a", id="once")
    assert client.trigger("a") != client.trigger("a")


def test_triggering_no_job_finds_none(client: Client) -> None:
    with pytest.raises(NotFoundError, match="there is no job a in namespace ns to trigger"):
        client.trigger("a")


def test_a_trigger_without_a_payload_is_not_a_trigger_with_null(log: MemoryLog, client: Client) -> None:
    client.put("a", EVERY)
    client.trigger("a", id="one")
    client.trigger("a", None, id="two")
    assert [value for _, value in control(log)[1:]] == [{"by": "anna"}, {"payload": None, "by": "anna"}]


# --- reading ---


def test_list_chooses_by_name_tag_and_state(client: Client) -> None:
    client.put_all({"a-1": {**EVERY, "tags": ["x"]}, "a-2": EVERY, "b-1": {**EVERY, "tags": ["x", "y"]}})
    client.pause("a-2")

    def names(**by: Any) -> list[str]:
        return [job.name for job in client.list(**by)]

    assert names() == ["a-1", "a-2", "b-1"]
    assert names(names=["a-*"]) == ["a-1", "a-2"]
    assert names(tags=["x"]) == ["a-1", "b-1"]
    assert names(tags=["x"], names=["b*", "c*"]) == ["b-1"]
    assert names(states=["paused"]) == ["a-2"]
    with pytest.raises(InvalidSpecError, match="is no glob"):
        names(names=["a/*"])


def test_get_reads_only_the_jobs_own_shard(log: MemoryLog, client: Client) -> None:
    client.put("a", EVERY)
    other = (partition_for(b"a", 3) + 1) % 3
    log.set_available(f"{NS}.state", other, available=False)
    assert client.get("a").state == "running"


# --- where it connects, and what it says when it cannot ---


def test_one_place_at_most_may_be_given(log: MemoryLog) -> None:
    with pytest.raises(ConfigurationError, match="one of bootstrap_servers, settings and log"):
        Client("x:1", log=log)


@pytest.mark.parametrize("servers", ["", "foo:bar", "host:99999"])
def test_a_malformed_address_is_refused_at_once(servers: str) -> None:
    with pytest.raises(SettingsError, match="bootstrap_servers cannot be '"):
        Client(servers)


def test_without_a_place_the_environment_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KADENCE_NAMESPACE", "elsewhere")
    assert Client().namespace == "elsewhere"


CALLS: list[Callable[[Client], object]] = [
    lambda client: client.put("a", EVERY),
    lambda client: client.put("a", EVERY, wait=False),
    lambda client: client.put_all({"a": EVERY, "b": EVERY}, wait=False),
    lambda client: client.get("a"),
    lambda client: client.list(),
]


@pytest.mark.parametrize("call", CALLS)
def test_missing_topics_are_answered_with_the_remedy(call: Callable[[Client], object]) -> None:
    empty = MemoryLog(lambda: 0)
    with pytest.raises(
        ConfigurationError, match="does not exist; create kadence's topics with `kadence topics init --names"
    ):
        call(alone(empty))


@pytest.mark.parametrize("call", CALLS[3:])
def test_a_partition_without_a_leader_is_unreachable(log: MemoryLog, call: Callable[[Client], object]) -> None:
    log.set_available(f"{NS}.control", 0, available=False)
    with pytest.raises(UnreachableError):
        call(alone(log))


def test_a_closed_client_opens_again(client: Client) -> None:
    client.put("a", EVERY)
    client.close()
    client.close()
    assert client.put("a", EVERY).in_force


def test_several_threads_share_a_client(client: Client) -> None:
    failed: list[KadenceError] = []

    def write(name: str) -> None:
        try:
            client.put(name, EVERY)
        except KadenceError as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=[f"job-{number}"]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(client.list()) == 8


def test_a_client_can_be_sent_to_another_process_and_connects_there() -> None:
    client = Client("127.0.0.1:1", namespace="other", by="anna")
    client.__dict__["_sessions"][os.getpid()] = "this process's connections"
    copy = pickle.loads(pickle.dumps(client))  # noqa: S301
    assert (copy.namespace, copy.by, copy.__dict__["_sessions"]) == ("other", "anna", {})


def test_a_fork_does_not_use_what_it_inherited(log: MemoryLog, monkeypatch: pytest.MonkeyPatch) -> None:
    client = alone(log)
    client.put("a", EVERY, wait=False)
    mine = client._session()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert client._session() is not mine
    assert mine in client.__dict__["_sessions"].values()
