"""A module that type checkers see."""

from __future__ import annotations


class Unseen:
    pass
