"""Random histories of two jobs: what is written, reported and found out, with a bias to what is hard about runs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

from hypothesis import strategies as st

from tests.domain.histories import Look, Record, Wait

TARGET, LETTERS = "orders", "letters"
"""Topics that go and come back."""


@dataclass(frozen=True)
class Report:
    """An outcome of one of the latest firings: ``back`` 0 is the newest. ``until`` counts from now, in seconds."""

    after: float
    back: int
    status: str
    error: str | None = None
    until: int | None = None


Step = Record | Report | Look | Wait

gaps = st.sampled_from([0, 0, 0, 1, 1, 1, 2, 3, 5, 8])
names = st.sampled_from("aab")
latest = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3, 5])
retries = st.sampled_from(
    [
        {"attempts": 2, "delay": "1s"},
        {"attempts": 3, "delay": "2s", "factor": 3.0, "max_delay": "5s"},
        {"attempts": 2, "delay": "4s"},
        {"attempts": 2, "delay": "20s"},
    ]
)
breakers = st.sampled_from(
    [
        {"failures": 1, "probe_after": "2s"},
        {"failures": 1, "probe_after": "3s", "factor": 3.0, "max_probe_after": "8s"},
        {"failures": 2, "probe_after": "1s"},
        {"failures": 1},
        {"failures": 3},
        {"failures": 3, "probe_after": "1s"},
    ]
)
specs = st.fixed_dictionaries(
    {
        "schedule": st.sampled_from([3, 3, 5]).map(lambda seconds: {"every": f"{seconds}s"}),
        "catch_up": st.sampled_from(["skip", "all", "latest"]).map(
            lambda policy: {"after_pause": policy, "grace": "1d"}
        ),
    },
    optional={
        "overlap": st.just("skip"),
        "timeout": st.sampled_from(["4s", "6s"]),
        "expires_after": st.sampled_from(["4s", "9s"]),
        "retry": retries,
        "breaker": breakers,
        "target": st.just({"topic": TARGET}),
        "dead_letters": st.just({"topic": LETTERS}),
        "payload": st.sampled_from(["one", "two"]),
    },
)
lengths = st.integers(-1, 12)
by_hand = {"paused": True, "reason": "by hand"}
pauses = st.one_of(
    st.just(by_hand),
    st.just({"paused": True}),
    lengths.map(lambda seconds: {"paused": True, "until": seconds}),
    st.sampled_from([{"paused": False}, {"paused": False, "catch_up": "all"}, {"paused": False, "catch_up": "latest"}]),
    st.none(),
)
OVER = {"h": ["a", "b"], "i": ["a"]}


def _hold(after: float, key: str, end: int | None, *, put: bool) -> Record:
    value = {"match": {"names": OVER[key]}, **({} if end is None else {"end": end})}
    return Record(after, f"hold/{key}", value if put else None)


edits = st.builds(lambda after, name, spec: Record(after, f"job/{name}", spec), gaps, names, specs)
deletions = st.builds(lambda after, name: Record(after, f"job/{name}", None), gaps, names)
keeping = st.builds(lambda after, name, value: Record(after, f"pause/{name}", value), gaps, names, pauses)
holds = st.builds(_hold, gaps, st.sampled_from("hi"), st.one_of(st.none(), lengths), put=st.booleans())
triggers = st.builds(
    lambda after, name, id_, value: Record(after, f"trigger/{name}/{id_}", value),
    gaps,
    names,
    st.sampled_from("123456789"),
    st.sampled_from([{}, {"payload": "own"}]),
)
looks = st.builds(Look, gaps, st.sampled_from([None, "is gone"]))
failures = st.builds(Report, gaps, latest, st.just("failed"), st.sampled_from([None, "E: a", "E: b"]))
reports = st.one_of(
    st.builds(Report, gaps, latest, st.just("started")),
    st.builds(Report, gaps, latest, st.sampled_from(["succeeded", "succeeded", "cancelled", "expired"])),
    st.builds(Report, gaps, latest, st.just("snoozed"), st.none(), st.sampled_from([None, -5, 1, 4, 50])),
)
swapped = st.builds(
    lambda after, back, status: [Report(after, 0, "failed"), Report(0, back, status)],
    gaps,
    st.integers(1, 3),
    st.sampled_from(["succeeded", "failed"]),
)
resumed = st.builds(
    lambda name, back: [Record(1, f"pause/{name}", {"paused": False}), Report(0, back, "failed")],
    names,
    st.integers(0, 2),
)
waits = st.builds(Wait, st.sampled_from([3, 5, 10, 20, 45]))
# Not `one_of`: that would draw each of the many wishes as often as a failure.
kinds = (
    [failures] * 5 + [reports] * 8 + [waits] * 4 + [keeping] * 3 + [edits, deletions, holds, triggers, triggers, looks]
)
several = st.sampled_from([swapped, swapped, resumed, *(kind.map(lambda step: [step]) for kind in kinds)])
histories = st.builds(
    lambda first, breaker, retry, second, more: [
        Record(0, "job/a", {**first, "breaker": breaker, "retry": retry}),
        Record(1, "job/b", second),
        *chain.from_iterable(more),
    ],
    specs,
    breakers,
    st.one_of(st.just({"attempts": 1}), retries),
    specs,
    st.lists(several.flatmap(lambda kind: kind), min_size=12, max_size=40),
)
