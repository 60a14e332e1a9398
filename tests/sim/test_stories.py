"""Each story holds, and does not hold for a worker that is wrong in the one thing it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kadence.errors import KadenceError
from tests.sim import stories_commands, stories_firing, stories_runs, stories_takeover

if TYPE_CHECKING:
    from tests.sim.variants import Story

_STORIES = [
    pytest.param(story, id=story.tell.__name__)
    for story in (
        *stories_takeover.STORIES,
        *stories_commands.STORIES,
        *stories_firing.STORIES,
        *stories_runs.STORIES,
    )
]


@pytest.mark.parametrize("story", _STORIES)
def test_it_holds(story: Story) -> None:
    story.tell()


@pytest.mark.parametrize("story", _STORIES)
def test_it_would_catch_the_mistake(story: Story) -> None:
    with story.mistake.in_place(), pytest.raises((AssertionError, KadenceError, pytest.fail.Exception)):
        story.tell()
