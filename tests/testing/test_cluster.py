"""A cluster in memory besides time: apps, the client, failures, jobs without handlers, messages."""

from __future__ import annotations

import asyncio
import gc
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from kadence import App, Cancel, Run
from kadence.errors import ConfigurationError, NotConfirmedError, NotFoundError
from kadence.log.memory.faults import Unreachable
from kadence.log.memory.reader import MemoryReader
from kadence.testing import Event, Execution, MemoryCluster

if TYPE_CHECKING:
    from kadence.log.memory.faults import Fault


# --- failures ------------------------------------------------------------------------------------------------


def test_what_a_handler_raises_is_raised_by_the_cluster_with_its_own_traceback(
    kadence_cluster: type[MemoryCluster],
) -> None:
    app = App("billing")

    @app.job("invoices", every="1h")
    def invoices() -> None:
        raise ZeroDivisionError("no customers")

    cluster = kadence_cluster(app)
    with pytest.raises(ZeroDivisionError, match="no customers") as caught:
        cluster.advance("5h")
    assert caught.traceback[-1].name == "invoices"
    assert all("handler.py" not in str(entry.path) for entry in caught.traceback)
    assert caught.value.__notes__ == ["in attempt 1 at run invoices@2026-01-05T09:00:00Z, at 2026-01-05 09:00:00 UTC"]
    assert cluster.now == datetime(2026, 1, 5, 9, tzinfo=UTC)
    cluster.assert_state("invoices", "errored")  # it was reported before it was raised
    assert [one.error for one in cluster.failures] == [caught.value]
    assert "ZeroDivisionError: no customers" in cluster.failures[0].traceback


def test_of_several_failures_at_one_instant_the_first_is_raised_and_says_so(
    kadence_cluster: type[MemoryCluster],
) -> None:
    app = App("billing")

    @app.job("a", every="1h")
    @app.job("b", every="1h")
    async def fail(run: Run[object]) -> None:
        raise ValueError(run.job)

    cluster = kadence_cluster(app)
    with pytest.raises(ValueError, match=r"^a\n") as caught:
        cluster.advance("1h")
    assert "1 more failed at that instant; the cluster's failures tell" in caught.value.__notes__
    assert [one.job for one in cluster.failures] == ["a", "b"]


def test_a_cancelled_run_is_no_failure(kadence_cluster: type[MemoryCluster]) -> None:
    app = App("billing")

    @app.job("invoices", every="1h")
    def invoices() -> None:
        raise Cancel("nothing to bill")

    cluster = kadence_cluster(app)
    cluster.advance("1h")
    assert [(one.status, one.error) for one in cluster.executions()] == [("cancelled", "Cancel: nothing to bill")]
    assert cluster.failures == []


def test_a_payload_that_is_not_valid_fails_the_attempt(kadence_cluster: type[MemoryCluster]) -> None:
    @dataclass
    class Batch:
        customers: int

    app = App("billing")

    @app.job("invoices", every="1h", payload={"customers": 1})
    def invoices(run: Run[Batch]) -> int:
        return run.payload.customers

    cluster = kadence_cluster(app)
    with pytest.raises(Exception, match="customers") as caught:
        cluster.trigger("invoices", {"customers": "many"})
    assert type(caught.value).__name__ == "InvalidPayloadError"
    assert cluster.trigger("invoices", {"customers": 7}, id="seven").result == 7
    assert cluster.execution("invoices!seven").payload == {"customers": 7}


def test_what_is_meant_for_the_test_ends_the_test(kadence_cluster: type[MemoryCluster]) -> None:
    app = App("billing")

    @app.job("never", every="1h")
    def never() -> None:
        pytest.fail("this job must not run")

    @app.job("stop", every="3h", paused=True)
    async def stop() -> None:
        raise KeyboardInterrupt

    cluster = kadence_cluster(app, raise_failures=False)
    with pytest.raises(pytest.fail.Exception, match="must not run"):
        cluster.advance("1h")
    cluster.client.pause("never")
    with pytest.raises(KeyboardInterrupt):
        cluster.trigger("stop")
    assert cluster.failures == []


def test_a_handler_that_exits_fails_as_it_does_in_an_executor(kadence_cluster: type[MemoryCluster]) -> None:
    app = App("billing")

    @app.job("exits", every="1h")
    def exits() -> None:
        raise SystemExit(3)

    cluster = kadence_cluster(app, raise_failures=False)
    cluster.advance("1h")
    assert cluster.job("exits").reason == "SystemExit: 3"


# --- async ---------------------------------------------------------------------------------------------------


def _async_app(loops: list[object], threads: list[object]) -> App:
    app = App("billing", defaults={"overlap": "allow"})

    @app.job("poll", every="1h")
    async def poll() -> None:
        await asyncio.sleep(0)
        loops.append(asyncio.get_running_loop())
        threads.append(threading.current_thread())

    return app


def test_async_handlers_share_one_loop(kadence_cluster: type[MemoryCluster]) -> None:
    loops: list[object] = []
    threads: list[object] = []
    kadence_cluster(_async_app(loops, threads)).advance("3h")
    assert len(loops) == 3
    assert len(set(loops)) == 1
    assert set(threads) == {threading.main_thread()}


def test_a_cluster_serves_async_tests(kadence_cluster: type[MemoryCluster]) -> None:
    loops: list[object] = []

    async def a_test() -> None:
        kadence_cluster(_async_app(loops, [])).advance("3h")
        loops.append(asyncio.get_running_loop())

    asyncio.run(a_test())
    assert len(loops) == 4
    assert len(set(loops)) == 2


def test_async_handlers_may_let_time_pass_for_others(kadence_cluster: type[MemoryCluster]) -> None:
    app = App("billing")
    seen: list[str] = []

    @app.job("outer", cron="0 9 * * *")
    async def outer() -> None:
        cluster.advance("2m")
        seen.append("outer")

    @app.job("inner", every="1m", start="2026-01-05T09:00:30Z", end="2026-01-05T09:02:30Z")
    async def inner(run: Run[object]) -> None:
        seen.append(f"inner {run.due:%H:%M}")

    @app.job("broken", at="2026-01-05T09:01:30Z")
    async def broken() -> None:
        raise ValueError

    cluster = kadence_cluster(app)
    with pytest.raises(ValueError, match="in attempt 1 at run broken@"):
        cluster.advance("2h")
    assert seen == ["inner 09:01", "inner 09:02", "outer"]
    assert [(one.job, one.error) for one in cluster.executions() if one.error] == [("broken", "ValueError")]


# --- apps and the client -------------------------------------------------------------------------------------


def test_each_of_two_apps_needs_a_group_of_its_own(kadence_cluster: type[MemoryCluster]) -> None:
    ran: list[str] = []
    billing, mail = App("billing", group="billing"), App("mail", group="mail")

    @billing.job("invoices", every="1h")
    @mail.job("letters", every="1h")
    def note(run: Run[object]) -> None:
        ran.append(run.job)

    cluster = kadence_cluster(billing, mail)
    cluster.advance("1h")
    assert ran == ["invoices", "letters"]
    cluster.deploy(App("other"))  # one of them may have the namespace's own
    with pytest.raises(ConfigurationError, match=r'App\("yet", group="yet"\)|App\("other", group="other"\)'):
        cluster.deploy(App("yet"))
    with pytest.raises(ConfigurationError, match=r"app mail has the consumer group kadence\.executors\.mail,"):
        cluster.deploy(App("yet", group="mail"))
    third = App("third", group="third")
    third.job("invoices", every="1h")(lambda: None)
    with pytest.raises(ConfigurationError, match="invoices is left alone: it is managed by billing"):
        cluster.deploy(third)


def test_a_new_version_of_an_app_takes_the_place_of_the_old_one(kadence_cluster: type[MemoryCluster]) -> None:
    ran: list[str] = []
    old, new = App("billing", revision=1), App("billing", revision=2)
    old.job("invoices", every="1h")(lambda: ran.append("old"))
    old.job("gone", every="1h")(lambda: ran.append("gone"))
    new.job("invoices", every="20m")(lambda: ran.append("new"))
    cluster = kadence_cluster(old)
    cluster.advance("1h")
    assert [one.what for one in cluster.deploy(new).plan.steps] == ["changed"]
    cluster.advance("1h")
    assert ran == ["gone", "old", "new", "new", "new"]
    assert cluster.executions("gone")[-1].status == "snoozed"  # nothing is pruned, and a newer pod may have it
    assert [one.what for one in cluster.deploy(old).plan.steps] == ["stale", "unchanged"]


def test_the_client_waits_for_nothing_and_no_time_passes(kadence_cluster: type[MemoryCluster]) -> None:
    app = App("billing")
    ran: list[str] = []
    app.job("invoices", every="1h")(lambda: ran.append("invoices"))
    cluster = kadence_cluster(app, shards=3)
    before = cluster.now
    assert cluster.client.pause("invoices", reason="lunch").in_force
    assert cluster.client.hold("all", {"all": True}).in_force
    assert [one.name for one in cluster.client.list(states=["paused"])] == ["invoices"]
    cluster.client.trigger("invoices")
    assert ran == []  # what follows from it is the cluster's to do
    cluster.run_due()
    assert ran == ["invoices"]
    assert cluster.now == before
    assert cluster.client.get("invoices").since == int(before.timestamp() * 1000)
    assert [shard.worker for shard in cluster.client.status().shards] == ["kadence.testing"] * 3


def test_a_handler_may_use_the_client(kadence_cluster: type[MemoryCluster]) -> None:
    app = App("billing")
    ran: list[str] = []

    @app.job("first", cron="0 9 * * *")
    def first() -> None:
        cluster.client.trigger("second", {"n": 1}, id="by-first")
        ran.append("first")

    @app.job("second", every="1h", paused=True)
    def second(run: Run[Any]) -> None:
        ran.append(f"{run.id} {run.payload}")

    cluster = kadence_cluster(app)
    cluster.advance("2h")
    assert ran == ["first", "second!by-first {'n': 1}"]


def test_a_client_that_waits_in_vain_waits_in_the_clusters_time(kadence_cluster: type[MemoryCluster]) -> None:
    class NoControl:
        """The worker is cut off from the log."""

        def at(self, point: str, who: object) -> Fault | None:
            lost = isinstance(who, MemoryReader) and who.process.name == "kadence.testing" and point == "reader.read"
            return Unreachable(applied=False) if lost else None

    cluster = kadence_cluster()
    before = cluster.now
    cluster.log.faults = NoControl()
    with pytest.raises(NotConfirmedError, match="no worker has confirmed"):
        cluster.client.pause("invoices")
    assert (cluster.now - before).total_seconds() == pytest.approx(30, abs=1)


# --- jobs without handlers -----------------------------------------------------------------------------------


def test_executions_for_others_are_recorded_and_a_test_reports_for_them(
    kadence_cluster: type[MemoryCluster],
) -> None:
    cluster = kadence_cluster(topics=["billing.commands"])
    cluster.client.put(
        "export",
        {
            "schedule": {"every": "1h"},
            "target": {"topic": "billing.commands", "headers": {"x-team": "billing"}},
            "payload": {"what": "all"},
            "overlap": "skip",
            "retry": {"attempts": 2, "delay": "1m"},
            "breaker": {"failures": 1},
        },
    )
    cluster.advance("3h")
    first = cluster.executions("export", topic="billing.commands")
    assert [(one.id, one.payload, one.status) for one in first] == [
        ("export@2026-01-05T09:00:00Z", {"what": "all"}, None)
    ]
    assert first[0].headers["x-team"] == b"billing"
    cluster.report(first[0], "started")
    cluster.report(first[0], "failed", error="Timeout: no disk")
    cluster.advance("2m")
    assert [one.attempt for one in cluster.executions("export")] == [1, 2]
    cluster.report("export@2026-01-05T09:00:00Z", "failed", error=OSError("no disk"))
    cluster.assert_state("export", "errored")
    assert cluster.job("export").reason == "OSError: no disk"
    assert [one.error for one in cluster.executions("export")] == ["Timeout: no disk", "OSError: no disk"]
    assert cluster.dead_letters("export")[0].run == "export@2026-01-05T09:00:00Z"
    assert cluster.failures == []  # no handler failed


def test_a_target_that_is_missing_is_found_missing_and_found_again(kadence_cluster: type[MemoryCluster]) -> None:
    cluster = kadence_cluster()
    cluster.client.put("export", {"schedule": {"every": "1h"}, "target": {"topic": "billing.commands"}})
    cluster.assert_state("export", "errored")
    assert cluster.job("export").reason == "target billing.commands: does not exist"
    cluster.create_topic("billing.commands")
    cluster.advance("1m")
    cluster.assert_state("export", "running")
    cluster.log.delete("billing.commands")
    cluster.advance("5s")
    cluster.assert_state("export", "errored")


def test_an_id_under_which_nothing_was_fired_is_refused(kadence_cluster: type[MemoryCluster]) -> None:
    cluster = kadence_cluster()
    with pytest.raises(NotFoundError, match="nothing was fired under the id tick!1"):
        cluster.report("tick!1", "succeeded")
    with pytest.raises(NotFoundError, match="there is no job tick"):
        cluster.state("tick")


# --- many shards, much time, messages --------------------------------------------------------------------------


def test_executions_of_all_shards_come_in_order_of_time(kadence_cluster: type[MemoryCluster]) -> None:
    app = App("billing")
    for number in range(8):
        app.job(f"job{number}", every=f"{number + 1}m")(lambda: None)
    cluster = kadence_cluster(app, shards=4)
    cluster.advance("1h")
    found = [one.at for one in cluster.executions()]
    assert found == sorted(found)
    assert {one.job for one in cluster.runs()} == {f"job{number}" for number in range(8)}
    assert cluster.log.end("kadence.state", 3) > 0


def test_a_long_history_is_compacted(kadence_cluster: type[MemoryCluster]) -> None:
    app = App("billing")
    app.job("tick", every="1m")(lambda: None)
    cluster = kadence_cluster(app)
    cluster.advance("1d")
    end = cluster.log.end("kadence.state", 0)
    assert end > 8_000
    assert len(cluster.log.records("kadence.state", 0)) < 5_000
    cluster.assert_state("tick", "running")
    cluster.assert_fired("tick", 24 * 60)


def test_a_failed_assertion_tells_what_happened_instead(kadence_cluster: type[MemoryCluster]) -> None:
    app = App("billing")

    @app.job("tick", every="1h", breaker={"failures": 1})
    def tick() -> None:
        raise ConnectionError("no ledger")

    cluster = kadence_cluster(app, raise_failures=False)
    assert cluster.story("other") == "  nothing has happened"
    cluster.advance("61m")
    with pytest.raises(AssertionError) as caught:
        cluster.assert_state("tick", "running")
    message = str(caught.value)
    assert message.startswith("job tick is errored (ConnectionError: no ledger), not running\n")
    assert "2026-01-05T09:00:00Z  tick@2026-01-05T09:00:00Z: failed, ConnectionError: no ledger\n" in message
    assert "  job.errored tick running -> errored: ConnectionError: no ledger" in message
    with pytest.raises(AssertionError, match="job tick has 1 executions, not 2\n"):
        cluster.assert_fired("tick", 2)


def test_records_are_short_to_print() -> None:
    at = datetime(2026, 1, 5, 9, tzinfo=UTC)
    assert repr(Execution("a!1#2", "a!1", "a", at, at, 2, "retry")) == (
        "<Execution a!1#2 (retry, attempt 2): no outcome yet>"
    )
    assert repr(Event("job.errored", "a", at, "why")) == "<Event job.errored a: why>"


def test_a_cluster_is_closed_at_the_end_of_a_with() -> None:
    with MemoryCluster(_async_app([], [])) as cluster:
        cluster.advance("1h")
    cluster.close()


def test_a_cluster_that_nobody_closes_leaves_nothing_open() -> None:
    MemoryCluster(_async_app([], [])).advance("1h")
    gc.collect()  # what was left open would be a warning, and that an error
