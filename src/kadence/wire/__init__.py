"""Bytes to values and back: total functions that return a value or a `Rejected` and never raise."""
