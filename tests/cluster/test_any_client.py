"""Programs that know nothing of kadence are first-class writers, and no bytes that they write do any harm."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from kadence.testing.broker import classpath
from tests.cluster.writing import RefusedByBrokerError
from tests.conftest import BROKER_CACHE

if TYPE_CHECKING:
    from tests.cluster.processes import WorkerProcess
    from tests.cluster.stage import Stage

pytestmark = [pytest.mark.cluster, pytest.mark.broker]

_CONSOLE_PRODUCER: Final = "org.apache.kafka.tools.ConsoleProducer"


def test_jobs_and_pauses_by_kcat(stage: Stage) -> None:
    _need_kcat()
    _started(stage)
    _kcat(stage, 'job/billing.close|{"schedule": {"every": "1s"}, "payload": {"month": "now"}}')
    stage.until("it fires", lambda: len(stage.executions("billing.close")) >= 2)
    assert stage.executions("billing.close")[0].json == {"month": "now"}

    _kcat(stage, 'pause/billing.close|{"paused": true, "reason": "an incident", "by": "ops"}')
    stage.until("it is paused", lambda: stage.state_of("billing.close") == "paused")
    paused = stage.state("job/billing.close")
    assert paused is not None
    assert (paused.json["reason"], paused.json["by"]) == ("an incident", "ops")
    _silent(stage, "billing.close", paused.timestamp)

    _kcat(stage, "pause/billing.close|", "-Z")  # a null: lifts the pause
    stage.until("it runs", lambda: stage.state_of("billing.close") == "running")
    _fires_again(stage, "billing.close")
    _kcat(stage, "job/billing.close|", "-Z")
    stage.until("it is gone", lambda: bool(stage.events("job.deleted", "billing.close")))
    record = stage.state("job/billing.close")
    assert record is not None
    assert record.value is None


def test_jobs_and_pauses_by_the_console_producer_of_kafka_itself(stage: Stage) -> None:
    _started(stage)
    _java(stage, 'job/report|{"schedule": {"every": "1s"}}', 'job/audit|{"schedule": {"every": "1s"}}')
    stage.until("both fire", lambda: bool(stage.executions("report")) and bool(stage.executions("audit")))
    _java(stage, 'pause/report|{"paused": true, "reason": "month end"}')
    stage.until("it is paused", lambda: stage.state_of("report") == "paused")
    paused = stage.state("job/report")
    assert paused is not None
    _silent(stage, "report", paused.timestamp)
    _java(stage, 'pause/report|{"paused": false}')
    stage.until("it runs", lambda: stage.state_of("report") == "running")
    _fires_again(stage, "report")


def test_garbage_is_rejected_counted_and_harmless(stage: Stage) -> None:
    worker = _started(stage)
    good = stage.write.job("good", {"schedule": {"every": "1s"}})
    stage.until("it fires", lambda: len(stage.executions("good")) >= 1)
    control, outcomes = f"{stage.namespace}.control", f"{stage.namespace}.outcomes"

    with pytest.raises(RefusedByBrokerError, match="failed to validate"):
        stage.write.raw(control, None, b"{}")  # a compacted topic takes no record without a key
    unknown = [(b"", b"{}"), (b"nonsense", b"{}"), (b"\xff\xfe\x00", b"\x00\x01"), (b"task/x", b"{}")]
    unknown += [(b"job/", b"{}"), (b"job/no spaces", b"{}"), (b"trigger/good", b"{}")]
    bad_jobs = [
        (b"job/a", b"{"),
        (b"job/b", b"\x80\x81\x82"),
        (b"job/c", b'{"schedule": {"every": "1s"}, "payloda": 1}'),
        (b"job/d", b'{"schedule": {"every": "1s"}, "schedule": {"every": "2s"}}'),
        (b"job/e", b'{"schedule": {"cron": "61 * * * *"}}'),
        (b"job/f", b'{"schedule": {"every": "1s"}, "payload": "' + b"x" * 300_000 + b'"}'),
        (b"job/g", b"[" * 100_000),
        (b"job/h", b'"NaN"'),
        (b"job/good", b'{"schedule": {"every": "never"}}'),
    ]
    bad_pauses = [(b"pause/good", b'{"paused": "yes"}'), (b"pause/good", b"")]
    bad_holds = [(b"hold/h", b'{"match": {}}'), (b"hold/h", b'{"match": {"all": true, "names": ["*"]}}')]
    stale = [(b"pause/good", b'{"paused": true, "if_offset": 999999}')]
    written = [*unknown, *bad_jobs, *bad_pauses, *bad_holds, *stale]
    places = stage.write.all(control, written)
    # Not one word of what follows is an outcome; the last is, of a job that does not exist.
    bad_outcomes = [(None, b"{}"), (b"good", b"{"), (b"\xff", b"\x00"), (b"good", None), (b"good", b'{"id": 1}')]
    bad_outcomes += [(b"good", b'{"id": "good@2026-01-01T00:00:00Z", "status": "great"}')]
    stage.write.all(outcomes, [*bad_outcomes, (b"stranger", b'{"id": "stranger@x", "status": "failed"}')])

    fine = stage.write.job("fine", {"schedule": {"every": "1s"}})
    stage.acknowledged(fine.offset, "fine")
    stage.until(
        "every rejection is an event", lambda: len(stage.events("record.rejected")) >= len(written) + len(bad_outcomes)
    )
    events = stage.events("record.rejected")
    assert len(events) == len(written) + len(bad_outcomes)
    of_control = {one.json["control_offset"]: one.json for one in events if one.json["topic"] == control}
    assert of_control.keys() == {place.offset for place in places}
    assert all(one["reason"] for one in of_control.values())
    assert "payload" in of_control[places[len(unknown) + 2].offset]["reason"], "the nearest known field is named"

    counted = worker.metrics()
    for kind, expected in {
        "unknown": len(unknown),
        "job": len(bad_jobs),
        "pause": len(bad_pauses) + len(stale),
        "hold": len(bad_holds),
        "outcome": len(bad_outcomes),
    }.items():
        assert counted[f'kadence_control_records_total{{kind="{kind}",result="rejected"}}'] == expected, kind

    state = stage.state("job/good")
    assert state is not None
    assert state.json["state"] == "running"
    assert state.json["spec_offset"] == good.offset, "the last good spec stays in force"
    assert state.json["rejected"]["offset"] == places[len(unknown) + len(bad_jobs) - 1].offset
    _fires_again(stage, "good")
    _fires_again(stage, "fine")


def _started(stage: Stage) -> WorkerProcess:
    stage.topics(2)
    worker = stage.worker("one")
    stage.owned_by("one")
    return worker


def _silent(stage: Stage, job: str, since: int) -> None:
    """Nothing of the job fires while a witness does, three times."""
    witness = f"witness-of-{job}"
    stage.write.job(witness, {"schedule": {"every": "1s"}})
    stage.until("three seconds pass", lambda: len(stage.executions(witness)) >= 3)
    stage.catch_up()
    assert not [one.id for one in stage.executions(job) if one.timestamp > since]


def _fires_again(stage: Stage, job: str) -> None:
    before = len(stage.executions(job))
    stage.until(f"{job} fires again", lambda: len(stage.executions(job)) > before)


def _need_kcat() -> None:
    if shutil.which("kcat") is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs kcat")
        pytest.skip("needs kcat")


def _kcat(stage: Stage, line: str, *options: str) -> None:
    command = ["kcat", "-P", "-b", stage.bootstrap_servers, "-t", f"{stage.namespace}.control", "-K", "|", *options]
    subprocess.run(command, input=f"{line}\n".encode(), check=True, timeout=30)


def _java(stage: Stage, *lines: str) -> None:
    command = ["java", "-cp", classpath(BROKER_CACHE), _CONSOLE_PRODUCER, "--bootstrap-server", stage.bootstrap_servers]
    command += ["--topic", f"{stage.namespace}.control"]
    command += ["--reader-property", "parse.key=true", "--reader-property", "key.separator=|"]
    subprocess.run(command, input="".join(f"{line}\n" for line in lines).encode(), check=True, timeout=60)
