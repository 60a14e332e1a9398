"""The records that a client writes: each made and checked, and not written yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kadence.client import commands
from kadence.client.commands import Command, Signature
from kadence.clock import SystemClock
from kadence.domain.duration import format_time
from kadence.domain.holds import Selector
from kadence.domain.spec import compact_json
from kadence.domain.stimulus import DeleteJob, LiftPause, PauseJob, ResumeJob, Trigger
from kadence.errors import InvalidSpecError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from kadence.client.commands import Time
    from kadence.clock import Clock
    from kadence.domain.spec import Policy


class Records:
    """Makes records for one namespace, signed by one person. Raises `InvalidSpecError`."""

    def __init__(self, namespace: str, by: str | None, clock: Clock | None = None) -> None:
        """``by`` is a claim."""
        self.namespace = namespace
        self.by = by
        self._clock = clock or SystemClock()

    def deletion(self, name: str) -> tuple[Command, Command]:
        """The two records that remove a job for good: its definition's end and its pause's."""
        return (
            commands.wish("job", name, DeleteJob(), self.namespace),
            commands.wish("pause", name, LiftPause(), self.namespace),
        )

    def pausing(self, name: str, *, reason: str | None = None, until: Time | timedelta | None = None) -> Command:
        """The record that pauses a job."""
        end = commands.until(until, self._clock.wall())
        return commands.wish("pause", name, PauseJob(end), self.namespace, Signature(self.by, reason))

    def resuming(self, name: str, *, catch_up: Policy | None = None, reason: str | None = None) -> Command:
        """The record that resumes a job."""
        return commands.wish("pause", name, ResumeJob(catch_up), self.namespace, Signature(self.by, reason))

    def holding(
        self,
        name: str,
        match: Mapping[str, object] | Selector,
        *,
        start: Time | None = None,
        end: Time | timedelta | None = None,
        catch_up: Policy | None = None,
        reason: str | None = None,
    ) -> Command:
        """The record that puts a hold in force."""
        if catch_up is not None and end is None:
            raise InvalidSpecError(
                f"hold {name}: catch_up is for a hold that ends by itself: give it an end, or give catch_up to release"
            )
        begin = None if start is None else commands.instant(start)
        finish = commands.until(end, self._clock.wall() if begin is None else begin)
        body = {
            "match": match.document() if isinstance(match, Selector) else match,
            "start": None if begin is None else format_time(begin),
            "end": None if finish is None else format_time(finish),
            "catch_up": catch_up,
        }
        given = {field: value for field, value in body.items() if value is not None}
        return commands.document("hold", name, given, self.namespace, Signature(self.by, reason))

    def triggering(
        self,
        name: str,
        id: str,  # noqa: A002  the contract's word for it
        payload: object = ...,
        *,
        reason: str | None = None,
    ) -> Command:
        """The record that runs a job once."""
        try:
            data = None if payload is ... else compact_json(payload)
        except (TypeError, ValueError) as error:
            raise InvalidSpecError(f"trigger {name}: the payload does not fit into JSON: {error}") from error
        signature = Signature(self.by, reason)
        return commands.wish("trigger", name, Trigger(id, data), self.namespace, signature, id)
