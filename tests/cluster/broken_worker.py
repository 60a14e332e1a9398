"""``python -m tests.cluster.broken_worker``: the broken variant of a worker, which the harness must catch."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

from typing_extensions import override

from kadence.errors import KadenceError
from kadence.log.kafka import KafkaLog
from kadence.log.port import Revoked
from kadence.settings import Settings
from kadence.worker.worker import Worker

if TYPE_CHECKING:
    from kadence.log.kafka.membership import KafkaMembership
    from kadence.log.kafka.writer import KafkaWriter
    from kadence.log.port import Assigned, Membership


class Unfenced(KafkaLog):
    """The classic mistake: a transactional id per process, so that nothing ends a producer but its own good will.

    And it lacks that: a process that was stopped for too long is not told that it lost its shards.
    """

    @override
    def writer(self, transactional_id: str) -> KafkaWriter:
        return super().writer(f"{transactional_id}.{os.getpid()}")

    @override
    def join(self, group: str, topic: str) -> Membership:  # type: ignore[override]  # a wrapper will do
        return Unaware(super().join(group, topic))


class Unaware:
    """A membership that hides what was lost."""

    def __init__(self, membership: KafkaMembership) -> None:
        self._membership = membership

    def poll(self, timeout: float) -> list[Assigned | Revoked]:
        changes = self._membership.poll(timeout)
        return [change for change in changes if not (isinstance(change, Revoked) and change.lost)]

    def leave(self) -> None:
        self._membership.leave()


def main() -> int:
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("kadence").setLevel(logging.INFO)
    try:
        settings = Settings.load()
        Worker(settings, log=Unfenced(settings.bootstrap_servers, settings.kafka)).run()
    except KadenceError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
