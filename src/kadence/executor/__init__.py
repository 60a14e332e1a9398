"""Handlers in Python: what an app declares, and what runs when one of its executions arrives."""
