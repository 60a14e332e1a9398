"""The pure core: no IO, no clock, no threads, no randomness; ``now`` is an argument."""
