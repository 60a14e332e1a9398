"""What a simulation may be run with instead of the production parts: nothing, or one deliberate mistake."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Broken:
    """``owner.name`` is replaced by ``wrong``, for each of these."""

    replacements: tuple[tuple[Any, str, Any], ...]

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Run with the mistake."""
        right = [(owner, name, owner.__dict__[name]) for owner, name, _ in self.replacements]
        for owner, name, wrong in self.replacements:
            setattr(owner, name, wrong)
        try:
            yield
        finally:
            for owner, name, original in right:
                setattr(owner, name, original)


@dataclass(frozen=True)
class Story:
    """A test with a name of its own, and the mistake that it must catch."""

    tell: Callable[[], None]
    mistake: Broken
