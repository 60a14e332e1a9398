"""Handlers in Python: what an app declares of its jobs, and how one of them is called."""
