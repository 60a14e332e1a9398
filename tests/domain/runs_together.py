"""A random history, lived through by a shard and by the naive model at once, and compared after every step.

A day, an hour and a thousand open runs would make long histories: these live by `LIMITS`.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from kadence.domain import launch
from kadence.domain.duration import format_time, parse_time
from kadence.domain.firing import firing_id, run_id
from kadence.domain.stimulus import OutcomesHeard, Tick
from tests.domain.histories import Look, Record, Wait
from tests.domain.runs_history import LETTERS, TARGET, Report
from tests.domain.runs_model import Limits, Model
from tests.domain.story import START, Story, at, when

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kadence.domain.decision import DeadLetter, Fire, Happening
    from tests.domain.kept_model import Doc
    from tests.domain.runs_history import Step

LIMITS = Limits(lost_after=40_000, remembered=15_000, most_open=6)
FIELDS = ("status", "n", "attempt", "cause", "time", "fired", "started", "expires", "next_at", "settled_at", "error")
INSTANTS = ("time", "fired", "started", "expires", "next_at", "settled_at")


@contextmanager
def short_days() -> Iterator[None]:
    """Live by `LIMITS`."""
    known = launch.LOST_AFTER, launch.REMEMBERED, launch.MOST_OPEN
    launch.LOST_AFTER, launch.REMEMBERED, launch.MOST_OPEN = LIMITS.lost_after, LIMITS.remembered, LIMITS.most_open  # type: ignore[misc]
    try:
        yield
    finally:
        launch.LOST_AFTER, launch.REMEMBERED, launch.MOST_OPEN = known  # type: ignore[misc]


class DifferError(AssertionError):
    """The shard did something else than the model says."""


class Together:
    """A story and a model that live through the same. ``deaths``: before or after which commits the owner dies."""

    def __init__(self, limits: Sequence[int], deaths: Sequence[str]) -> None:
        """``limits``: executions per transaction. Each list is gone through in turn."""
        self.story = Story()
        self.story.commit()
        self.model = Model(START, limits=LIMITS, next_at=self._next_at)
        self._limits, self._deaths = limits, deaths
        self._turn = 0
        self._heard: str | None = None

    def _next_at(self, run: str) -> int:
        """When the shard fires a run again: within ±10 % that is for it to say."""
        record = json.loads(self.story.state.get(b"run/" + run.encode(), b"{}"))
        if "next_at" not in record:
            msg = f"{self.story.now:g} s: {run} should wait for another attempt, but its record is {record}"
            raise DifferError(msg)
        return parse_time(record["next_at"])

    def _dies(self) -> str:
        self._turn += 1
        return self._deaths[self._turn % len(self._deaths)]

    def pass_time(self, seconds: float) -> None:
        """Let so many seconds pass, one by one."""
        story = self.story
        for _ in range(round(seconds)):
            story.now += 1
            while self._tick():
                pass
            self.model.tick(at(story.now))
            self.compare()

    def _tick(self) -> bool:
        story, now = self.story, at(self.story.now)
        death = self._dies()
        if death == "before":  # all that was decided is lost, and decided again
            story.shard.step(OutcomesHeard(now), now)
            story.shard.step(Tick(self._limits[self._turn % len(self._limits)]), now)
            story.rebuild(forget=True)
        more = story.tick(story.now, self._limits[self._turn % len(self._limits)], rounds=1)
        if death == "after":
            story.rebuild()
        return more

    def take(self, step: Step) -> None:
        """Take one step at this instant."""
        again = self._story_takes(step)
        death = self._dies()
        if death == "before" and again:
            self.story.rebuild(forget=True)
            self.story.apply()
            self.story.hear()
        self.story.commit()
        if death == "after":
            self.story.rebuild()
        if again:
            self._model_takes(step)
            self.model.crowd()
        self.compare()

    def _firing(self, report: Report) -> str | None:
        fires = self.story.fires
        return fires[-1 - report.back] if report.back < len(fires) else None

    def _from_now(self, value: object) -> Doc | None:
        """A record whose end is so many seconds from now, as it is written."""
        if not isinstance(value, dict):
            return None
        return {**value, **{part: when(self.story.now + value[part]) for part in ("until", "end") if part in value}}

    def _until(self, report: Report) -> float | None:
        return None if report.until is None else self.story.now + report.until

    def _story_takes(self, step: Step) -> bool:
        match step:
            case Record(_, key, value):
                self.story.control(key, self._from_now(value))
            case Report(_, _, status, error):
                self._heard = self._firing(step)
                if self._heard is None:
                    return False
                self.story.outcome(self._heard, status, error=error, until=self._until(step))
            case Look(_, problem):
                self.story.target(TARGET, problem)
                self.story.target(LETTERS, problem)
            case Wait():
                return False
        return True

    def _model_takes(self, step: Step) -> None:
        model = self.model
        match step:
            case Record(_, key, value):
                self._model_obeys(key, self._from_now(value))
            case Report(_, _, status, error):
                until = self._until(step)
                model.outcome(self._heard or "", status, error, None if until is None else at(until))
            case Look(_, problem):
                model.look(TARGET, problem)
                model.look(LETTERS, problem)
            case Wait():
                pass

    def _model_obeys(self, key: str, value: Doc | None) -> None:
        kind, name, *id_ = key.split("/")
        match kind:
            case "job" if value is None:
                self.model.delete(name)
            case "job" if value is not None:
                self.model.put(name, value)
            case "pause":
                self.model.pause(name, value)
            case "hold":
                self.model.hold(name, value)
            case _:
                self.model.trigger(name, id_[0], (value or {}).get("payload"))

    def compare(self) -> None:
        """What the shard did since the last time, and what stands in its state records, is what the model says."""
        story, model, now = self.story, self.model, self.story.now
        shard = {
            "fired": sorted(_fired(fire) for decision in story.decisions for fire in decision.fires),
            "said": sorted(map(repr, _said(story.happenings))),
            "letters": sorted(map(_letter, story.letters)),
            "refused": len(story.refused),
            **{key: doc for key, doc in _documents(story).items() if key[:3] == "run" or key[4:] in model.jobs},
        }
        contract = {
            "fired": sorted((*it[:3], json.dumps(it[3])) for it in model.fires),
            "said": sorted(map(repr, model.said)),
            "letters": sorted((*it[:5], json.dumps(it[5])) for it in model.letters),
            "refused": model.refused,
            **{key: _comparable(doc) for key, doc in model.seen().items()},
        }
        differing = {key for key in shard.keys() | contract.keys() if shard.get(key) != contract.get(key)}
        if differing:
            lines = (f"{key}\n  shard {shard.get(key)}\n  model {contract.get(key)}" for key in sorted(differing))
            raise DifferError("\n".join([f"{now:g} s:", *lines]))
        for done in (
            story.decisions,
            story.happenings,
            story.letters,
            story.refused,
            model.fires,
            model.said,
            model.letters,
        ):
            done.clear()
        model.refused = 0


def _fired(fire: Fire) -> tuple[str, int, str, str]:
    value = fire.spec.payload.data if fire.payload is None else fire.payload
    return firing_id(run_id(fire.name, fire.time, fire.command), fire.n), fire.attempt, fire.cause, value.decode()


def _letter(letter: DeadLetter) -> tuple[Any, ...]:
    id_, attempt, _, value = _fired(letter.fire)
    return letter.topic, id_, attempt, letter.status, letter.error.line, value


def _said(happenings: Sequence[Happening]) -> Iterator[tuple[Any, ...]]:
    for it in happenings:
        detail: dict[str, Any] = it.detail
        match it.kind:
            case "job.dropped" if it.reason == "overlap":
                first, last = parse_time(detail["first"]), parse_time(detail["last"])
                yield "overlap", it.name, detail["run"], detail["count"], first, last
            case "job.dropped" | "job.missed":
                yield from [(it.kind[4:], it.name, it.reason)] * detail["count"]
            case "job.run_failed":
                kept = "not_kept" in detail
                yield "run_failed", it.name, detail["run"], detail["attempts"], str(detail["status"]), it.reason, kept
            case "job.run_lost":
                yield "run_lost", it.name, detail["run"], detail["attempts"]
            case "job.dead_lettered":
                yield "dead_lettered", it.name, detail["run"], detail["dead_letters"]
            case "job.probing":
                yield "probing", it.name, detail["run"]
            case "job.errored":
                yield "errored", it.name, it.reason
            case "job.recovered":
                yield "recovered", it.name
            case _:
                pass


def _documents(story: Story) -> dict[str, Any]:
    """The state records, as far as the model tells of them."""
    return {key.decode(): _document(key, value) for key, value in story.state.items() if key[:4] in {b"job/", b"run/"}}


@lru_cache(maxsize=10_000)
def _document(key: bytes, value: bytes) -> dict[str, Any]:
    doc = json.loads(value)
    if key.startswith(b"job/"):
        breaker = doc.get("breaker", {})
        return {
            "state": doc["state"],
            "reason": doc.get("reason"),
            "failed": breaker.get("failed", []),
            "last_error": breaker.get("last_error"),
            "probe_at": breaker.get("probe_at"),
            "probes": breaker.get("probes", 0),
        }
    skipped = doc.get("skipped")
    return {
        **{part: doc.get(part) for part in FIELDS},
        "error": "lost" if doc["status"] == "lost" else doc.get("error"),
        "skipped": None if skipped is None else (skipped["count"], skipped["first"], skipped["last"]),
        "payload": doc["payload"]["json"] if "payload" in doc else None,
    }


_text = lru_cache(maxsize=10_000)(format_time)


def _comparable(doc: dict[str, Any]) -> dict[str, Any]:
    """A document of the model as the wire writes it."""
    if "n" not in doc:
        return {**doc, "probe_at": None if doc["probe_at"] is None else _text(doc["probe_at"])}
    found = {part: doc[part] for part in (*FIELDS, "payload")}
    found |= {part: None if doc[part] is None else _text(doc[part]) for part in INSTANTS}
    found["error"] = doc["error"] if doc["status"] != "lost" else "lost"
    skipped = doc["skipped"]
    return {**found, "skipped": None if skipped is None else (skipped[0], *map(_text, skipped[1:]))}


def live(history: Sequence[Step], limits: Sequence[int] = (1_000_000,), deaths: Sequence[str] = ("",)) -> Together:
    """Live through a history, and a while longer."""
    with short_days():
        both = Together(limits, deaths)
        for step in history:
            both.pass_time(step.after)
            both.take(step)
        both.pass_time(15)
    return both
