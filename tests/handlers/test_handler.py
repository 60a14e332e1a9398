"""Calling a handler: what it is given, how it ended, and that nothing of it gets out."""

from __future__ import annotations

import asyncio
import threading
import warnings
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest
from pydantic import BaseModel, TypeAdapter, field_validator
from typing_extensions import TypedDict

from kadence import Cancel, Run, Snooze
from kadence.domain.stimulus import Outcome
from kadence.handlers.handler import MAX_RESULT, Ending, call, call_async, make_run
from kadence.wire import outcome
from tests.handlers.executions import CLOCK, JSON, MASK, NOW, Arrived, called, handler_of, run_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from kadence.handlers.secrets import Mask


@dataclass
class Invoice:
    id: int
    day: date


class Model(BaseModel):
    id: int

    @field_validator("id")
    @classmethod
    def _known(cls, value: int) -> int:
        if value == 13:
            raise ValueError("13 is nobody's number")
        if value == 14:
            raise ZeroDivisionError("a bug, and token=abc")
        return value


class Typed(TypedDict):
    id: int


def of_invoice(run: Run[Invoice]) -> None: ...
def of_model(run: Run[Model]) -> None: ...
def of_typed(run: Run[Typed]) -> None: ...
def of_list(run: Run[list[int]]) -> None: ...
def of_maybe(run: Run[int | None]) -> None: ...
def of_bytes(run: Run[bytes]) -> None: ...
def of_text(run: Run[str]) -> None: ...
def of_any(run: Run[Any]) -> None: ...
def bare(run: Run) -> None: ...  # type: ignore[type-arg]
def untyped(run): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201


NOT_JSON: dict[str, bytes] = {}

PAYLOADS: list[tuple[Callable[..., object], bytes | None, dict[str, bytes], object]] = [
    (of_invoice, b'{"id": "7", "day": "2026-11-23"}', JSON, Invoice(7, date(2026, 11, 23))),
    (of_model, b'{"id": 7}', JSON, Model(id=7)),
    (of_model, b'{"id": 7}', NOT_JSON, Model(id=7)),
    (of_typed, b'{"id": 7}', JSON, {"id": 7}),
    (of_list, b"[1, 2]", {"Content-Type": b"application/vnd.x+json; charset=utf-8"}, [1, 2]),
    (of_maybe, None, JSON, None),
    (of_maybe, b"null", JSON, None),
    (of_any, b'{"id": 7}', JSON, {"id": 7}),
    (bare, b'{"id": 7}', JSON, {"id": 7}),
    (untyped, b'{"id": 7}', JSON, {"id": 7}),
    (of_any, b"hello", NOT_JSON, "hello"),
    (of_any, b"\xff", NOT_JSON, b"\xff"),
    (of_bytes, b"\xff", NOT_JSON, b"\xff"),
    (of_bytes, b'"x"', JSON, b'"x"'),
    (of_bytes, None, JSON, b""),
    (of_text, b"hello", NOT_JSON, "hello"),
    (of_text, b'"hello"', JSON, "hello"),
]


@pytest.mark.parametrize(("function", "value", "headers", "payload"), PAYLOADS)
def test_a_payload_of_the_declared_type(
    function: Callable[..., object], value: bytes | None, headers: dict[str, bytes], payload: object
) -> None:
    assert run_of(handler_of(function), Arrived(value, headers=headers)).payload == payload


WRONG: list[tuple[Callable[..., object], bytes, dict[str, bytes], str]] = [
    (of_invoice, b'{"id": "hunter2", "day": 1e99}', JSON, "it is not a valid Invoice: id: Input should be a valid int"),
    (of_model, b"{", JSON, "it is not a valid Model: Invalid JSON: EOF while parsing an object at line 1 column 1"),
    (of_model, b'{"id": 13}', JSON, "it is not a valid Model: id: Value error, 13 is nobody's number"),
    (of_list, b'["hunter2", 1, "x", "x", "x", "x", "x", "x"]', JSON, "it is not a valid list[int]: 0: Input should be"),
    (of_any, b"{hunter2", JSON, "it is not JSON (Expecting property name enclosed in double quotes, byte 1)"),
    (of_any, b"[" * 100_000, JSON, "it is not JSON"),
    (of_text, b"\xff", NOT_JSON, "it is not UTF-8 text (byte 0)"),
]


@pytest.mark.parametrize(("function", "value", "headers", "message"), WRONG)
def test_a_payload_that_is_not_of_the_type_is_a_failure_that_does_not_quote_it(
    function: Callable[..., object], value: bytes, headers: dict[str, bytes], message: str
) -> None:
    arrived = Arrived(value, headers=headers)
    ending = make_run(handler_of(function), arrived, deadline=None, cancelled=threading.Event())
    assert isinstance(ending, Ending)
    assert ending.error is not None
    assert (ending.status, ending.error.type, ending.error.traceback) == ("failed", "InvalidPayload", "")
    assert ending.error.message.startswith(f"the payload cannot be used: {message}")
    assert "hunter2" not in ending.error.message


def test_a_validator_that_breaks_is_a_failure() -> None:
    ending = make_run(handler_of(of_model), Arrived(b'{"id": 14}'), deadline=None, cancelled=threading.Event())
    assert isinstance(ending, Ending)
    assert ending.error is not None
    assert (ending.error.type, ending.error.message) == ("ZeroDivisionError", "a bug, and token=***")
    assert "in _known" in ending.error.traceback


def test_a_handler_that_takes_nothing_minds_no_payload() -> None:
    assert run_of(handler_of(lambda: None), Arrived(b"{")).payload is None


def test_the_run_of_an_execution() -> None:
    arrived = Arrived(b"1", "tick!abc#3", attempt=2, cause="retry")
    cancelled = threading.Event()
    run = make_run(handler_of(of_any), arrived, deadline=NOW, cancelled=cancelled)
    assert isinstance(run, Run)
    assert (run.id, run.firing, run.job, run.attempt, run.cause) == ("tick!abc", "tick!abc#3", "tick", 2, "retry")
    assert run.due == datetime(2026, 11, 23, 9, tzinfo=UTC)
    assert run.deadline == datetime.fromtimestamp(NOW / 1000, UTC)
    assert (run.cancelled, dict(run.headers)) == (cancelled, JSON)


# --- endings ---


def raising(error: BaseException) -> Callable[[], None]:
    def raises() -> None:
        raise error

    return raises


def as_coroutine(function: Callable[[], object]) -> Callable[[], Coroutine[Any, Any, object]]:
    async def awaited() -> object:
        await asyncio.sleep(0)
        return function()

    return awaited


def awaited(function: Callable[..., object]) -> Ending:
    handler = handler_of(function)
    assert handler.is_async
    return asyncio.run(call_async(handler, run_of(handler), MASK, CLOCK))


def both(function: Callable[[], object]) -> Ending:
    """How it ends as a plain function, and alike as a coroutine."""
    plain, other = called(function), awaited(as_coroutine(function))
    assert (plain.status, plain.until, plain.result) == (other.status, other.until, other.result)
    if plain.error is not None:
        assert other.error is not None
        assert (plain.error.type, plain.error.message) == (other.error.type, other.error.message)
    return plain


def deep(levels: int) -> object:
    return [deep(levels - 1)] if levels > 1 else []


class Unruly(dict[str, int]):
    def items(self) -> Any:  # type: ignore[explicit-override]  # noqa: ANN401  broken on purpose
        raise ZeroDivisionError


RESULTS: list[tuple[object, object]] = [
    (None, None),
    ({"sent": 3, "to": ("a", "b")}, {"sent": 3, "to": ["a", "b"]}),
    ("x" * (MAX_RESULT - 2), "x" * (MAX_RESULT - 2)),
    ("x" * (MAX_RESULT - 1), None),
    ({1, 2}, None),
    (float("nan"), None),
    ({1: "a", "1": "b"}, None),
    ("\ud800", None),
    (deep(15), deep(15)),
    (deep(16), None),
    (deep(500), None),
    (Unruly(a=1), None),
    (object(), None),
]


@pytest.mark.parametrize(("returned", "result"), RESULTS)
def test_a_return_value_is_the_result_where_it_fits(returned: object, result: object) -> None:
    ending = both(lambda: returned)
    assert ending == Ending("succeeded", result=result)
    value = outcome.encode("tick@2026-11-23T09:00:00Z", ending.status, result=ending.result)
    assert outcome.decode(b"tick", value, 0, 0).status == "succeeded"  # type: ignore[union-attr]  # not a bad one


def test_a_snooze_says_until_when() -> None:
    assert both(raising(Snooze("5m"))) == Ending("snoozed", until=NOW + 300_000)


def test_a_cancel_says_why_without_secrets() -> None:
    ending = both(raising(Cancel("no invoices for hunter22")))
    assert (ending.status, ending.error and ending.error.line) == ("cancelled", "Cancel: no invoices for ***")


class CardError(Exception):
    pass


class UnprintableError(Exception):
    def __str__(self) -> str:  # type: ignore[explicit-override]  # Python 3.12 has typing.override
        raise ValueError("no")


FAILURES: list[tuple[BaseException, str, str]] = [
    (ValueError("no such customer"), "ValueError", "no such customer"),
    (CardError("card"), f"{__name__}.CardError", "card"),
    (TimeoutError(), "TimeoutError", ""),
    (SystemExit(3), "SystemExit", "3"),
    (KeyboardInterrupt(), "KeyboardInterrupt", ""),
    (GeneratorExit(), "GeneratorExit", ""),
    (asyncio.CancelledError(), "asyncio.exceptions.CancelledError", ""),
    (OSError("redis://app:hunter22@db, password=x"), "OSError", "redis://app:***@db, password=***"),
    (UnprintableError(), f"{__name__}.UnprintableError", "(its message cannot be shown: ValueError)"),
    (ValueError("x" * 5_000_000), "ValueError", "x" * 2_000),
]  # fmt: skip


@pytest.mark.parametrize(("error", "type_", "message"), FAILURES, ids=lambda one: str(type(one).__name__))
def test_anything_else_is_a_failure_of_this_run_alone(error: BaseException, type_: str, message: str) -> None:
    ending = both(raising(error))
    assert ending.error is not None
    assert (ending.status, ending.error.type, ending.error.message) == ("failed", type_, message)


class UnspeakableError(Exception):
    """Cannot be printed, and does not even fail in the usual way."""

    def __str__(self) -> str:  # type: ignore[explicit-override]  # Python 3.12 has typing.override
        raise SystemExit(3)


@pytest.mark.parametrize("kind", ["failed", "cancelled"])
def test_what_cannot_be_printed_or_written_ends_its_run_all_the_same(kind: str) -> None:
    def unspeakable() -> None:
        if kind == "failed":
            raise UnspeakableError
        raise Cancel(cast("str", UnspeakableError()))

    def no_utf8() -> None:
        name = b"caf\xe9".decode("utf-8", "surrogateescape")  # as os.listdir gives it
        raise ValueError(name) if kind == "failed" else Cancel(name)

    for function in (unspeakable, no_utf8):
        ending = called(function)
        assert ending.status == kind
        assert ending.error is not None
        heard = outcome.decode(b"a", outcome.encode("a!1", ending.status, error=ending.error), 0, 0)
        assert isinstance(heard, Outcome)
        assert heard.error == ending.error


def test_a_subclass_of_snooze_that_says_nothing_means_now() -> None:
    class Later(Snooze):
        def __init__(self) -> None:
            Exception.__init__(self)

    assert both(raising(Later())) == Ending("snoozed", until=NOW)


def test_a_plain_function_that_returns_a_coroutine_is_told_so_without_a_warning() -> None:
    async def inner() -> None: ...

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ending = called(lambda: inner())  # noqa: PLW0108  a plain function is what this is about
    assert ending.error is not None
    assert ending.error.line.startswith("TypeError: it returned something to await")


def test_a_cancelled_task_stays_cancelled() -> None:
    async def story() -> bool:
        started = asyncio.Event()

        async def waits() -> None:
            started.set()
            await asyncio.Event().wait()

        handler = handler_of(waits)
        task = asyncio.create_task(call_async(handler, run_of(handler), MASK, CLOCK))
        await started.wait()
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(story())


def test_a_task_of_the_handlers_own_that_was_cancelled_is_its_failure() -> None:
    async def handler() -> None:
        own = asyncio.ensure_future(asyncio.Event().wait())
        own.cancel()
        await own

    ending = awaited(handler)
    assert (ending.status, ending.error and ending.error.type) == ("failed", "asyncio.exceptions.CancelledError")


def test_the_users_own_timeout_is_a_failure() -> None:
    async def handler() -> None:
        await asyncio.wait_for(asyncio.Event().wait(), 0)

    ending = awaited(handler)
    assert (ending.status, ending.error and ending.error.type) == ("failed", "TimeoutError")


# --- tracebacks ---


def traced(function: Callable[[], object], mask: Mask = MASK) -> list[str]:
    handler = handler_of(function)
    plain = call(handler, run_of(handler), mask, CLOCK).error
    assert plain is not None
    handler = handler_of(as_coroutine(function))
    other = asyncio.run(call_async(handler, run_of(handler), mask, CLOCK)).error
    assert other is not None
    assert "kadence/executor" not in plain.traceback + other.traceback
    return plain.traceback.splitlines()


def fails() -> None:
    secret_of_mine = "hunter22"  # noqa: F841  a local variable
    raise ValueError("no")


def test_a_traceback_begins_in_the_users_code_and_has_no_local_variables() -> None:
    trace = traced(fails)
    assert trace[0] == "Traceback (most recent call last):"
    assert trace[1].startswith(f'  File "{__file__}", line ')
    assert trace[1].endswith(", in fails")
    assert trace[-1] == "ValueError: no"
    assert not any("hunter" in line for line in trace)


def test_a_traceback_has_the_causes() -> None:
    def chained() -> None:
        try:
            fails()
        except ValueError as error:
            raise CardError("with token=abc") from error

    trace = traced(chained)
    assert "ValueError: no" in trace
    assert "The above exception was the direct cause of the following exception:" in trace
    assert trace[-1] == f"{__name__}.CardError: with token=***"


def test_a_traceback_has_the_members_of_a_group() -> None:
    def grouped() -> None:
        raise ExceptionGroup("several", [ValueError("one"), CardError("password=x")])

    trace = "\n".join(traced(grouped))
    assert "ValueError: one" in trace
    assert "CardError: password=***" in trace


def test_an_error_of_pydantics_says_no_input_anywhere() -> None:
    def validates() -> None:
        try:
            TypeAdapter(list[int]).validate_python(["geheim", "geheim"])
        except ValueError as error:
            raise ExceptionGroup("several", [error]) from error

    trace = "\n".join(traced(validates))
    assert trace.count("[type=int_parsing]") == 4
    assert "input_value" not in trace


def test_a_secret_is_not_cut_in_two_and_so_shown() -> None:
    def fails_at(length: int) -> None:
        raise ValueError("x" * length + "hunter22" + "y" * 10_000)

    for length in range(23_970, 24_000):
        [*_, last] = traced(partial(fails_at, length))
        assert "h" not in last


def test_a_traceback_of_endless_recursion_is_bounded() -> None:
    def there() -> None:
        here()

    def here() -> None:
        there()

    assert sum(map(len, traced(here))) <= outcome.MAX_TRACEBACK + 100
