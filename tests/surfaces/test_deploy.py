"""`Client.plan` and `Client.deploy`: only what differs is written, and nothing of anybody else's is touched."""

from __future__ import annotations

import json
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest

from kadence import App, Client
from kadence.errors import ConfigurationError, InvalidSpecError, RejectedError
from tests.surfaces.owner import NS, Owner, a_log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kadence.log.memory import MemoryLog

Specs = dict[str, dict[str, Any]]

HOURLY: Specs = {"tick": {"schedule": {"every": "1h"}}}


def a_client(log: MemoryLog) -> Client:
    return Client(log=log, namespace=NS, by="me", timeout=5)


def written(log: MemoryLog) -> list[tuple[str, Any]]:
    records = log.records(f"{NS}.control", 0)
    return [((one.key or b"").decode(), json.loads(one.value or b"null")) for one in records]


def planned(client: Client, specs: Mapping[str, Mapping[str, object]], app: str = "billing") -> list[tuple[Any, ...]]:
    return [(step.name, step.what, step.fields) for step in client.plan(specs, app).steps]


def test_a_deployment_creates_what_is_not_there_and_then_writes_nothing() -> None:
    log = a_log()
    app = App("billing", revision=3)
    app.job("tick", every="1h")(lambda: None)
    app.job("tock", cron="@daily", payload={"a": 1}, tags=["b", "a"])(lambda: None)
    with Owner(log), a_client(log) as client:
        first = client.deploy(app.specs(), app.name)
        again = client.deploy(app.specs(), app.name)
    assert [(step.name, step.what) for step in first.plan.steps] == [("tick", "created"), ("tock", "created")]
    assert first.in_force
    assert [(step.what, step.writes) for step in again.plan.steps] == [("unchanged", False), ("unchanged", False)]
    assert (again.written, again.in_force, len(written(log))) == ((), True, 2)
    key, value = written(log)[0]
    assert (key, value["managed_by"], value["revision"], value["by"]) == ("job/tick", "billing", 3, "me")


def test_a_plan_writes_nothing() -> None:
    log = a_log()
    with Owner(log), a_client(log) as client:
        assert planned(client, HOURLY) == [("tick", "created", ())]
    assert written(log) == []


BEFORE: dict[str, Any] = {
    "schedule": {"every": "1h"},
    "retry": {"attempts": 3, "delay": "10s"},
    "target": {"headers": {"x": "1", "y": "2"}},
    "payload": {"a": 1, "b": 2},
    "tags": ["a", "b"],
    "jitter": "1s",
}
CHANGES: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({}, ()),
    ({"schedule": {"every": "PT60M"}, "tags": ["b", "a", "a"], "overlap": "allow", "jitter": 1}, ()),
    ({"target": {"headers": {"x": "1", "y": "2"}, "key": None}, "description": None}, ()),
    ({"paused": True}, ()),
    ({"schedule": {"every": "2h"}}, ("schedule",)),
    ({"start": "2030-01-01T00:00:00Z"}, ("start",)),
    ({"jitter": "2s"}, ("jitter",)),
    ({"retry": {"attempts": 5}}, ("retry.attempts",)),
    ({"retry": {"attempts": 5, "delay": "1s"}, "timeout": "5m"}, ("timeout", "retry.attempts", "retry.delay")),
    ({"target": {"headers": {"x": "1"}}}, ("target.headers",)),
    ({"payload": {"a": 2}}, ("payload",)),
    ({"payload": None, "payload_text": "x"}, ("payload",)),
    ({"revision": 1}, ("revision",)),
    ({"tags": []}, ("tags",)),
]


@pytest.mark.parametrize(("change", "fields"), CHANGES)
def test_definitions_are_compared_by_what_they_mean(change: dict[str, Any], fields: tuple[str, ...]) -> None:
    log = a_log()
    after = {name: value for name, value in {**BEFORE, **change}.items() if value is not None}
    with Owner(log), a_client(log) as client:
        client.deploy({"tick": BEFORE}, "billing")
        assert planned(client, {"tick": after}) == [("tick", "changed" if fields else "unchanged", fields)]
        client.deploy({"tick": after}, "billing")
        assert len(written(log)) == 1 + bool(fields)
        assert planned(client, {"tick": after}) == [("tick", "unchanged", ())]


def test_a_pause_is_not_touched() -> None:
    log = a_log()
    with Owner(log), a_client(log) as client:
        client.deploy(HOURLY, "billing")
        client.pause("tick", reason="me")
        client.deploy({"tick": {"schedule": {"every": "2h"}, "paused": False}}, "billing")
        assert client.get("tick").state == "paused"


def test_what_the_program_no_longer_has_stays(caplog: pytest.LogCaptureFixture) -> None:
    log = a_log()
    with Owner(log), a_client(log) as client:
        client.deploy({**HOURLY, "tock": {"schedule": {"every": "1h"}}}, "billing")
        with caplog.at_level(logging.WARNING, "kadence.client"):
            done = client.deploy(HOURLY, "billing")
        assert client.status().jobs.keys() == {"tick", "tock"}
        assert [(step.name, step.what) for step in done.plan.kept] == [("tock", "kept")]
        client.deploy({**HOURLY, "tock": {"schedule": {"every": "1h"}, "revision": 2}}, "billing")
        assert client.plan(HOURLY, "billing").kept == ()
    assert [record.getMessage() for record in caplog.records] == [
        "job tock is not in the app any more; it goes on firing: kadence delete tock --namespace ns"
    ]


def test_a_plan_tells_values_that_are_short() -> None:
    log = a_log()
    with Owner(log), a_client(log) as client:
        client.deploy({"tick": BEFORE}, "billing")
        after = {**BEFORE, "retry": {"attempts": 5, "delay": "10s"}, "payload": "x" * 99, "tags": None, "jitter": None}
        [step] = client.plan({"tick": {name: value for name, value in after.items() if value}}, "billing").steps
    assert [(one.field, one.old, one.new) for one in step.changes if one.small] == [
        ("jitter", "1s", None),
        ("retry.attempts", 3, 5),
        ("tags", ["a", "b"], None),
    ]
    assert [one.field for one in step.changes if not one.small] == ["payload"]


def test_a_job_of_somebody_elses_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    log = a_log()
    specs = {"tick": {"schedule": {"every": "2h"}}, "tock": {"schedule": {"every": "2h"}}}
    with Owner(log), a_client(log) as client:
        client.deploy(HOURLY, "shipping")
        assert planned(client, specs) == [("tick", "foreign", ()), ("tock", "created", ())]
        with pytest.raises(
            ConfigurationError, match=r"^job tick is left alone: it is managed by shipping; .* written$"
        ):
            client.deploy(specs, "billing", strict=True)
        assert len(written(log)) == 1
        with caplog.at_level(logging.WARNING, "kadence.client"):
            done = client.deploy(specs, "billing")
    assert [one.name for one in done.written] == ["tock"]
    assert [record.getMessage() for record in caplog.records] == [
        "job tick is left alone: it is managed by shipping; give one of the two another name, or delete the other one"
    ]


def test_a_job_that_nobody_manages_is_taken_over() -> None:
    log = a_log()
    with Owner(log), a_client(log) as client:
        client.put("tick", HOURLY["tick"])
        assert planned(client, HOURLY) == [("tick", "changed", ("managed_by",))]


def test_an_older_program_changes_nothing() -> None:
    log = a_log()
    new = {"tick": {"schedule": {"every": "2h"}, "revision": 7}}
    with Owner(log), a_client(log) as client:
        client.deploy(new, "billing")
        for revision, told in ((3, "revision 3"), (None, "no revision")):
            old = {"tick": {**HOURLY["tick"], **({} if revision is None else {"revision": revision})}}
            [step] = client.deploy(old, "billing").plan.steps
            assert (step.what, step.why) == ("stale", f"{told} is older than 7, which is in force")
    assert len(written(log)) == 1


class InBetween(Client):
    """A client that somebody else is quicker than: between its look and its record."""

    quicker: tuple[Mapping[str, Mapping[str, object]], str] | None = None

    def _plan(self, wanted: Mapping[str, Mapping[str, object]]) -> Any:  # type: ignore[explicit-override]  # noqa: ANN401
        plan = super()._plan(wanted)
        if self.quicker is not None:
            specs, managed_by = self.quicker
            assert self._log is not None
            a_client(self._log).deploy(specs, managed_by)  # type: ignore[arg-type]  # the memory log
        return plan


def test_a_newer_program_that_is_quicker_is_no_error() -> None:
    log = a_log()
    client = InBetween(log=log, namespace=NS, timeout=5)
    client.quicker = {"tick": {"schedule": {"every": "2h"}, "revision": 7}}, "billing"
    with Owner(log), client:
        done = client.deploy({"tick": {**HOURLY["tick"], "revision": 3}, "tock": HOURLY["tick"]}, "billing")
        assert client.get("tick").document["revision"] == 7
    assert [(step.name, step.what) for step in done.plan.steps] == [("tick", "stale"), ("tock", "created")]
    assert "revision 3 is older than 7" in (done.plan.steps[0].why or "")
    assert [one.name for one in done.written] == ["tock"]


def test_two_of_one_program_at_once_are_no_error() -> None:
    log = a_log()
    specs = {f"job-{number}": {"schedule": {"every": "1h"}, "revision": 3} for number in range(20)}
    failed: list[BaseException] = []
    together = threading.Barrier(4)

    def deploys() -> None:
        try:
            with a_client(log) as client:
                together.wait(10)
                assert client.deploy(specs, "billing").in_force
        except BaseException as error:  # noqa: BLE001  reported below
            failed.append(error)

    with Owner(log):
        threads = [threading.Thread(target=deploys) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with a_client(log) as client:
            assert {step.what for step in client.plan(specs, "billing").steps} == {"unchanged"}
    assert failed == []


def test_nobody_has_to_confirm_it() -> None:
    log = a_log()
    with a_client(log) as client:
        done = client.deploy(HOURLY, "billing", wait=0.01)
        assert ([one.fate for one in done.written], done.in_force) == (["recorded"], False)
        assert planned(client, HOURLY) == [("tick", "unchanged", ())]
        assert planned(client, {"tick": {"schedule": {"every": "2h"}}}) == [("tick", "changed", ("schedule",))]
        assert planned(client, HOURLY, "shipping") == [("tick", "foreign", ())]


def test_a_definition_that_no_worker_has_read_yet_counts_as_what_is_there() -> None:
    log = a_log()
    with Owner(log), a_client(log) as client:
        client.deploy(HOURLY, "billing")
    with a_client(log) as client:
        client.deploy({"tick": {"schedule": {"every": "2h"}}}, "billing", wait=False)
        assert planned(client, {"tick": {"schedule": {"every": "2h"}}}) == [("tick", "unchanged", ())]
        assert planned(client, HOURLY) == [("tick", "changed", ("schedule",))]
        log.appender().append(f"{NS}.control", 0, b"job/tick", b"{}", timeout=1)
        assert planned(client, HOURLY) == [("tick", "unchanged", ())]
        client.delete("tick", wait=False)
        assert planned(client, HOURLY, "shipping") == [("tick", "created", ())]


def test_a_definition_that_was_refused_is_as_good_as_none() -> None:
    log = a_log()
    log.appender().append(f"{NS}.control", 0, b"job/tick", b"{}", timeout=1)
    with Owner(log), a_client(log) as client:
        client.put("other", HOURLY["tick"])  # what came before is decided when this is
        assert planned(client, HOURLY) == [("tick", "created", ())]


def test_a_program_without_jobs_asks_nobody() -> None:
    client = Client("localhost:1", namespace=NS)
    assert (client.plan({}, "billing").steps, client.deploy({}, "billing").written) == ((), ())


BAD: list[tuple[Specs, str, str]] = [
    ({"tick": {"shedule": {}}}, "billing", "job tick: unknown field 'shedule'"),
    ({"a b": HOURLY["tick"]}, "billing", "'a b' is no name"),
    (HOURLY, "", "a deployment needs a name that its jobs are managed by"),
    ({"tick": "1h"}, "billing", "job tick: a job must be a mapping"),  # type: ignore[dict-item]  # on purpose
]


@pytest.mark.parametrize(("specs", "app", "message"), BAD)
def test_one_bad_definition_and_nothing_is_written(specs: Specs, app: str, message: str) -> None:
    log = a_log()
    with a_client(log) as client, pytest.raises(InvalidSpecError, match=message):
        client.deploy({"good": HOURLY["tick"], **specs}, app)
    assert written(log) == []


def test_what_a_shard_refuses_for_another_reason_is_an_error() -> None:
    log = a_log()

    class Unlucky(Client):
        def submit(self, written: Any, *, wait: Any = True) -> Any:  # type: ignore[explicit-override]  # noqa: ANN401
            log.appender().append(f"{NS}.control", 0, b"job/tick", b'{"if_offset": 5}', timeout=1)
            bad = type(written[0])("job", "tick", b"job/tick", b'{"v": 2}')
            return super().submit([bad], wait=wait)

    with Owner(log), Unlucky(log=log, namespace=NS, timeout=5) as client, pytest.raises(RejectedError):
        client.deploy(HOURLY, "billing")
