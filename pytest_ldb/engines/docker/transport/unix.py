"""An engine that listens on a Unix socket of this machine.

Importing the Docker SDK, and taking it down at the end, takes half as long as starting a server
from cached data, so nothing here needs it.
"""

from __future__ import annotations

import socket
from functools import partial

from .connection import SocketConnection
from .http import TIMEOUT_S, Transport

SCHEMES = ("unix://", "http+unix://")


def unix_transport(url: str) -> Transport:
    """Return requests to the engine at ``unix://PATH``."""
    # Like the SDK, take `unix://run/docker.sock` for the same as `unix:///run/docker.sock`.
    path = "/" + url.partition("://")[2].lstrip("/")
    return Transport(partial(_dial, path))


def _dial(path: str) -> SocketConnection:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(TIMEOUT_S)
        connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return SocketConnection(connection)
