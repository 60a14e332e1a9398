"""What type checkers make of users' code. mypy reads this file; an ignored error that is none is one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, assert_type

import kadence
from kadence import App, Cancel, Run, Snooze

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


@dataclass
class Invoice:
    id: int


app = App(
    "billing",
    revision=3,
    defaults={"timeout": timedelta(minutes=5), "breaker": {"failures": 3, "probe_after": "5m"}},
    group="billing",
    run_paused_backlog=True,
)


@app.job("invoices.daily", cron="0 9 * * MON-FRI", timezone="Europe/Berlin", payload={"id": 1}, concurrency=4)
def daily(run: Run[Invoice]) -> int:
    assert_type(run.payload, Invoice)
    assert_type(run.payload.id, int)
    assert_type(run.due, datetime)
    assert_type(run.deadline, datetime | None)
    assert_type(run.cancelled.wait(0), bool)
    run.log.info("%s", run.headers.get("x", b"").decode())
    if run.attempt > 1:
        raise Snooze(timedelta(minutes=5))
    if run.cause == "probe":
        raise Cancel("not now")
    return run.payload.id


@app.job("tick", every="1s", tags=["a"], overlap="allow", retry={"attempts": 3, "delay": 1.5}, payload={})
async def tick(run: kadence.Run[dict[str, int]]) -> None:
    assert_type(run.payload, dict[str, int])


@app.job("once", at=datetime(2030, 1, 1, tzinfo=UTC))
def once() -> None: ...


@app.job("both", schedule=[{"cron": "@daily"}, {"every": "1h"}])
def both(run: Run[Any]) -> None: ...


def test_the_functions_keep_their_types() -> None:
    assert_type(daily(Run(id="a", job="a", due=datetime.now(UTC), payload=Invoice(7))), int)  # noqa: TID251  a user's
    coroutine: Callable[[Run[dict[str, int]]], Coroutine[Any, Any, None]] = tick
    plain: Callable[[], None] = once
    assert (coroutine, plain) == (tick, once)


def test_every_function_is_a_handler() -> None:
    assert app.handlers.keys() == {"invoices.daily", "tick", "once", "both"}


def refused_by_type_checkers(run: Run[Invoice]) -> None:  # never called
    app.job("a")  # type: ignore[call-overload]  # no schedule
    app.job("a", cron="@daily", every="1h")  # type: ignore[call-overload]  # two
    app.job("a", every="1h", timezone="UTC")  # type: ignore[call-overload]  # a zone without cron
    app.job("a", every="1h", retrys={})  # type: ignore[call-overload]  # no such field
    app.job("a", every="1h", target={"topic": "x"})  # type: ignore[call-overload]  # handlers have no topic
    app.job("a", every="1h", overlap="never")  # type: ignore[call-overload]

    @app.job("a", every="1h")  # type: ignore[type-var]  # two arguments
    def two(run: Run[Invoice], more: int) -> None: ...

    run.payload = Invoice(1)  # type: ignore[misc]  # frozen
    run.nothing  # type: ignore[attr-defined]  # noqa: B018
    Run[str](id="a", job="a", due=run.due, payload=1)  # type: ignore[arg-type]
    Snooze(None)  # type: ignore[arg-type]
