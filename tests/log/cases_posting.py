"""Cases: records that are posted, and their answers."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING

import pytest

from kadence.errors import KadenceError, LogError, RefusedError
from kadence.log.port import Receipt
from tests.log.bench import case, records_of, values_of, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.log.bench import Bench


class Answers:
    """What was answered to numbered posts, in the order of the answers."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, Receipt | LogError]] = []

    def to(self, number: int) -> Callable[[Receipt | LogError], None]:
        return lambda answer: self.heard.append((number, answer))

    def offsets(self) -> dict[int, int]:
        return {number: answer.offset for number, answer in self.heard if isinstance(answer, Receipt)}


@case("posted records are appended in order per partition, and each is answered once with its receipt")
def posted(bench: Bench) -> None:
    topic, answers = bench.topic(partitions=2), Answers()
    appender = bench.log.appender()
    for number in range(1000):
        appender.post(topic, number % 2, b"k", b"%d" % number, [("n", b"%d" % number)], done=answers.to(number))
    wait_until(lambda: len(answers.heard) >= 1000)
    appender.close()
    assert answers.offsets() == {number: number // 2 for number in range(1000)}
    assert len(answers.heard) == 1000
    for partition in range(2):
        records = records_of(bench, topic, partition)
        assert [record.value for record in records] == [b"%d" % number for number in range(partition, 1000, 2)]
        assert records[3].headers == (("n", records[3].value),)
        times = dict(answers.heard)
        first = times[partition]
        assert isinstance(first, Receipt)
        assert first.timestamp == records[0].timestamp


@case("a single post is answered without anybody asking")
def posted_alone(bench: Bench) -> None:
    topic = bench.topic()
    appender = bench.log.appender()
    for number in range(2):  # the second one comes when everything has been idle
        answered = threading.Event()
        appender.post(topic, -1, b"k", b"v", done=lambda _, event=answered: event.set())  # type: ignore[misc]
        wait_until(answered.is_set)
        assert len(values_of(bench, topic)) == 2 * number + 1  # looking appends one
    appender.close()


@case("a post that is refused is answered by name, and harms no other")
def post_refused(bench: Bench) -> None:
    topic, small, missing = bench.topic(), bench.topic(max_message_bytes="2000"), bench.name("missing")
    answers, appender = Answers(), bench.log.appender()
    for number, target in enumerate((topic, missing, small, topic)):
        value = random.Random(7).randbytes(20_000) if target == small else b"%d" % number
        appender.post(target, 0, b"k", value, done=answers.to(number))
    wait_until(lambda: len(answers.heard) >= 4)
    assert answers.offsets() == {0: 0, 3: 1}
    refusals = {number: answer for number, answer in answers.heard if isinstance(answer, RefusedError)}
    assert {number: refusal.topic for number, refusal in refusals.items()} == {1: missing, 2: small}
    appender.close()
    assert len(answers.heard) == 4


@case("a closed appender has appended and answered what was posted, and takes no more")
def post_closed(bench: Bench) -> None:
    topic, answers = bench.topic(), Answers()
    appender = bench.log.appender()
    for number in range(500):
        appender.post(topic, 0, b"k", b"%d" % number, done=answers.to(number))
    appender.close()
    assert answers.offsets() == {number: number for number in range(500)}
    appender.close()
    with pytest.raises(RuntimeError, match="closed"):
        appender.post(topic, 0, b"k", b"late", done=answers.to(500))
    assert len(answers.heard) == 500
    assert values_of(bench, topic) == [b"%d" % number for number in range(500)]


@case("an answer may be what the next post waits for, and one that raises keeps no other back")
def post_from_an_answer(bench: Bench) -> None:
    topic, answers = bench.topic(), Answers()
    appender = bench.log.appender()

    def chained(answer: Receipt | LogError) -> None:
        answers.to(0)(answer)
        appender.post(topic, 0, b"k", b"second", done=failing)

    def failing(answer: Receipt | LogError) -> None:
        answers.to(1)(answer)
        raise KadenceError("of the owner's own")

    appender.post(topic, 0, b"k", b"first", done=chained)
    wait_until(lambda: len(answers.heard) == 2)
    appender.post(topic, 0, b"k", b"third", done=answers.to(2))
    wait_until(lambda: len(answers.heard) == 3)
    appender.close()
    assert answers.offsets() == {0: 0, 1: 1, 2: 2}


@case("append and post go together")
def post_and_append(bench: Bench) -> None:
    topic, answers = bench.topic(partitions=2), Answers()
    appender = bench.log.appender()
    for number in range(20):
        appender.post(topic, 0, b"k", b"%d" % number, done=answers.to(number))
        assert appender.append(topic, 1, b"k", b"v").offset == number
    appender.close()
    assert answers.offsets() == {number: number for number in range(20)}
