from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from kadence.domain.duration import parse_duration, parse_time
from kadence.domain.holds import parse_selector
from kadence.domain.shard import Shard
from kadence.domain.stimulus import Tick
from tests.domain.histories import (
    NAMES,
    Record,
    Wait,
    any_catch_up,
    commands,
    complete_catch_up,
    everything_lifted,
    keeping,
    live,
    looks,
    records,
    reports,
    waits,
)
from tests.domain.story import START, Story, at

if TYPE_CHECKING:
    from kadence.domain.stimulus import Stimulus
    from tests.domain.histories import Step

anything = st.lists(
    st.one_of(records(any_catch_up), records(any_catch_up), commands, reports, looks, waits), max_size=30
)
limits = st.lists(st.integers(1, 5), min_size=1, max_size=7)
deaths = st.lists(st.booleans(), min_size=1, max_size=7)
lags = st.lists(st.integers(0, 3), min_size=1, max_size=7)
OWN = ("state", "reason", "by", "pause", "breaker", "spec_offset", "rejected", "ids")


def own(story: Story) -> dict[str, dict[str, object]]:
    """What the state records say about each job, but for how its due times are booked."""
    documents = {key.decode(): json.loads(value) for key, value in story.states().items()}
    return {key: {field: found.get(field) for field in OWN} for key, found in documents.items() if key[0] == "j"}


@settings(max_examples=60, deadline=None)
@given(anything, limits, deaths)
def test_cuts_and_deaths_change_nothing(history: list[Step], cuts: list[int], died: list[bool]) -> None:
    steps = [*history, Wait(7), *everything_lifted(), Wait(5)]
    whole = live(steps, finish=20)
    pieces = live(steps, limits=cuts, deaths=died, finish=20)
    assert Counter(pieces.fires) == Counter(whole.fires)
    assert (pieces.missed, pieces.dropped) == (whole.missed, whole.dropped)
    assert own(pieces) == own(whole)
    assert [error for _, error in pieces.refused] == [error for _, error in whole.refused]


def twice(story: Story) -> list[str]:
    return [id_ for id_, count in Counter(story.fires).items() if count > 1]


class Watched(Shard):
    """Insists that a tick fires nothing of a job that is kept from firing as it is applied now."""

    @override
    def step(self, stimulus: Stimulus, now: int) -> bool:
        before = len(self.book.decision.fires)
        more = super().step(stimulus, now)
        if isinstance(stimulus, Tick):
            fired = {fire.name for fire in self.book.decision.fires[before:]}
            assert not [name for name in fired if self.book.jobs[name].kept_now(self.book.now)]
        return more


@settings(max_examples=60, deadline=None)
@given(anything, limits, deaths, lags)
def test_no_execution_id_is_emitted_twice_and_nothing_while_kept_however_late_records_are_read(
    history: list[Step], cuts: list[int], died: list[bool], late: list[int]
) -> None:
    removed = {step.key for step in history if isinstance(step, Record) and step.key[0] == "j" and step.value is None}
    steps = [*history, *everything_lifted()]
    story = live(steps, make=Watched, limits=cuts, deaths=died, lags=late, finish=20)
    # An id that was triggered may be used again for another job of that name.
    assert [id_ for id_ in twice(story) if "!" not in id_ or f"job/{id_[0]}" not in removed] == []


def owed(story: Story, name: str) -> list[tuple[int, int, set[int]]]:
    """(from, to, due times) of each spec that was in force, all ms: computed from the log alone, second by second."""
    puts = [
        (timestamp, None if value is None else json.loads(value))
        for timestamp, key, value in story.log
        if key == f"job/{name}".encode() and value != b"{garbage"
    ]
    found: list[tuple[int, int, set[int]]] = []
    for (timestamp, spec), (until, _) in pairwise([*puts, (at(story.now), None)]):
        if spec is not None:
            dues = {due for due in range(START, at(story.now) + 1, 1000) if is_due(spec, due)}
            found.append((timestamp, until, dues))
    return found


def is_due(spec: dict[str, Any], due: int) -> bool:
    schedule = spec["schedule"]
    members = schedule if isinstance(schedule, list) else [schedule]
    if "start" in spec and due < parse_time(spec["start"]):
        return False
    if "end" in spec and due >= parse_time(spec["end"]):
        return False
    return any(
        due % 10_000 == 0 if "cron" in it else (due - it.get("offset", 0) * 1000) % (it["every"] * 1000) == 0
        for it in members
    )


complete = st.lists(
    st.one_of(
        records(complete_catch_up, choices=False, deletes=False),
        records(complete_catch_up, choices=False, deletes=False),
        looks,
        waits,
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(complete, limits, deaths)
def test_every_due_time_of_every_spec_runs_exactly_once(history: list[Step], cuts: list[int], died: list[bool]) -> None:
    story = live([*history, *everything_lifted(), Wait(30)], limits=cuts, deaths=died, finish=30)
    for name in NAMES:
        fired = [parse_time(id_.partition("@")[2]) for id_ in story.fires if id_.startswith(f"{name}@")]
        expected = {due for low, high, dues in owed(story, name) for due in dues if low < due <= high}
        slack = parse_duration("11s")  # the longest jitter: what is due later may wait for its firing instant
        settled = {due for due in expected if due <= at(story.now) - slack}
        assert settled <= set(fired) <= expected
        assert len(fired) == len(set(fired))
    assert story.missed == {}
    assert story.dropped == {}


@settings(max_examples=60, deadline=None)
@given(complete, limits, deaths, lags)
def test_no_due_time_is_lost_to_an_edit_that_is_read_late(
    history: list[Step], cuts: list[int], died: list[bool], late: list[int]
) -> None:
    story = live([*history, *everything_lifted(), Wait(30)], limits=cuts, deaths=died, lags=late, finish=30)
    for name in NAMES:
        fired = {parse_time(id_.partition("@")[2]) for id_ in story.fires if id_.startswith(f"{name}@")}
        last = 0
        for low, high, dues in owed(story, name):
            settled = min(high, at(story.now) - 11_000)
            lost = {due for due in dues if max(low, last) < due <= settled} - fired
            assert lost == set()
            last = max([last, *(due for due in dues & fired if due > high)])
    assert twice(story) == []


keepers = st.lists(keeping(st.just("skip")), max_size=20)


def in_force(story: Story, key: str, instant: int) -> dict[str, Any]:
    """The newest value under a key that was written before an instant."""
    values = [value for timestamp, known, value in story.log if known == key.encode() and timestamp < instant]
    found: dict[str, Any] = json.loads(values[-1]) if values and values[-1] is not None else {}
    return found


def kept(story: Story, name: str, tags: list[str], instant: int) -> bool:
    """The contract read literally: what is in force at the firing instant."""
    pause = in_force(story, f"pause/{name}", instant)
    if pause.get("paused") and ("until" not in pause or instant < parse_time(pause["until"])):
        return True
    for key in "hi":
        hold = in_force(story, f"hold/{key}", instant)
        if hold and parse_selector(hold["match"]).matches(name, tags):
            since = parse_time(hold["start"]) if "start" in hold else 0
            if since <= instant and ("end" not in hold or instant < parse_time(hold["end"])):
                return True
    return False


@settings(max_examples=60, deadline=None)
@given(keepers, limits, deaths)
def test_a_due_time_is_dropped_if_and_only_if_something_keeps_its_firing_instant(
    history: list[Step], cuts: list[int], died: list[bool]
) -> None:
    tags = {"a": ["x"], "b": ["y"], "c": []}
    catch_up = {"grace": "1d", "after_pause": "skip"}
    jobs: list[Step] = [
        Record(0, f"job/{name}", {"schedule": {"every": 1}, "tags": tags[name], "catch_up": catch_up}) for name in NAMES
    ]
    # A quarter of a second aside, so that nothing is written at a firing instant.
    story = live([*jobs, Wait(0.25), *history, *everything_lifted()], limits=cuts, deaths=died, finish=5)
    for name in NAMES:
        dues = range(START + 1000, at(story.now) + 1, 1000)
        dropped = [due for due in dues if kept(story, name, tags[name], due)]
        assert sorted(story.dues(name)) == [(due - START) / 1000 for due in dues if due not in dropped]
        assert story.dropped.get(name, 0) == len(dropped)
