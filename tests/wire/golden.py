"""One record of every kind, with the exact bytes that the contract promises; `tests/wire/golden.txt` holds them.

``python -m tests.wire.golden`` prints that file anew. A change in it is a change of the contract.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kadence.domain.decision import Fire, Happening
from kadence.domain.duration import parse_time
from kadence.domain.holds import Hold, Matches, Selector
from kadence.domain.job import AppliedHold, Job, Owed, Pause, Rejection, Stage, State, Streak, Trouble
from kadence.domain.schedule import Every
from kadence.domain.spec import JobSpec, Timing, parse_spec
from kadence.domain.stimulus import (
    Backfill,
    CancelCommand,
    DeleteJob,
    LiftPause,
    PauseJob,
    PutHold,
    PutJob,
    ReleaseHold,
    ResumeJob,
    Skip,
    Trigger,
    Wish,
)
from kadence.wire import control, event, outcome, state
from kadence.wire.execution import Encoder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAMESPACE = "kadence"
NINE = parse_time("2026-11-23T09:00:00Z")
TEN = parse_time("2026-11-23T10:00:00.250Z")


def spec(name: str = "invoices", **fields: object) -> JobSpec:
    return parse_spec(name, {"schedule": {"every": "1h"}, **fields}, NAMESPACE)


FULL = {
    "schedule": {"cron": "0 9 * * MON-FRI", "timezone": "Europe/Berlin", "dst": {"gap": "skip", "fold": "both"}},
    "start": "2026-01-01T00:00:00Z",
    "end": "2027-01-01T00:00:00Z",
    "max_runs": 1000,
    "jitter": "30s",
    "catch_up": {"policy": "all", "window": "1h", "grace": "1m", "after_pause": "latest"},
    "overlap": "skip",
    "timeout": "5m",
    "expires_after": "10m",
    "retry": {"attempts": 3, "delay": "20s", "factor": 1.5, "max_delay": "30m"},
    "breaker": {"failures": 3, "probe_after": "5m", "factor": 3.0, "max_probe_after": "2h"},
    "target": {"topic": "billing.commands", "key": "invoices", "headers": {"x-team": "billing"}},
    "payload": {"any": ["json", None, 1.5, "ä"]},
    "tags": ["critical", "billing"],
    "description": "sends invoices",
    "owner": "billing",
    "managed_by": "deploy",
    "revision": 7,
    "paused": True,
}
SELECTOR = Selector(Matches(("in*",), ("billing", "critical")), Matches(("invoices-test",), ()))


def record(title: str, key: bytes, value: bytes | None, headers: Sequence[tuple[str, bytes]] = ()) -> str:
    lines = [f"# {title}", f"key     {key!r}", f"value   {value!r}"]
    return "\n".join([*lines, *(f"header  {name} {content!r}" for name, content in headers), ""])


def controls() -> Iterator[str]:
    wishes: list[tuple[str, bytes, Wish]] = [
        ("job, everything", control.key_of("job", "invoices"), PutJob(parse_spec("invoices", FULL, NAMESPACE))),
        ("job, the least", control.key_of("job", "invoices"), PutJob(spec())),
        ("job, raw payload", control.key_of("job", "invoices"), PutJob(spec(payload_text="raw ✓"))),
        ("job, bytes", control.key_of("job", "invoices"), PutJob(spec(payload_base64="AP8="))),
        ("job, deleted", control.key_of("job", "invoices"), DeleteJob()),
        ("pause", control.key_of("pause", "invoices"), PauseJob()),
        ("pause until", control.key_of("pause", "invoices"), PauseJob(TEN)),
        ("resume", control.key_of("pause", "invoices"), ResumeJob()),
        ("resume and catch up", control.key_of("pause", "invoices"), ResumeJob("all", 60_000)),
        ("pause lifted", control.key_of("pause", "invoices"), LiftPause()),
        ("hold over all", control.key_of("hold", "freeze"), PutHold(Hold(Selector()))),
        (
            "hold, everything",
            control.key_of("hold", "freeze"),
            PutHold(Hold(SELECTOR, NINE, TEN, None, "latest", 5_000)),
        ),
        ("hold released", control.key_of("hold", "freeze"), ReleaseHold()),
        ("trigger", control.key_of("trigger", "invoices", "now"), Trigger("now")),
        ("trigger with payload", control.key_of("trigger", "invoices", "now"), Trigger("now", b'{"mine":null}')),
        ("skip", control.key_of("skip", "invoices", "s"), Skip("s", 3)),
        ("backfill", control.key_of("backfill", "invoices", "b"), Backfill("b", NINE, TEN, 10.0)),
        ("command cancelled", control.key_of("trigger", "invoices", "now"), CancelCommand("now")),
    ]
    for title, key, wish in wishes:
        yield record(f"control: {title}", key, control.encode(wish))
    signed = control.encode(PauseJob(), by="ann", reason="broken", if_offset=-1)
    yield record("control: who, why and on top of what", control.key_of("pause", "invoices"), signed)
    yield record("control: barrier", control.key_of("barrier", "3"), state.encode_barrier("w1", "0badcafe"))


def executions() -> Iterator[str]:
    target = {"topic": "billing.commands", "key": "k", "headers": {"x-team": "billing"}}
    fires = [
        ("scheduled", Fire("invoices", spec(), NINE, "schedule")),
        ("caught up, with milliseconds", Fire("invoices", spec(payload={"a": [1]}), TEN, "catch_up")),
        ("triggered", Fire("invoices", spec(payload=1), TEN, "trigger", "now")),
        ("triggered with payload", Fire("invoices", spec(payload_text="t"), TEN, "trigger", "now", b"[]")),
        ("expires", Fire("invoices", spec(expires_after="10m"), NINE, "schedule")),
        ("caught up, expires from when it was decided", Fire("invoices", spec(expires_after="10m"), NINE, "catch_up")),
        ("text has no content type", Fire("invoices", spec(payload_text="raw ✓"), NINE, "schedule")),
        ("bytes have none either", Fire("invoices", spec(payload_base64="AP8="), NINE, "schedule")),
        ("a target", Fire("invoices", spec(target=target), NINE, "schedule")),
        (
            "a target's content type",
            Fire(
                "invoices", spec(target={"headers": {"Content-Type": "text/plain"}}, payload_text="t"), NINE, "schedule"
            ),
        ),
    ]
    for title, fire in fires:
        topic, partition, key, value, headers = Encoder(NAMESPACE, 3).encode(fire, TEN)
        yield record(f"execution: {title} -> {topic} {partition}", key, value, headers)


def events() -> Iterator[str]:
    happenings = [
        Happening("job.paused", "invoices", State.RUNNING, State.PAUSED, "broken", "ann", 41),
        Happening("job.missed", "invoices", State.RUNNING, State.RUNNING, "skip", detail={"count": 3, "first": "…"}),
        Happening("hold.applied", "freeze", reason="deploy", offset=42, detail={"matched": 7}),
        Happening(
            "record.rejected", "", reason="not JSON", offset=43, detail={"topic": "kadence.control", "partition": 0}
        ),
    ]
    for number, happening in enumerate(happenings):
        yield record(f"event: {happening.kind}", *event.encode(happening, NAMESPACE, TEN, f"0badcafe-{number}"))


def outcomes() -> Iterator[str]:
    error = outcome.failure("ValueError", "no", "…")
    id_ = "invoices@2026-11-23T09:00:00Z"
    yield record("outcome: succeeded", b"invoices", outcome.encode(id_, "succeeded", finished_at=TEN))
    yield record("outcome: failed", b"invoices", outcome.encode(id_, "failed", error=error))


def jobs() -> dict[str, Job]:
    """Jobs as state records show them."""
    plain, much = Job("invoices"), Job("invoices")
    plain.since, plain.spec_offset, plain.resumed_at, plain.floor = NINE, 7, NINE, NINE
    much.since, much.spec_offset, much.resumed_at, much.floor = NINE, 7, NINE, TEN
    much.state, much.reason, much.by = State.ERRORED, "ValueError: no", "ann"
    much.pause = Pause(9, active=True, since=NINE, until=TEN, at=NINE, by="ann", reason="broken", created=True)
    runs = (("invoices@2026-11-23T09:00:00Z", NINE),)
    much.streak = Streak(runs, "ValueError: no", Trouble(TEN, "ValueError: no"))
    much.lost = Trouble(NINE, "target orders: does not exist")
    much.spec, much.rejection = spec(payload="good"), Rejection(11, "payloud: unknown")
    much.owed = (
        Owed(Timing(Every(60_000, 5_000)), 0, NINE, Stage.RUNNING),
        Owed(Timing(Every(60_000), 250, NINE, TEN), NINE, TEN, Stage.WAITING),
    )
    much.ids = ("now", "again")
    return {"plain": plain, "with everything": much}


def hold() -> AppliedHold:
    return AppliedHold(
        "freeze", Hold(SELECTOR, NINE, TEN, None, "all"), 12, NINE, NINE, started=True, by="ann", reason="deploy"
    )


def cursor() -> state.CursorRecord:
    return state.CursorRecord(NINE, "invoices", 44, "0123", 5, "w1", "2026f", ((43, "not JSON"),))


def states() -> Iterator[str]:
    for title, job in jobs().items():
        yield record(f"state: job, {title}", b"job/invoices", state.encode_job(job))
    yield record("state: hold", b"hold/freeze", state.encode_hold(hold()))
    yield record("state: cursor", state.CURSOR, state.encode_cursor(cursor()))
    yield record("state: barrier", state.BARRIER, state.encode_barrier("w1", "0badcafe"))


def everything() -> str:
    """The golden file as it ought to be."""
    return "\n".join([*controls(), *executions(), *events(), *outcomes(), *states()])


if __name__ == "__main__":
    sys.stdout.write(everything())
