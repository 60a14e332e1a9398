"""Random histories of one shard, for properties: what may be written, and three ways of living through it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from kadence.domain.duration import parse_time
from tests.domain.story import EVERYTHING, Story, when

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kadence.domain.book import Book
    from kadence.domain.shard import Shard

NAMES = ("a", "b", "c")
END = 120.0


@dataclass(frozen=True)
class Record:
    """A control record, written ``after`` seconds later than what stands before it."""

    after: float
    key: str
    value: object


@dataclass(frozen=True)
class Report:
    """An outcome of the latest execution so far (of the earliest if ``first``)."""

    after: float
    status: str
    first: bool


@dataclass(frozen=True)
class Look:
    """The process finds a target's topic gone, or there again."""

    after: float
    problem: str | None


@dataclass(frozen=True)
class Wait:
    """Nothing is written for a while; the shard ticks at the end of it."""

    after: float


Step = Record | Report | Look | Wait

gaps = st.integers(0, 16).map(lambda halves: halves / 2)
ends = st.integers(1, 240).map(lambda halves: when(halves / 2))
names = st.sampled_from(NAMES)
policies = st.sampled_from(["skip", "latest", "all"])


def specs(catch_up: st.SearchStrategy[dict[str, object]]) -> st.SearchStrategy[dict[str, object]]:
    """JobSpecs with short periods, some with jitter, tags, a target, a breaker, or an end."""
    schedule = st.one_of(
        st.sampled_from([2, 3, 5, 10]).map(lambda seconds: {"every": seconds}),
        st.just([{"every": 5}, {"every": 7, "offset": 1}]),
        st.just({"cron": "*/10 * * * * *"}),
    )
    return st.fixed_dictionaries(
        {"schedule": schedule, "catch_up": catch_up},
        optional={
            "jitter": st.sampled_from(["4s", "11s"]),
            "tags": st.lists(st.sampled_from(["x", "y"]), max_size=2),
            "target": st.just({"topic": "orders"}),
            "breaker": st.just({"failures": 2}),
            "end": st.sampled_from([when(60), when(300)]),
            "start": st.sampled_from([when(30)]),
            "description": st.sampled_from(["one", "two"]),
        },
    )


any_catch_up: st.SearchStrategy[dict[str, object]] = st.fixed_dictionaries(
    {"policy": policies, "grace": st.sampled_from(["0s", "3s", "1d"]), "after_pause": policies}
)
complete_catch_up: st.SearchStrategy[dict[str, object]] = st.fixed_dictionaries(
    {"grace": st.sampled_from(["0s", "3s", "1d"])}
).map(lambda found: {**found, **EVERYTHING, "after_pause": "all"})

selectors: st.SearchStrategy[dict[str, object]] = st.sampled_from(
    [
        {"all": True},
        {"all": True, "not": {"names": ["a"]}},
        {"tags": ["x"]},
        {"tags": ["x", "y"], "names": ["[ab]"]},
        {"names": ["a", "c*"]},
    ]
)


def records(
    catch_up: st.SearchStrategy[dict[str, object]], *, choices: bool = True, deletes: bool = True
) -> st.SearchStrategy[Record]:
    """Control records. ``choices``: resumes and holds may ask for a policy of their own."""
    job = specs(catch_up) if not deletes else st.one_of(specs(catch_up), specs(catch_up), st.none())
    jobs = st.builds(lambda after, name, value: Record(after, f"job/{name}", value), gaps, names, job)
    return st.one_of(jobs, keeping(policies if choices else st.just("all")))


def keeping(policy: st.SearchStrategy[str]) -> st.SearchStrategy[Record]:
    """Records that keep jobs from firing, and those that lift that again."""
    choice = {"catch_up": policy}
    pause = st.one_of(
        st.fixed_dictionaries({"paused": st.booleans().filter(bool)}, optional={"until": ends}),
        st.fixed_dictionaries({"paused": st.booleans().map(lambda _: False)}, optional=choice),
        st.none(),
    )
    window = st.lists(ends, min_size=2, max_size=2, unique=True).flatmap(_windows)
    held = st.fixed_dictionaries({"match": selectors, "window": window}, optional=choice).map(_open_window)
    hold = st.one_of(held, st.none())
    return st.one_of(
        st.builds(lambda after, name, value: Record(after, f"pause/{name}", value), gaps, names, pause),
        st.builds(lambda after, name, value: Record(after, f"hold/{name}", value), gaps, st.sampled_from("hi"), hold),
    )


def _windows(two: list[str]) -> st.SearchStrategy[dict[str, str]]:
    start, end = sorted(two, key=parse_time)
    return st.sampled_from([{}, {"start": start}, {"end": end}, {"start": start, "end": end}])


def _open_window(hold: dict[str, Any]) -> dict[str, Any]:
    return {**{key: value for key, value in hold.items() if key != "window"}, **hold["window"]}


commands = st.one_of(
    st.builds(lambda after, name, id_: Record(after, f"trigger/{name}/{id_}", {}), gaps, names, st.sampled_from("123")),
    st.builds(lambda after, name: Record(after, f"job/{name}", b"{garbage"), gaps, names),
)
reports = st.builds(Report, gaps, st.sampled_from(["failed", "failed", "succeeded"]), st.booleans())
looks = st.builds(Look, gaps, st.sampled_from([None, "does not exist"]))
waits = st.builds(Wait, gaps)


def everything_lifted() -> list[Step]:
    """What ends every pause, hold and trouble, so that nothing stays undecided."""
    found: list[Step] = [Look(1, None), Record(0, "hold/h", None), Record(0, "hold/i", None)]
    return [*found, *(Record(0, f"pause/{name}", {"paused": False}) for name in NAMES)]


def live(
    steps: Sequence[Step],
    *,
    make: Callable[[Book], Shard] | None = None,
    limits: Sequence[int] = (1_000_000,),
    deaths: Sequence[bool] = (False,),
    lags: Sequence[int] = (0,),
    finish: float = 0.0,
) -> Story:
    """Live through a history: tick before each step, then take it. Each list is gone through in turn.

    ``limits``: executions per transaction. ``deaths``: whether the owner dies after a transaction. ``lags``: how many
    records stay unread for another step.
    """
    story = Story() if make is None else Story(make)
    turn = 0
    now = 0.0
    for step in [*steps, Wait(finish)]:
        now += step.after
        while True:
            more = story.tick(now, limits[turn % len(limits)], rounds=1)
            if deaths[turn % len(deaths)]:
                story.rebuild()
            turn += 1
            if not more:
                break
        match step:
            case Record(_, key, value):
                story.write(key, value)
            case Report(_, status, first):
                scheduled = [id_ for id_ in story.fires if "@" in id_]
                if scheduled:
                    story.outcome(scheduled[0 if first else -1], status)
            case Look(_, problem):
                story.target("orders", problem)
            case Wait():
                pass
        unread = len(story.log) - story.shard.book.cursor.control
        story.apply(max(0, unread - lags[turn % len(lags)]))
    story.apply()
    story.tick(now)
    return story
