"""The errors kadence raises, one base and a few leaves; each message says what happened and what to do."""

from __future__ import annotations


class KadenceError(Exception):
    """Base of every error that kadence raises on purpose. ``str(error)`` is one clear sentence."""


class ConfigurationError(KadenceError):
    """A setting, a file or a topic is not as kadence needs it; the message carries the remedy."""


class SettingsError(ConfigurationError):
    """A setting of this process, or the file it is in, is not as kadence needs it. Nothing was connected."""


class InvalidSpecError(KadenceError):
    """A job, pause, hold or command is not valid under the contract. Nothing was written."""


class NotFoundError(KadenceError):
    """What was asked for does not exist."""


class RejectedError(KadenceError):
    """A shard read the record and rejected it: stale (``if_offset``, ``revision``) or invalid there."""


class NotConfirmedError(KadenceError):
    """The record is in the log at ``offset`` and is not lost, but no worker confirmed it in time."""

    def __init__(self, message: str, offset: int) -> None:
        """``offset`` is the record's place in the control topic."""
        super().__init__(message)
        self.offset = offset


class LogError(KadenceError):
    """Base of what can go wrong between kadence and the log."""


class UnreachableError(LogError):
    """No broker answered in time. Nothing is known to be lost; try again."""


class MissingError(UnreachableError):
    """A topic is not there, though the brokers are; it may come back."""


class UncleanError(LogError):
    """A transaction ended with its outcome unknown, or was aborted. The writer must not be used again."""


class FencedError(LogError):
    """Another writer has taken over this transactional id. The writer must not be used again."""


class RefusedError(LogError):
    """A topic refused a record (missing, forbidden, too large). The writer must not be used again."""

    def __init__(self, topic: str, reason: str) -> None:
        """``topic`` refused; ``reason`` is the broker's word for it."""
        super().__init__(f"topic {topic} refused a record: {reason}")
        self.topic = topic
        self.reason = reason


class OffsetOutOfRangeError(LogError):
    """The log no longer holds (or never held) the offset asked for; ``start`` and ``end`` say what it holds."""

    def __init__(self, topic: str, partition: int, offset: int) -> None:
        """``offset`` was asked of ``topic``/``partition``."""
        super().__init__(f"{topic}[{partition}] does not hold offset {offset}")
        self.topic = topic
        self.partition = partition
        self.offset = offset


class UnreadableError(LogError):
    """A record that a shard cannot do without is not to be read; nothing of that shard runs until it is."""


class ClockSkewError(KadenceError):
    """This machine's clock is too far from the broker's for anything to fire on it."""
