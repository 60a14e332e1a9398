"""What a worker says of its jobs in its own log."""

from __future__ import annotations

from kadence.domain.decision import Decision, Happening
from kadence.worker.alarms import alarms


def test_a_strangers_key_makes_no_line_of_its_own_and_no_long_one() -> None:
    place = {"topic": "kadence.outcomes", "partition": 3, "offset": 7}
    told = Happening("record.rejected", "a\nERROR all is lost" + "x" * 5_000, reason="not JSON", detail=place)
    [line] = alarms(Decision(happenings=[told]), "kadence.events")
    assert line.startswith("record rejected: a\\nERROR all is lostxxx")
    assert len(line) <= 1_010


def test_a_flood_is_cut_short() -> None:
    many = [Happening("job.errored", f"job-{number}", reason="no") for number in range(25)]
    lines = list(alarms(Decision(happenings=[*many, Happening("job.paused", "a")]), "kadence.events"))
    assert lines[0] == "job errored: job-0: no"
    assert lines[-1] == "... and 15 more like these; see kadence.events"
