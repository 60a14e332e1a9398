"""Cases: transactions, and who may end them."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING

import pytest

from kadence.errors import FencedError, LogError, RefusedError, UncleanError
from kadence.log.port import EARLIEST
from tests.log.bench import WAIT_S, Trouble, begun, bounds_of, case, read_values, values_of, wait_until

if TYPE_CHECKING:
    from kadence.log.port import LogWriter
    from tests.log.bench import Bench


@case("the LSO stays at the first record of an open transaction")
def lso(bench: Bench) -> None:
    topic = bench.topic()
    appender = bench.log.appender()
    appender.append(topic, 0, b"k", b"before")
    writer = begun(bench.log, bench.name("id"), (topic, 0, b"k", b"inside"))
    assert appender.append(topic, 0, b"k", b"after").offset == 2
    assert bounds_of(bench, topic) == (0, 1)
    reader = bench.log.reader()
    reader.assign(topic, 0, EARLIEST)
    assert read_values(reader, 1) == [b"before"]
    assert reader.read(10, 0.3) == []
    writer.commit()
    assert read_values(reader, 2) == [b"inside", b"after"]


@case("plain appends under an open transaction are hidden until it ends, also by an abort")
def interleaved(bench: Bench) -> None:
    topic, name = bench.topic(), bench.name("id")
    appender = bench.log.appender()
    begun(bench.log, name, (topic, 0, b"k", b"inside")).close()
    appender.append(topic, 0, b"k", b"plain")
    reader = bench.log.reader()
    reader.assign(topic, 0, EARLIEST)
    assert reader.read(10, 0.3) == []
    bench.log.writer(name)
    assert read_values(reader, 1) == [b"plain"]


@case("an open transaction hides nothing of other partitions")
def other_partitions(bench: Bench) -> None:
    topic = bench.topic(partitions=2)
    begun(bench.log, bench.name("id"), (topic, 0, b"k", b"inside"))
    bench.log.appender().append(topic, 1, b"k", b"plain")
    assert values_of(bench, topic, 1) == [b"plain"]
    assert bounds_of(bench, topic) == (0, 0)


@case("aborted records are invisible and keep their offsets")
def aborted(bench: Bench) -> None:
    topic, name = bench.topic(), bench.name("id")
    begun(bench.log, name, (topic, 0, b"k", b"one"), (topic, 0, b"k", b"two")).close()
    writer = begun(bench.log, name, (topic, 0, b"k", b"three"))
    assert writer.commit().offset == 3  # two aborted records and their marker come first
    assert values_of(bench, topic) == [b"three"]


@case("a transaction is visible in all its partitions")
def whole(bench: Bench) -> None:
    topics = [bench.topic(partitions=2), bench.topic()]
    places = [(topics[0], 0), (topics[0], 1), (topics[1], 0)]
    writer = begun(bench.log, bench.name("id"), *[(*place, b"k", b"v") for place in places])
    assert [bounds_of(bench, *place) for place in places] == [(0, 0)] * 3
    writer.commit()
    assert [values_of(bench, *place) for place in places] == [[b"v"]] * 3


@case("one writer commits many transactions")
def many(bench: Bench) -> None:
    topic = bench.topic()
    writer = bench.log.writer(bench.name("id"))
    offsets = []
    for number in range(20):
        writer.begin()
        writer.send(topic, 0, b"k", b"%d" % number)
        offsets.append(writer.commit().offset)
    assert offsets == list(range(0, 40, 2))
    assert values_of(bench, topic) == [b"%d" % number for number in range(20)]


@case("a transaction is begun once, holds something, and comes before its records")
def misused(bench: Bench) -> None:
    topic = bench.topic()
    writer = bench.log.writer(bench.name("id"))
    with pytest.raises(RuntimeError, match="begin"):
        writer.send(topic, 0, b"k", b"v")
    with pytest.raises(RuntimeError, match="begin"):
        writer.commit()
    writer.begin()
    with pytest.raises(RuntimeError, match="open already"):
        writer.begin()
    with pytest.raises(RuntimeError, match="nothing was sent"):
        writer.commit()
    writer.send(topic, 0, b"k", b"v")  # none of these mistakes harms the writer
    assert writer.commit().offset == 0


@case("a takeover ends the transaction of the former holder")
def takeover(bench: Bench) -> None:
    topic, name = bench.topic(), bench.name("id")
    begun(bench.log, name, (topic, 0, b"k", b"old"))
    bench.other.writer(name)
    assert bounds_of(bench, topic) == (0, 2)  # its record, and the marker that aborts it
    assert values_of(bench, topic) == []


@case("a zombie's commit is refused")
def zombie_commit(bench: Bench) -> None:
    topic, name = bench.topic(), bench.name("id")
    zombie = begun(bench.log, name, (topic, 0, b"k", b"old"))
    begun(bench.other, name, (topic, 0, b"k", b"new")).commit()
    with pytest.raises(FencedError):
        zombie.commit()
    assert values_of(bench, topic) == [b"new"]


@case("a zombie's records are refused, in the transaction it had open and in a new one")
def zombie_send(bench: Bench) -> None:
    topic, busy_name, idle_name = bench.topic(), bench.name("id"), bench.name("id")
    busy, idle = begun(bench.log, busy_name, (topic, 0, b"k", b"old")), bench.log.writer(idle_name)
    begun(bench.other, busy_name, (topic, 0, b"k", b"new")).commit()
    begun(bench.other, idle_name, (topic, 0, b"k", b"new")).commit()
    with pytest.raises(FencedError):
        send_and_flush(busy, topic, b"k", b"zombie")
    idle.begin()
    with pytest.raises(FencedError):
        send_and_flush(idle, topic, b"k", b"zombie")
    assert values_of(bench, topic) == [b"new", b"new"]


def send_and_flush(writer: LogWriter, topic: str, key: bytes | None, value: bytes) -> None:
    """Where a record is refused: a producer may know it at once, or once the broker has answered."""
    writer.send(topic, 0, key, value)
    writer.flush()


@case("a writer that failed is dead: whatever is called on it raises")
def dead(bench: Bench) -> None:
    topic, name = bench.topic(), bench.name("id")
    zombie = begun(bench.log, name, (topic, 0, b"k", b"old"))
    bench.other.writer(name)
    with pytest.raises(FencedError):
        zombie.commit()
    for call in (zombie.begin, zombie.flush, zombie.commit, lambda: zombie.send(topic, 0, b"k", b"v")):
        with pytest.raises(LogError):
            call()
    zombie.close()
    zombie.close()
    assert values_of(bench, topic) == []


@case("a writer that is closed leaves its transaction to the next holder, who ends it")
def closed(bench: Bench) -> None:
    topic, name = bench.topic(), bench.name("id")
    writer = begun(bench.log, name, (topic, 0, b"k", b"old"))
    writer.close()
    writer.close()
    with pytest.raises(LogError):
        writer.begin()
    assert begun(bench.log, name, (topic, 0, b"k", b"new")).commit().offset == 2
    assert values_of(bench, topic) == [b"new"]


@case("an unknown commit whose answer was lost took place")
def answer_lost(bench: Bench) -> None:
    assert _unknown_commit(bench, Trouble.ANSWER_LOST) == [[b"old", b"new"]] * 2


@case("an unknown commit whose request was lost never takes place")
def request_lost(bench: Bench) -> None:
    assert _unknown_commit(bench, Trouble.REQUEST_LOST) == [[b"new"]] * 2


def commit_without_answer(bench: Bench, writer: LogWriter, trouble: Trouble) -> None:
    """Commit while the coordinator is silent: the writer gives up, and says that it does not know."""
    bench.trouble(trouble)
    errors: list[LogError] = []

    def commit() -> None:
        try:
            writer.commit()
        except LogError as error:
            errors.append(error)

    thread = threading.Thread(target=commit, daemon=True)  # so that one that never gives up fails, not hangs
    thread.start()
    thread.join(WAIT_S)
    assert not thread.is_alive(), "the commit did not return"
    assert [type(error) for error in errors] == [UncleanError]


def _unknown_commit(bench: Bench, trouble: Trouble) -> list[list[bytes | None]]:
    """Both partitions after a commit that met ``trouble``, and the next holder's that met none."""
    topic, name = bench.topic(partitions=2), bench.name("id")
    writer = begun(bench.frail, name, (topic, 0, b"k", b"old"), (topic, 1, b"k", b"old"))
    commit_without_answer(bench, writer, trouble)
    with pytest.raises(LogError):
        writer.begin()
    writer.close()
    begun(bench.log, name, (topic, 0, b"k", b"new"), (topic, 1, b"k", b"new")).commit()
    return [values_of(bench, topic, partition) for partition in range(2)]


@case("a late EndTxn takes effect while its epoch holds")
def late_in_time(bench: Bench) -> None:
    topic, name = bench.topic(), bench.name("id")
    writer = begun(bench.frail, name, (topic, 0, b"k", b"old"))
    commit_without_answer(bench, writer, Trouble.REQUEST_HELD)
    assert bounds_of(bench, topic) == (0, 0)
    bench.deliver()
    wait_until(lambda: bounds_of(bench, topic) == (0, 2))
    assert values_of(bench, topic) == [b"old"]


@case("a late EndTxn that arrives after the takeover changes nothing, not even the new transaction")
def late_after_takeover(bench: Bench) -> None:
    topic, name = bench.topic(), bench.name("id")
    writer = begun(bench.frail, name, (topic, 0, b"k", b"old"))
    commit_without_answer(bench, writer, Trouble.REQUEST_HELD)
    successor = begun(bench.log, name, (topic, 0, b"k", b"new"))
    bench.deliver()
    assert bounds_of(bench, topic) == (0, 2)
    successor.send(topic, 0, b"k", b"newer")
    successor.commit()
    assert values_of(bench, topic) == [b"new", b"newer"]


@case("a record to a missing topic is refused by name, and nothing of its transaction is visible")
def refused_missing(bench: Bench) -> None:
    _refused(bench, bench.name("missing"), b"v")


@case("a record too large for its topic is refused by name, and nothing of its transaction is visible")
def refused_large(bench: Bench) -> None:
    _refused(
        bench, bench.topic(max_message_bytes="2000"), random.Random(7).randbytes(20_000)
    )  # nothing that compression could save


@case("a record without a key is refused by a compacted topic")
def refused_keyless(bench: Bench) -> None:
    _refused(bench, bench.compacted(), b"v", key=None)


def _refused(bench: Bench, target: str, value: bytes, key: bytes | None = b"k") -> None:
    topic, name = bench.topic(), bench.name("id")
    writer = begun(bench.log, name, (topic, 0, b"k", b"good"))
    with pytest.raises(RefusedError) as refusal:
        send_and_flush(writer, target, key, value)
    assert refusal.value.topic == target
    with pytest.raises(LogError):
        writer.commit()
    writer.close()
    begun(bench.log, name, (topic, 0, b"k", b"better")).commit()
    assert values_of(bench, topic) == [b"better"]
