"""Why brokers do not answer, found out once they have not: what a plain connection to them says."""

from __future__ import annotations

import socket
from typing import Final

_PATIENCE: Final = 2.0
_PORT: Final = 9092


def why_unreachable(servers: str) -> str | None:
    """Why the first of these addresses (``host:port``, several with ``,`` between) cannot be connected to.

    None where it can, so that the reason is another one.
    """
    address = servers.split(",", maxsplit=1)[0].strip().rpartition("://")[2]
    host, colon, port = address.rpartition(":")
    if not colon or host.endswith(":") or port.endswith("]"):
        host, port = address, str(_PORT)
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
    except socket.gaierror:
        return f"the host name {host} is not known"
    except ConnectionRefusedError:
        return f"nothing listens at {host}:{port}"
    except OSError as error:
        return f"{host}:{port} cannot be connected to: {error.strerror or error}"
    return None
