"""Connections to an engine: a socket, or the standard streams of a process."""

from __future__ import annotations

import os
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress

from ....util.pipes import CHUNK_BYTES, Pipes
from ....util.sockets import Socket

LONG_S = 3600.0

SHORTEST_S = 0.001
"""A timeout of zero would make a socket non-blocking."""


class Connection(ABC):
    """Bytes to and from the engine. One thread may send while another one receives."""

    _unread = b""

    def receive(self, timeout_s: float) -> bytes:
        """Return the next data; empty at the end.

        Raises:
            TimeoutError: Nothing came in time.
            OSError: The connection is lost.
        """
        if self._unread:
            data, self._unread = self._unread, b""
            return data
        return self._receive(max(timeout_s, SHORTEST_S))

    def receive_all(self, timeout_s: float) -> bytes:
        """Return what comes until the other side closes the connection.

        Args:
            timeout_s: The most time between two pieces.
        """
        pieces, self._unread = [self._unread], b""
        while piece := self._receive(timeout_s):
            pieces.append(piece)
        return b"".join(pieces)

    def __iter__(self) -> Iterator[bytes]:
        """Yield all data, and close the connection at the end."""
        try:
            while True:
                with suppress(TimeoutError):
                    if not (chunk := self.receive(LONG_S)):
                        return
                    yield chunk
        finally:
            self.close()

    def unread(self, data: bytes) -> None:
        """Have the next ``receive`` return this."""
        self._unread = data

    @abstractmethod
    def send(self, data: bytes, timeout_s: float) -> None:
        """Send all of it; raises TimeoutError if that takes longer."""

    @abstractmethod
    def _receive(self, timeout_s: float) -> bytes:
        """Return the next data from the other side."""

    @abstractmethod
    def end_input(self) -> None:
        """Close the direction to the other side only."""

    @abstractmethod
    def interrupt(self) -> None:
        """End both directions, also for a thread that is receiving. It must still be closed."""

    @abstractmethod
    def close(self) -> None:
        """Close it, in this process only: a forked child must not end its parent's."""


class SocketConnection(Connection):
    """A socket that is connected to the engine."""

    def __init__(self, connected: Socket) -> None:
        self._socket = connected

    def send(self, data: bytes, timeout_s: float) -> None:
        self._socket.settimeout(timeout_s)
        self._socket.sendall(data)

    def _receive(self, timeout_s: float) -> bytes:
        self._socket.settimeout(timeout_s)
        return self._socket.recv(CHUNK_BYTES)

    def end_input(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def interrupt(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._socket.close()


class ProcessConnection(Connection):
    """A process whose standard streams are connected to the engine."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self._pipes = Pipes(self._process)
        self._pid = os.getpid()

    def send(self, data: bytes, timeout_s: float) -> None:  # noqa: ARG002 - pipes have no timeout
        self._pipes.send(data)

    def _receive(self, timeout_s: float) -> bytes:
        return self._pipes.receive(timeout_s)

    def end_input(self) -> None:
        self._pipes.end_input()

    def interrupt(self) -> None:
        self._process.terminate()

    def close(self) -> None:
        self._pipes.close()
        if os.getpid() == self._pid:
            self._process.terminate()
            self._process.wait()
