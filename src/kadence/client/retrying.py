"""Running a failed run again: a trigger with the payload of its dead letter, and an id that follows from its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kadence.domain.fields import InvalidError
from kadence.errors import InvalidSpecError
from kadence.wire import strict

if TYPE_CHECKING:
    from kadence.client.written import Written
    from kadence.view import JobView
    from kadence.view.letters import Letter

_DUPLICATE: Final = "duplicate:"


def payload_for(letter: Letter, job: JobView) -> object:
    """The payload that a trigger needs to send what the letter holds; ``...`` where the job itself sends that.

    Raises `InvalidSpecError` where no trigger could: it carries JSON only.
    """
    value = letter.value or b""
    if job.spec is not None and job.spec.payload.data == value:
        return ...
    try:
        return strict.loads(value)
    except InvalidError as error:
        raise InvalidSpecError(
            f"run {letter.run} cannot be retried: a trigger sends JSON or what the job sends itself, and the letter is "
            f"neither ({error})"
        ) from None


def done_before(written: Written) -> bool:
    """Whether a retry was rejected because there was one of that letter already."""
    return written.fate == "rejected" and (written.error or "").startswith(_DUPLICATE)
