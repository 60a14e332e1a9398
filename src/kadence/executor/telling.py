"""What the log of an executor says of how runs end: nothing of a success, one record of anything else."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from kadence.domain.duration import format_time

if TYPE_CHECKING:
    from kadence.executor.work import Work
    from kadence.handlers.handler import Ending

logger = logging.getLogger(__name__)

_LONGEST: Final = 200


def tell(work: Work, ending: Ending) -> None:
    """A handler has ended, or its time: a failed attempt is a warning, with its traceback. Secrets are masked."""
    error, execution = ending.error, work.execution
    line = "" if error is None else next(iter(error.message.splitlines()), "")[:_LONGEST]
    told = execution.firing.run, execution.attempt
    match ending.status:
        case "failed" if error is not None:
            trace = f"\n{error.traceback.rstrip()}" if error.traceback else ""
            what = f"{error.type}: {line}" if line else error.type
            logger.warning("run %s: attempt %d failed: %s%s", *told, what, trace)
        case "snoozed" if ending.until is not None:
            logger.info("run %s: attempt %d is snoozed until %s", *told, format_time(ending.until))
        case "cancelled":
            logger.info("run %s: attempt %d is cancelled by its handler%s", *told, f": {line}" if line else "")
        case _:
            pass
