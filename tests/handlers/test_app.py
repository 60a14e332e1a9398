"""Declaring handlers: what becomes of them, and what is refused where it is written."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

from kadence import App, Run
from kadence.errors import ConfigurationError, InvalidSpecError, KadenceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.handlers.elsewhere import Unseen

BREAKER = {"failures": 1, "probe_after": "1m"}


def nothing() -> None: ...


def declared(**given: Any) -> dict[str, Any]:
    app = App("billing")
    app.job("tick", **{"every": "1h", **given})(nothing)
    return app.specs()["tick"]


# --- specs ---


def test_the_spec_of_a_handler() -> None:
    app = App("billing", revision=7)
    app.job("tick", every="1s")(nothing)
    assert app.specs() == {
        "tick": {
            "schedule": {"every": "1s"},
            "overlap": "skip",
            "breaker": BREAKER,
            "target": {"headers": {"kadence-app": "billing"}},
            "managed_by": "billing",
            "revision": 7,
        }
    }


SCHEDULES: list[tuple[dict[str, Any], object]] = [
    ({"cron": "0 9 * * *"}, {"cron": "0 9 * * *"}),
    ({"cron": "0 9 * * *", "timezone": "Europe/Berlin"}, {"cron": "0 9 * * *", "timezone": "Europe/Berlin"}),
    ({"every": timedelta(minutes=90)}, {"every": "1h30m"}),
    ({"every": 5}, {"every": 5}),
    ({"at": datetime(2030, 1, 1, tzinfo=UTC)}, {"at": "2030-01-01T00:00:00Z"}),
    ({"at": "2030-01-01T00:00:00Z"}, {"at": "2030-01-01T00:00:00Z"}),
    (
        {"schedule": [{"every": timedelta(hours=1), "offset": "5m"}, {"cron": "@daily"}]},
        [{"every": "1h", "offset": "5m"}, {"cron": "@daily"}],
    ),
]


@pytest.mark.parametrize(("given", "schedule"), SCHEDULES)
def test_the_schedules_that_can_be_given(given: dict[str, Any], schedule: object) -> None:
    app = App("billing")
    app.job("tick", **given)(nothing)
    assert app.specs()["tick"]["schedule"] == schedule


def test_pythons_own_durations_and_times_at_any_depth() -> None:
    spec = declared(timeout=timedelta(minutes=5), retry={"attempts": 3, "delay": timedelta(seconds=1)}, tags=("a",))
    assert (spec["timeout"], spec["retry"], spec["tags"]) == ("5m", {"attempts": 3, "delay": "1s"}, ["a"])


def test_a_field_replaces_the_default_of_the_app_and_that_kadences_own() -> None:
    app = App("billing", defaults={"timeout": "1m", "breaker": {"failures": 3}})
    app.job("a", every="1h")(nothing)
    app.job("b", every="1h", timeout=None, breaker={"failures": 0}, overlap="allow")(nothing)
    a, b = app.specs().values()
    assert (a["timeout"], a["breaker"], a["overlap"]) == ("1m", {"failures": 3}, "skip")
    assert ("timeout" in b, b["breaker"], b["overlap"]) == (False, {"failures": 0}, "allow")


def test_headers_and_key_of_a_target_are_kept() -> None:
    assert declared(target={"key": "k", "headers": {"x": "y"}})["target"] == {
        "key": "k",
        "headers": {"x": "y", "kadence-app": "billing"},
    }


def test_dead_letters_may_go_to_a_topic_of_any_name() -> None:
    assert declared(dead_letters={"topic": "kadence.letters"})["dead_letters"] == {"topic": "kadence.letters"}


def test_specs_are_a_copy() -> None:
    app = App("billing")
    app.job("tick", every="1h", tags=["a"])(nothing)
    app.specs()["tick"].clear()
    assert app.specs()["tick"]["tags"] == ["a"]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"every": None}, "job tick: no schedule is given; give one of cron, every, at and schedule"),
    ({"cron": "@daily"}, "job tick: cron and every are both given; give one of cron, every, at and schedule"),
    ({"timezone": "Europe/Berlin"}, "job tick: timezone goes with cron; every takes none"),
    ({"every": "soon"}, "job tick: schedule: "),
    ({"retrys": {}}, "job tick: unknown field 'retrys' in a job; did you mean 'retry'?"),
    ({"retry": {"atempts": 3}}, "job tick: retry: unknown field 'atempts' in retry; did you mean 'attempts'?"),
    ({"target": {"topic": "billing"}}, "job tick: target.topic is given, but a job with a handler is executed from"),
    ({"target": "billing"}, "job tick: target: must be an object"),
    ({"target": {"headers": {"kadence-app": "x"}}}, "job tick: the header kadence-app is the app's own; leave it out"),
    ({"managed_by": "me"}, "job tick: managed_by is the app's to give"),
    ({"revision": 7}, "job tick: revision is the app's to give"),
    ({"payload": {1, 2}}, "job tick: payload: must be JSON (objects, lists, strings, numbers, true, false, null)"),
    ({"start": datetime(2030, 1, 1)}, "job tick: the time 2030-01-01 00:00:00 has no time zone"),  # noqa: DTZ001
    ({"timeout": timedelta(-1)}, "job tick: the duration -1 day, 0:00:00 must not be negative"),
    ({"concurrency": 0}, "job tick: concurrency must be a whole number from 1 on, not 0"),
    ({"ordered": True, "concurrency": 2}, "job tick: ordered runs are done one at a time; leave concurrency out"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_what_is_wrong_is_said_where_it_is_written(given: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigurationError, InvalidSpecError)) as raised:
        App("billing").job("tick", **{"every": "1h", **given})
    assert str(raised.value).startswith(message)


APPS: list[tuple[dict[str, Any], str]] = [
    ({"name": "no name"}, "app 'no name': 'no name' is no name"),
    ({"name": "x", "group": "a b"}, "app 'x': 'a b' is no name"),
    ({"name": "x", "revision": -1}, "app 'x': must be a whole number from 0"),
    ({"name": "x", "defaults": {"overlapp": 1}}, "app x: defaults: unknown field 'overlapp' in the defaults of an app"),
    ({"name": "x", "defaults": {"managed_by": "y"}}, "app x: defaults: unknown field 'managed_by'"),
]


@pytest.mark.parametrize(("given", "message"), APPS)
def test_an_app_that_is_not_right_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        App(**given)
    assert str(raised.value).startswith(message)


def test_a_bad_default_names_the_job_that_it_was_for() -> None:
    app = App("billing", defaults={"timeout": "soon"})
    with pytest.raises(InvalidSpecError, match=r"^job tick: timeout: "):
        app.job("tick", every="1h")


def test_the_group_of_an_app() -> None:
    assert (App("a").group_of("ns"), App("a", group="g").group_of("ns")) == ("ns.executors", "ns.executors.g")


# --- functions ---


def test_the_function_stays_what_it_was() -> None:
    app = App("billing")

    @app.job("tick", every="1s")
    def tick() -> int:
        return 7

    assert tick() == 7
    assert inspect.isfunction(tick)


async def coroutine(run: Run[int]) -> None: ...
def with_the_run(run: Run[int]) -> None: ...
def with_more(run: Run[int], dry: bool = False) -> None: ...  # noqa: FBT001, FBT002  a user's taste
def by_another_name(event: Any) -> None: ...  # noqa: ANN401  no type
def optional(run: Any = None) -> None: ...  # noqa: ANN401  no type
def only_defaults(dry: bool = False) -> None: ...  # noqa: FBT001, FBT002  a user's taste
def anything(*arguments: object, **more: object) -> None: ...


class Called:
    async def __call__(self, run: Run[int]) -> None: ...

    def method(self, run: Run[int]) -> None: ...


FUNCTIONS: list[tuple[Callable[..., object], bool, bool]] = [
    (nothing, False, False),
    (coroutine, True, True),
    (with_the_run, False, True),
    (with_more, False, True),
    (by_another_name, False, True),
    (optional, False, True),
    (only_defaults, False, False),
    (anything, False, True),
    (Called(), True, True),
    (Called().method, False, True),
]


@pytest.mark.parametrize(("function", "is_async", "takes_run"), FUNCTIONS)
def test_what_a_handler_may_be(function: Callable[..., object], is_async: bool, takes_run: bool) -> None:  # noqa: FBT001
    app = App("billing")
    app.job("tick", every="1h", payload=1, timeout="5s", expires_after="1m", ordered=True)(function)
    handler = app.handlers["tick"]
    assert (handler.is_async, handler.takes_run) == (is_async, takes_run)
    assert (handler.timeout, handler.expires_after, handler.ordered, handler.concurrency) == (5_000, 60_000, True, 1)


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> Any:  # noqa: ANN401  no type
    yield 1


def two(run: Run[int], more: int) -> None: ...
def by_keyword(*, run: Run[int]) -> None: ...
def the_payload_itself(invoice: Invoice) -> None: ...
def an_iterator(run: Run[Iterator_]) -> None: ...


class Iterator_:  # noqa: N801  a class that pydantic knows nothing of
    pass


NO_HANDLERS: list[tuple[Any, str]] = [
    (generator, "is a generator (there is a yield in it), and would never run; return instead"),
    (async_generator, "is a generator"),
    (two, "two wants more as well; a handler takes the run, as def f(run: Run[Invoice]), or nothing"),
    (by_keyword, "by_keyword wants run as well"),
    ("text", "job tick: 'text' is no function; a handler takes the run"),
    (the_payload_itself, "takes Invoice, but it is given a run; write invoice: Run[Invoice], and its payload is one"),
    (an_iterator, "job tick: the payload of its handler cannot be read as Iterator_: Unable to generate pydantic-core"),
]


@pytest.mark.parametrize(("function", "message"), NO_HANDLERS)
def test_what_cannot_be_a_handler_is_refused(function: Any, message: str) -> None:  # noqa: ANN401  anything
    with pytest.raises(ConfigurationError) as raised:
        App("billing").job("tick", every="1h", payload={"id": 1})(function)
    assert message in str(raised.value)
    assert str(raised.value).startswith("job tick: ")


def test_a_name_can_be_given_once() -> None:
    app = App("billing")
    app.job("tick", every="1h")(nothing)
    with pytest.raises(ConfigurationError) as raised:
        app.job("tick", every="1h")(with_the_run)
    assert str(raised.value) == (
        f"job tick has two handlers in app billing, {__name__}.nothing and {__name__}.with_the_run; "
        "give one of them another name"
    )
    assert list(app.handlers) == ["tick"]


def test_a_decorator_without_a_name_is_told_what_it_takes() -> None:
    job: Any = App("billing").job
    with pytest.raises(ConfigurationError, match="job takes a name and a schedule"):
        job(nothing)
    with pytest.raises(ConfigurationError, match="job takes a name and a schedule"):
        job(every="1s")


def test_a_name_is_checked() -> None:
    with pytest.raises(KadenceError, match="'no name' is no name"):
        App("billing").job("no name", every="1h")


# --- payload types ---


def later(run: Run[Invoice]) -> None: ...


APP = App("billing")


@APP.job("first", every="1h", payload={"id": 1})
def before_its_type(run: Run[Invoice]) -> None: ...


@dataclass
class Invoice:
    id: int


class Model(BaseModel):
    id: int


class Typed(TypedDict):
    id: int


def test_a_type_may_be_defined_after_the_handler() -> None:
    assert APP.handlers["first"].payload.type is Invoice


def test_a_type_may_be_local_to_where_the_handler_is() -> None:
    class Local(BaseModel):
        id: int

    app = App("billing")

    @app.job("tick", every="1h", payload={"id": 1})
    def tick(run: Run[Local]) -> None: ...

    assert app.handlers["tick"].payload.type is Local


def of_an_unseen_type(run: Run[Unseen]) -> None: ...


def test_a_type_for_type_checkers_only_is_no_type() -> None:
    app = App("billing")
    app.job("tick", every="1h")(of_an_unseen_type)
    with pytest.raises(ConfigurationError) as raised:
        _ = app.handlers
    assert str(raised.value) == (
        "job tick: the type of its handler's payload is not known when the program runs (name 'Unseen' is not "
        "defined); import it outside of TYPE_CHECKING, or define it in its module"
    )


PAYLOADS: list[tuple[dict[str, Any], str]] = [
    ({}, "its payload does not suit its handler (none is given, which is null): it is not a valid Invoice: Input"),
    ({"payload": {"id": "x"}}, "its payload does not suit its handler: it is not a valid Invoice: id: Input should be"),
    ({"payload_text": "hello"}, "its payload does not suit its handler: it is not a valid Invoice: Invalid JSON"),
]


@pytest.mark.parametrize(("given", "message"), PAYLOADS)
def test_a_payload_that_its_own_handler_could_not_read_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError) as raised:
        App("billing").job("tick", every="1h", **given)(later)
    assert str(raised.value).startswith(f"job tick: {message}")


def test_a_job_that_is_created_paused_may_leave_its_payload_to_triggers() -> None:
    app = App("billing")
    app.job("tick", every="1h", paused=True)(later)
    assert app.handlers["tick"].payload.type is Invoice
