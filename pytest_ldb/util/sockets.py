"""Sockets of our own, which tools that keep tests from using the network do not replace.

pytest-socket puts another class in the place of `socket.socket`, and `socket.create_connection`
uses that. The class below it is the one that does the work.
"""

from __future__ import annotations

import _socket
import socket
from contextlib import suppress
from typing import Any

Socket = _socket.socket

_resolve = socket.getaddrinfo


def connect_to_path(path: str, timeout_s: float) -> Socket:
    """Return a connection to the Unix socket at a path."""
    return _connected(socket.AF_UNIX, path, timeout_s)


def connect_to_host(host: str, port: int, timeout_s: float) -> Socket:
    """Return a connection to a TCP port of a host, trying all its addresses."""
    *others, last = _resolve(host, port, 0, socket.SOCK_STREAM)
    for family, _, _, _, address in others:
        with suppress(OSError):
            return _connected(family, address, timeout_s)
    return _connected(last[0], last[4], timeout_s)


def _connected(family: int, address: Any, timeout_s: float) -> Socket:
    connection = Socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        connection.connect(address)
    except BaseException:
        with suppress(OSError):
            connection.close()
        raise
    return connection
