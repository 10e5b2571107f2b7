"""Shells that are opened while what decides whether they are needed is still being imported.

To start a process in a container takes an engine longer than everything else that it takes to
attach to a server.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping

from .payloads import ShellCommand, execute


class PreopenedShells:
    """Opens shells of kept servers, each in a thread, and commands out those that are asked for.

    Args:
        path: The engine's socket.
        wanted: What lets the clients log in, by the id of the container.
    """

    def __init__(self, path: str, wanted: Mapping[str, Mapping[str, str]]) -> None:
        self._path = path
        self._commands = {
            container: ShellCommand.of(environment, ephemeral=False)
            for container, environment in wanted.items()
        }
        self._opened: dict[str, socket.socket | None] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._threads = {container: self._begin(container) for container in self._commands}

    def take(self, container: str, command: ShellCommand) -> socket.socket | None:
        """Return the connection to a shell, if one with exactly this command has been opened."""
        if self._commands.get(container) != command:
            return None
        self._threads[container].join()
        with self._lock:
            return self._opened.pop(container, None)

    def close(self) -> None:
        """Close those that nobody took, without waiting for those that are being opened."""
        with self._lock:
            self._closed = True
            for connection in self._opened.values():
                _close(connection)
            self._opened.clear()

    def _begin(self, container: str) -> threading.Thread:
        def run() -> None:
            connection = execute(self._path, container, self._commands[container])
            with self._lock:
                if self._closed:
                    _close(connection)
                else:
                    self._opened[container] = connection

        thread = threading.Thread(target=run, name="ldb-early", daemon=True)
        thread.start()
        return thread


def _close(connection: socket.socket | None) -> None:
    if connection is not None:
        connection.close()
