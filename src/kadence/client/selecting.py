"""Choosing jobs by globs and tags, as people give them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kadence.domain.fields import InvalidError
from kadence.domain.holds import Matches
from kadence.errors import InvalidSpecError

if TYPE_CHECKING:
    from collections.abc import Iterable


def matches(names: Iterable[str] = (), tags: Iterable[str] = ()) -> Matches:
    """One side of a selector. Raises `InvalidSpecError`."""
    try:
        return Matches(tuple(names), tuple(tags))
    except InvalidError as error:
        raise InvalidSpecError(str(error)) from error
