"""Cases: membership, and what it means for writing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kadence.errors import FencedError
from tests.log.bench import Following, begun, case, poll_until, values_of

if TYPE_CHECKING:
    from tests.log.bench import Bench

_ALL = frozenset(range(4))


def _joined(bench: Bench) -> tuple[str, Following, Following]:
    """A topic of four partitions, a member that owns all of them, and a second one not heard of yet."""
    topic, group = bench.topic(partitions=4), bench.name("group")
    first = Following(bench.log.join(group, topic))
    poll_until(lambda: first.owned == _ALL, first)
    return topic, first, Following(bench.other.join(group, topic))


@case("two members share the partitions, and those that move are revoked first")
def sharing(bench: Bench) -> None:
    _, first, second = _joined(bench)

    def shared() -> bool:
        assert not first.owned & second.owned
        return len(first.owned) == 2 and len(second.owned) == 2

    poll_until(shared, first, second)
    assert first.owned | second.owned == _ALL
    assert [change.lost for change in first.revocations] == [False]
    assert second.revocations == []
    for member in (first, second):
        member.membership.leave()


@case("a member that leaves hands its partitions over at once")
def leaving(bench: Bench) -> None:
    _, first, second = _joined(bench)
    poll_until(lambda: len(second.owned) == 2, first, second)
    first.membership.leave()
    first.membership.leave()
    poll_until(lambda: second.owned == _ALL, second)
    second.membership.leave()


@case("late revoke: an owner that did not notice cannot commit once the next one took over")
def late_revoke(bench: Bench) -> None:
    topic, first, second = _joined(bench)
    name = bench.name("id")
    writers = {p: begun(bench.log, f"{name}.{p}", (topic, p, b"k", b"old")) for p in _ALL}
    poll_until(lambda: len(second.owned) == 2, first, second)
    for partition in second.owned:
        begun(bench.other, f"{name}.{partition}", (topic, partition, b"k", b"new")).commit()
    for partition, writer in writers.items():
        if partition in first.owned:
            writer.commit()
        else:
            with pytest.raises(FencedError):
                writer.commit()
    for partition in _ALL:
        expected = b"new" if partition in second.owned else b"old"
        assert values_of(bench, topic, partition) == [expected]
    for member in (first, second):
        member.membership.leave()
