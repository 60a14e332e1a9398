from __future__ import annotations

import ast
from pathlib import Path

import pytest

from kadence.domain.stimulus import Outcome, Rejected
from kadence.wire import control, outcome, state
from tests.wire import golden

FILE = Path(__file__).with_name("golden.txt")


def records() -> list[tuple[str, bytes, bytes | None]]:
    """(title, key, value) as the checked-in file has them."""
    found = []
    for block in FILE.read_text(encoding="utf-8").split("\n\n"):
        lines = block.strip().splitlines()
        fields = {line[:8].strip(): line[8:] for line in lines[1:3]}
        found.append((lines[0][2:], ast.literal_eval(fields["key"]), ast.literal_eval(fields["value"])))
    return found


def test_every_record_is_written_as_the_contract_has_it() -> None:
    assert FILE.read_text(encoding="utf-8") == golden.everything()


@pytest.mark.parametrize(("title", "key", "value"), records())
def test_what_is_written_is_read_back_as_the_same(title: str, key: bytes, value: bytes | None) -> None:
    kind, _, rest = title.partition(": ")
    match kind:
        case "control" if rest != "barrier":
            change = control.decode(key, value, 5, 6, golden.NAMESPACE)
            assert not isinstance(change.wish, Rejected)
            signed = {"by": change.by, "reason": change.reason, "if_offset": change.if_offset}
            assert control.encode(change.wish, **signed) == value  # type: ignore[arg-type]  # by their names
        case "outcome":
            assert isinstance(outcome.decode(key, value, 5, 6), Outcome)
        case "state" if key.startswith(b"job/"):
            read = state.decode_job(key.decode()[4:], value or b"", golden.NAMESPACE)
            assert isinstance(read, state.JobRecord)
            read.job.spec = read.spec
            assert state.encode_job(read.job) == value
        case "state" if key.startswith(b"hold/"):
            applied = state.decode_hold(key.decode()[5:], value or b"")
            assert not isinstance(applied, Rejected)
            assert state.encode_hold(applied) == value
        case "state" if key == state.CURSOR:
            cursor = state.decode_cursor(value or b"")
            assert cursor == golden.cursor()
        case _:
            assert state.barrier_nonce(value) == ("0badcafe" if "barrier" in title else None)


def test_there_is_a_record_of_every_kind() -> None:
    titles = [title for title, *_ in records()]
    kinds = {key.partition(b"/")[0].decode() for title, key, _ in records() if title.startswith("control")}
    assert kinds == set(control.KINDS)
    for kind in ("execution", "event", "outcome", "state"):
        assert any(title.startswith(kind) for title in titles)
