"""`kadence dlq`: dead letters are listed and shown in full, and a retry is a trigger that never runs one twice."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from kadence.client import Client
from kadence.domain.names import ID
from kadence.errors import InvalidSpecError, NotFoundError
from kadence.view.letters import newest
from tests.surfaces.commandline import data, run
from tests.surfaces.happenings import Happenings
from tests.surfaces.owner import NS, Owner, a_log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kadence.log.memory import MemoryLog

JOBS = """
- name: invoices
  schedule: { every: 1h }
  payload: { month: "2026-11" }
- name: texts
  schedule: { every: 1h }
  payload_text: "as it is"
- name: bytes
  schedule: { every: 1h }
  payload_base64: "/wA="
- name: billing
  schedule: { every: 1h }
  dead_letters: { topic: billing.dead }
"""
LETTER = "invoices@2026-11-23T08:00:00Z"
OWN = b'{"month":"2026-11"}'


@pytest.fixture
def log() -> Iterator[MemoryLog]:
    """A log with an owner and four jobs."""
    log = a_log()
    log.admin().create("billing.dead", 2, 3, {"message.timestamp.type": "LogAppendTime"})
    with Owner(log):
        assert run("apply", "-f", "-", log=log, text=JOBS).exit_code == 0
        yield log


@pytest.fixture
def story(log: MemoryLog) -> Happenings:
    return Happenings(log)


def listed(log: MemoryLog, *arguments: str) -> list[str]:
    return [letter["run"] for letter in data("dlq", "list", *arguments, log=log)]


def triggers(log: MemoryLog) -> list[tuple[str, Any]]:
    """Every trigger on the control topic: key and payload, ``...`` where it brings none."""
    records = [one for one in log.records(f"{NS}.control", 0) if (one.key or b"").startswith(b"trigger/")]
    return [((one.key or b"").decode(), json.loads(one.value or b"{}").get("payload", ...)) for one in records]


# --- list ---


def test_letters_are_listed_the_newest_last_with_the_error(log: MemoryLog, story: Happenings) -> None:
    story.letter(LETTER)
    once: dict[str, Any] = {"kadence.errors.status": "timed_out", "kadence.errors.attempts": "1"}
    story.letter("texts!x", **once)
    heading, *lines = run("dlq", "list", log=log).stdout.splitlines()
    assert heading.split() == ["RUN", "STATUS", "ATTEMPTS", "AT", "TOPIC", "ERROR"]
    place = "2026-11-23T09:00:00Z ns.dead_letters TimeoutError: no answer from the ledger"
    assert {" ".join(line.split()) for line in lines} == {f"{LETTER} failed 3 {place}", f"texts!x timed_out 1 {place}"}
    letters = data("dlq", "list", log=log)
    came = [log.records(one["topic"], one["partition"])[one["offset"]].timestamp for one in letters]
    assert came == sorted(came)


def test_names_globs_since_and_a_limit_choose(log: MemoryLog, story: Happenings) -> None:
    for letter in (LETTER, "invoices!x", "texts!x", "bytes!x"):
        story.letter(letter)
    assert set(listed(log, "invoices", "texts")) == {LETTER, "invoices!x", "texts!x"}
    assert set(listed(log, "*s")) == {LETTER, "invoices!x", "texts!x", "bytes!x"}
    assert listed(log, "nobody") == []
    assert len(listed(log, "--since", "1h")) == 4
    result = run("dlq", "list", "--limit", "1", log=log)
    assert "the newest 1 of 4 letters are shown" in result.stderr
    assert len(result.stdout.splitlines()) == 2


def test_names_alone_read_their_shards_alone(log: MemoryLog, story: Happenings) -> None:
    story.letter(LETTER)
    home, _ = story.place(LETTER)
    for partition in {0, 1, 2} - {home}:
        log.set_available(f"{NS}.dead_letters", partition, available=False)
    assert listed(log, "invoices") == [LETTER]


def test_letters_are_looked_for_where_jobs_say_and_where_one_is_told_to(log: MemoryLog, story: Happenings) -> None:
    log.admin().create("elsewhere", 1, 1, {})
    story.raw("billing.dead", b"x", b"", 0)
    value = [("kadence.errors.run", b"billing!x")]
    story.raw("billing.dead", b"k", b"null", 1, value)
    log.appender().append("elsewhere", 0, b"k", b"null", [("kadence.errors.run", b"old!x")])
    assert listed(log) == ["billing!x"]
    assert listed(log, "billing", "--topic", "elsewhere") == ["billing!x"]
    assert set(listed(log, "--topic", "elsewhere", "--topic", "billing.dead")) == {"billing!x", "old!x"}


def test_a_namespace_without_dead_letters_says_so(log: MemoryLog) -> None:
    log.delete(f"{NS}.dead_letters")
    result = run("dlq", "list", "--topic", "nowhere", log=log)
    assert result.exit_code == 0
    assert "topic ns.dead_letters does not exist" in result.stderr
    assert "create it with: kadence topics init --namespace ns" in result.stderr
    assert "topic nowhere does not exist" in result.stderr


def test_letters_of_a_topic_with_other_partitions_are_found(log: MemoryLog, story: Happenings) -> None:
    log.delete(f"{NS}.dead_letters")
    log.admin().create(f"{NS}.dead_letters", 7, 1, {})
    story.raw("dead_letters", b"invoices", OWN, 6, [("kadence.errors.run", LETTER.encode())])
    assert listed(log, "invoices") == [LETTER]


# --- show ---


def test_a_letter_is_shown_in_full(log: MemoryLog, story: Happenings) -> None:
    story.letter("invoices!x", payload=b'{"month":"2026-10"}', traceparent="00-abc")
    shown = run("dlq", "show", "invoices!x", log=log).stdout
    for text in ("TimeoutError: no answer", "in pay", '"month": "2026-10"', "traceparent: 00-abc", "ns.executions"):
        assert text in shown
    assert "kadence dlq retry --namespace ns 'invoices!x'" in shown
    found = data("dlq", "show", "invoices!x#3", log=log)
    assert (found["payload"], found["error"]["type"], found["attempts"]) == ({"month": "2026-10"}, "TimeoutError", 3)
    assert found["stacktrace"].splitlines()[0] == "Traceback (most recent call last):"
    assert {"name": "traceparent", "value": "00-abc"} in found["headers"]


@pytest.mark.parametrize(
    ("payload", "field", "shown"),
    [(b"as it is", "payload_text", "as it is"), (b"\xff\x00", "payload_base64", "/wA="), (None, "payload_text", "")],
)
def test_a_payload_that_is_no_json_is_shown_as_it_is(
    log: MemoryLog, story: Happenings, payload: bytes | None, field: str, shown: str
) -> None:
    story.letter("texts!x", payload=payload)
    assert data("dlq", "show", "texts!x", log=log)[field] == shown
    assert shown in run("dlq", "show", "texts!x", log=log).stdout


def test_bytes_do_nothing_to_a_terminal(log: MemoryLog, story: Happenings) -> None:
    story.letter("texts!x", payload=b"\x1b[31mred", **{"__connect.errors.exception.message": "\x1b[2J\r\n\x07"})
    for command in ("list", "show texts!x"):
        assert "\x1b" not in run("dlq", *command.split(), log=log).stdout


def test_a_run_without_a_letter_is_not_found_and_no_run_is_an_error(log: MemoryLog) -> None:
    for command in ("show", "retry"):
        result = run("dlq", command, LETTER, log=log)
        assert (result.exit_code, result.stdout) == (3, "")
        assert f"there is no dead letter of run {LETTER} in ns.dead_letters; `kadence dlq list`" in result.stderr
        result = run("dlq", command, "nonsense", log=log)
        assert (result.exit_code, "'nonsense' is no run, such as" in result.stderr) == (2, True)


def test_of_two_letters_of_a_run_the_newest_counts(log: MemoryLog, story: Happenings) -> None:
    story.letter(LETTER, payload=b"1")
    story.letter(LETTER, payload=b"2")
    assert data("dlq", "show", LETTER, log=log)["payload"] == 2
    assert len(listed(log)) == 2
    assert run("dlq", "retry", LETTER, log=log).exit_code == 0
    assert [payload for _, payload in triggers(log)] == [2]


def test_what_connect_put_aside_of_an_execution_is_a_letter_too(log: MemoryLog, story: Happenings) -> None:
    kept = [("ce_id", b"invoices!x#2"), ("__connect.errors.exception.class.name", b"java.lang.Error")]
    story.raw("dead_letters", b"k", OWN, 0, kept)
    story.raw("dead_letters", b"k", OWN, 0, kept[:1])
    assert listed(log) == ["invoices!x"]


# --- retry ---


def test_a_retry_is_a_trigger_named_after_the_letters_place(log: MemoryLog, story: Happenings) -> None:
    story.letter(LETTER, payload=OWN)
    story.letter("invoices!x", payload=b'{"month":"2026-10"}')
    result = run("dlq", "retry", LETTER, "invoices!x", "--reason", "the ledger is back", log=log)
    assert result.exit_code == 0, result.output
    (first, own), (second, other) = triggers(log)
    assert (own, other) == (..., {"month": "2026-10"})
    ids = [key.removeprefix("trigger/invoices/") for key in (first, second)]
    assert all(ID.fullmatch(id_) for id_ in ids)
    assert ids[0].rpartition("-")[0] == ids[1].rpartition("-")[0]
    assert result.stdout == f"retried {LETTER}: as invoices!{ids[0]}\nretried invoices!x: as invoices!{ids[1]}\n"
    assert json.loads(log.records(f"{NS}.control", 0)[-1].value or b"")["reason"] == "the ledger is back"


def test_retrying_twice_is_reported_and_runs_once(log: MemoryLog, story: Happenings) -> None:
    story.letter(LETTER)
    [first] = data("dlq", "retry", LETTER, log=log)
    again = run("dlq", "retry", LETTER, log=log)
    assert (again.exit_code, again.stdout) == (0, f"retried {LETTER}: already, as {first['retry']}\n")
    [second] = data("dlq", "retry", LETTER, log=log)
    assert (first["fate"], second["fate"], second["error"]) == ("in_force", "already", None)


def test_a_letter_whose_retry_failed_too_is_not_retried_again_but_the_retrys_is(
    log: MemoryLog, story: Happenings
) -> None:
    story.letter(LETTER)
    again = data("dlq", "retry", LETTER, log=log)[0]["retry"]
    story.letter(again)
    result = run("dlq", "retry", "--all", "invoices", log=log)
    assert result.exit_code == 0
    first, second = result.stdout.splitlines()
    assert first == f"retried {LETTER}: already, as {again}, which failed, too: retry that one"
    assert second.startswith(f"retried {again}: as invoices!dlq-")
    assert len(triggers(log)) == 2


def test_all_letters_of_a_job_are_retried_and_no_others(log: MemoryLog, story: Happenings) -> None:
    for letter in (LETTER, "invoices!x", "billing!x"):
        story.letter(letter)
    result = run("dlq", "retry", "--all", "invoices", "--all", "texts", log=log)
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 2)
    assert "there is no dead letter of job texts to retry" in result.stderr
    assert {key.split("/")[1] for key, _ in triggers(log)} == {"invoices"}
    assert run("dlq", "retry", "--all", "b*", "--since", "1h", log=log).exit_code == 0
    assert len(triggers(log)) == 3


@pytest.mark.parametrize(("letter", "payload"), [("texts!x", b"as it is"), ("bytes!x", b"\xff\x00")])
def test_what_the_job_sends_itself_can_be_retried_whatever_it_is(
    log: MemoryLog, story: Happenings, letter: str, payload: bytes
) -> None:
    story.letter(letter, payload=payload)
    assert run("dlq", "retry", letter, log=log).exit_code == 0
    assert [payload for _, payload in triggers(log)] == [...]


@pytest.mark.parametrize("payload", [b"as it was", b"\xff", None, b"[" * 50, b"NaN"])
def test_another_payload_that_is_no_json_cannot_be_retried(
    log: MemoryLog, story: Happenings, payload: bytes | None
) -> None:
    story.letter("texts!x", payload=payload)
    result = run("dlq", "retry", "texts!x", log=log)
    assert (result.exit_code, result.stdout, triggers(log)) == (2, "", [])
    assert "run texts!x cannot be retried: a trigger sends JSON or what the job sends itself" in result.stderr


def test_a_job_that_is_gone_is_not_found_and_the_others_are_retried(log: MemoryLog, story: Happenings) -> None:
    story.letter("gone!x")
    story.letter(LETTER)
    result = run("dlq", "retry", "gone!x", LETTER, log=log)
    assert (result.exit_code, len(triggers(log))) == (3, 1)
    assert "run gone!x cannot be retried: its job gone is gone; apply it again first" in result.stderr


def test_what_no_worker_has_confirmed_is_recorded(story: Happenings, log: MemoryLog) -> None:
    story.letter(LETTER)
    result = run("dlq", "retry", LETTER, "--no-wait", log=log)
    assert (result.exit_code, result.stdout.endswith("not waited for\n")) == (0, True)


def test_an_absent_worker_is_told(story: Happenings) -> None:
    log = a_log()
    Happenings(log).letter(LETTER)
    run("apply", "-f", "-", "--no-wait", log=log, text=JOBS)
    result = run("dlq", "retry", LETTER, "--wait", "10ms", log=log)
    assert (result.exit_code, result.stdout.endswith("once a worker runs\n")) == (5, True)


def test_say_which(log: MemoryLog) -> None:
    assert "say which runs" in run("dlq", "retry", log=log).stderr
    assert "--since goes with --all" in run("dlq", "retry", LETTER, "--since", "1h", log=log).stderr


# --- in Python ---


def test_the_client_reads_letters_and_retries_them(log: MemoryLog, story: Happenings) -> None:
    story.letter(LETTER, payload=b"7")
    story.letter("gone!x")
    story.letter("texts!x", payload=b"as it was")
    with Client(log=log, namespace=NS) as client:
        letters = newest(client.dead_letters())
        assert set(newest(client.dead_letters(["inv*"], since=timedelta(hours=1)))) == {LETTER}
        assert client.retry_letter(letters[LETTER]) == letters[LETTER].retry_run
        assert client.retry_letter(letters[LETTER]) == letters[LETTER].retry_run
        with pytest.raises(NotFoundError, match="there is no job gone"):
            client.retry_letter(letters["gone!x"])
        with pytest.raises(InvalidSpecError, match="cannot be retried"):
            client.retry_letter(letters["texts!x"])
    assert triggers(log)[0][1] == 7


# --- garbage ---

GARBAGE: list[list[tuple[str, bytes]]] = [
    [],
    [("", b"")],
    [("kadence.errors.run", b"")],
    [("kadence.errors.run", b"\xff\xfe")],
    [("kadence.errors.run", b"nonsense")],
    [("kadence.errors.run", b"a@2026-13-01T00:00:00Z")],
    [("kadence.errors.run", b"a" * 900_000)],
    [("ce_id", b"invoices!x")],
]


def test_garbage_among_the_letters_is_counted_and_left_out(log: MemoryLog, story: Happenings) -> None:
    for headers in GARBAGE:
        for value in (None, b"", b"{", b"\xff" * 1000):
            story.raw("dead_letters", None, value, 1, headers)
    broken = {"kadence.errors.attempts": "many", "kadence.errors.at": "now", "kadence.errors.status": "x" * 5000}
    story.letter(LETTER, payload=b"x" * 600_000, **broken)
    shown = run("dlq", "list", log=log)
    assert (shown.exit_code, len(shown.stdout.splitlines())) == (0, 2)
    assert f"left out {4 * len(GARBAGE)} records of ns.dead_letters: not about a run" in shown.stderr
    assert run("dlq", "show", LETTER, log=log).exit_code == 0
    found = data("dlq", "show", LETTER, log=log)
    assert (found["attempts"], len(found["payload_text"])) == (None, 600_000)
    assert run("dlq", "retry", LETTER, log=log).exit_code == 2
    assert triggers(log) == []


def test_a_letter_with_nothing_but_its_run_can_be_retried(log: MemoryLog, story: Happenings) -> None:
    shard, _ = story.place(LETTER)
    named = ("kadence.errors.run", LETTER.encode())
    story.raw("dead_letters", None, OWN, shard, [named])
    story.raw("dead_letters", b"\xff", OWN, shard, [named, ("\ud7ff", b"\xff")])
    assert run("dlq", "show", LETTER, log=log).exit_code == 0
    assert data("dlq", "show", LETTER, log=log)["headers"][1]["value_base64"] == "/w=="
    assert run("dlq", "retry", LETTER, log=log).exit_code == 0
