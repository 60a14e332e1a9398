"""The Python client: writes what people want to the control topic, and waits until a worker says that it is so."""

from __future__ import annotations

from kadence.client.client import Client
from kadence.client.commands import Command
from kadence.client.deploy import Deployed, Plan, Step
from kadence.client.written import Written

__all__ = ["Client", "Command", "Deployed", "Plan", "Step", "Written"]
