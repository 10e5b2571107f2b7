"""Shells that are opened in the background while pytest starts.

Starting a process in a container takes an engine longer than all other steps of attaching to a
server. Whether the shell is needed is not known yet; one that is not needed is closed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from .payloads import Command, begin, shell_command
from .transport.connection import Connection
from .transport.contexts import engine_address
from .transport.http import UNIX_SCHEMES, Refused, Transport, unix_transport

Kept = tuple[str, Mapping[str, str]]
"""The id of a container, and the environment in which its clients log in."""


def preopened(
    kept: Iterable[Kept | None], surroundings: Mapping[str, str]
) -> PreopenedShells | None:
    """Open shells of kept servers on this machine's engine; None if there are none there."""
    wanted = dict(filter(None, kept))
    url = engine_address(surroundings) if wanted else None
    if url is None or not url.startswith(UNIX_SCHEMES):
        return None
    return PreopenedShells(unix_transport(url), wanted)


class PreopenedShells:
    """Opens shells of kept servers, each in a thread, and hands out those that are asked for.

    Args:
        transport: Requests to the engine.
        wanted: The environment in which clients log in, by the id of the container.
    """

    def __init__(self, transport: Transport, wanted: Mapping[str, Mapping[str, str]]) -> None:
        self._transport = transport
        self._commands = {
            container: shell_command(environment, ephemeral=False)
            for container, environment in wanted.items()
        }
        self._opened: dict[str, Connection | None] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._threads = {container: self._begin(container) for container in self._commands}

    def take(self, container: str, command: Command) -> Connection | None:
        """Return the connection to a shell, if one with exactly this command has been opened."""
        if self._commands.get(container) != command:
            return None
        self._threads[container].join()
        with self._lock:
            return self._opened.pop(container, None)

    def close(self) -> None:
        """Close those that were not taken, without waiting for those that are being opened."""
        with self._lock:
            self._closed = True
            for connection in self._opened.values():
                _close(connection)
            self._opened.clear()

    def _begin(self, container: str) -> threading.Thread:
        def run() -> None:
            connection = self._open(container)
            with self._lock:
                if self._closed:
                    _close(connection)
                else:
                    self._opened[container] = connection

        thread = threading.Thread(target=run, name="ldb-early", daemon=True)
        thread.start()
        return thread

    def _open(self, container: str) -> Connection | None:
        try:
            return begin(self._transport, container, self._commands[container])[1]
        except (Refused, OSError):  # If it is needed it is tried again, and the error raised.
            return None


def _close(connection: Connection | None) -> None:
    if connection is not None:
        connection.close()
