"""Maintenance, errors and overload, as a test of somebody's own jobs plays them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from kadence import App, Run

if TYPE_CHECKING:
    from kadence.testing import MemoryCluster


def test_maintenance_holds_jobs_by_their_tags_and_gives_each_back_as_it_was(
    kadence_cluster: type[MemoryCluster],
) -> None:
    app = App("billing")
    app.job("invoices", every="10m", tags=["billing"])(lambda: None)
    app.job("reminders", every="10m", tags=["billing"], catch_up={"after_pause": "latest"})(lambda: None)
    app.job("metrics", every="10m")(lambda: None)
    cluster = kadence_cluster(app, start="2026-01-05T08:05:00Z")
    cluster.client.pause("invoices", reason="by hand")
    cluster.client.hold("db", {"tags": ["billing"]}, end=timedelta(hours=2), reason="migration")
    cluster.advance("1h")
    assert {name: cluster.state(name) for name in ("invoices", "reminders", "metrics")} == {
        "invoices": "paused",
        "reminders": "paused",
        "metrics": "running",
    }
    cluster.assert_fired("reminders", 0)
    cluster.assert_fired("metrics", 6)
    cluster.advance("1h")
    assert cluster.state("invoices") == "paused"
    assert cluster.state("reminders") == "running"
    assert [f"{one.due:%H:%M}" for one in cluster.executions("reminders")] == ["10:00"]


def test_an_error_takes_a_job_out_of_service_and_a_probe_brings_it_back(
    kadence_cluster: type[MemoryCluster],
) -> None:
    app = App("billing")
    ledger = {"up": False}

    @app.job("invoices", every="1m", breaker={"failures": 3, "probe_after": "5m"})
    def invoices() -> None:
        if not ledger["up"]:
            raise ConnectionError("no ledger")

    cluster = kadence_cluster(app, raise_failures=False, start="2026-11-23T08:59:30Z")
    cluster.advance("2m")
    assert cluster.state("invoices") == "running"
    cluster.advance("1m")
    cluster.assert_state("invoices", "errored")
    assert cluster.job("invoices").reason == "ConnectionError: no ledger"
    cluster.advance("4m")
    cluster.assert_fired("invoices", 3)
    cluster.advance("1m")  # the first probe fails
    assert [one.cause for one in cluster.executions("invoices")] == ["schedule"] * 3 + ["probe"]
    ledger["up"] = True
    cluster.advance("9m")
    assert cluster.state("invoices") == "errored"  # the wait has doubled
    cluster.advance("1m")
    assert cluster.state("invoices") == "running"
    kinds = [one.kind for one in cluster.events("invoices")]
    assert [one for one in kinds if one in {"job.errored", "job.probing", "job.recovered"}] == [
        "job.errored",
        "job.probing",
        "job.probing",
        "job.recovered",
    ]
    cluster.advance("1m")
    assert cluster.executions("invoices")[-1].cause == "schedule"


def test_without_probes_only_a_resume_brings_a_job_back(kadence_cluster: type[MemoryCluster]) -> None:
    app = App("billing", defaults={"breaker": {"failures": 1}})

    @app.job("invoices", every="1m")
    def invoices(run: Run[object]) -> None:
        if run.cause != "trigger" and len(cluster.failures) < 1:
            raise ConnectionError

    cluster = kadence_cluster(app, raise_failures=False, start="2026-01-05T08:00:30Z")
    cluster.advance("1d")
    cluster.assert_fired("invoices", 1)
    cluster.assert_state("invoices", "errored")
    assert cluster.trigger("invoices").status == "succeeded"
    cluster.client.resume("invoices")
    cluster.advance("3m")
    cluster.assert_state("invoices", "running")
    cluster.assert_fired("invoices", 5)


def test_overload_is_shed_with_one_hold_over_everything_that_is_not_critical(
    kadence_cluster: type[MemoryCluster],
) -> None:
    app = App("billing")
    app.job("payments", every="1m", tags=["critical"])(lambda: None)
    app.job("reports", every="1m")(lambda: None)
    cluster = kadence_cluster(app, start="2026-01-05T08:00:30Z")
    cluster.client.hold("overload", {"all": True, "not": {"tags": ["critical"]}})
    cluster.advance("10m")
    cluster.assert_fired("payments", 10)
    cluster.assert_fired("reports", 0)
    cluster.client.release("overload")
    cluster.advance("10m")
    cluster.assert_fired("reports", 10)


def test_while_no_executor_runs_nothing_fails_and_what_has_expired_is_left(
    kadence_cluster: type[MemoryCluster],
) -> None:
    app = App("billing", defaults={"overlap": "allow"})
    app.job("fresh", every="1m", expires_after="150s")(lambda: None)
    app.job("stopped", every="1m")(lambda: None)
    app.job("kept", every="5m")(lambda: None)
    cluster = kadence_cluster(app)
    with cluster.executors_down():
        cluster.advance("10m")
        cluster.client.pause("stopped", reason="too many")
        cluster.advance("10s")
        assert {one.status for one in cluster.executions()} == {None}
        assert cluster.trigger("stopped").status is None
    cluster.run_due()
    assert [one.status for one in cluster.executions("fresh")] == ["expired"] * 7 + ["succeeded"] * 3
    assert [one.status for one in cluster.executions("stopped")] == ["cancelled"] * 10 + ["succeeded"]
    assert cluster.executions("stopped")[0].error == "Paused: the job is paused: too many"
    assert [one.status for one in cluster.executions("kept")] == ["succeeded"] * 2
    assert cluster.failures == []
    assert [cluster.state(job) for job in ("fresh", "stopped", "kept")] == ["running", "paused", "running"]
    assert not [one for one in cluster.events() if one.kind in {"job.errored", "job.run_failed", "job.run_lost"}]


def test_an_app_may_run_the_backlog_of_a_paused_job(kadence_cluster: type[MemoryCluster]) -> None:
    app = App("billing", run_paused_backlog=True)
    app.job("tick", every="1m")(lambda: None)
    cluster = kadence_cluster(app)
    with cluster.executors_down():
        cluster.advance("1m")
        cluster.client.pause("tick")
        cluster.advance("10s")
    cluster.run_due()
    assert [one.status for one in cluster.executions()] == ["succeeded"]


def test_a_run_whose_job_was_deleted_meanwhile_is_done(kadence_cluster: type[MemoryCluster]) -> None:
    app = App("billing")
    app.job("tick", every="1m")(lambda: None)
    cluster = kadence_cluster(app)
    with cluster.executors_down():
        cluster.advance("1m")
        cluster.client.delete("tick")
        cluster.advance("10s")
    cluster.run_due()
    assert [one.status for one in cluster.executions()] == ["succeeded"]
