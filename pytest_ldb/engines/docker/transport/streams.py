"""The bytes behind a shell, for each way of reaching one."""

from __future__ import annotations

import os
import select
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from ....shell import shell
from ....shell.script_files import lease_script

LONG_S = 3600.0
_HEADER_BYTES = 8


class MultiplexedStream:
    """A hijacked connection to the engine: plain bytes out, framed bytes in.

    Each frame is a byte that names the stream, three zero bytes, the length as four bytes in
    network order, and the content (Docker Engine API, "Attach to a container", stream format).
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._socket = _socket_of(connection)
        self._raw = bytearray(_in_buffers(connection, self._socket))

    def send(self, data: bytes, timeout_s: float = 30.0) -> None:
        """Send all of it, in that time."""
        self._socket.settimeout(timeout_s)
        self._socket.sendall(data)

    def receive(self, timeout_s: float) -> bytes:
        """Return the content of the frames that came."""
        return b"".join(content for _, content in self.receive_frames(timeout_s))

    def receive_frames(self, timeout_s: float) -> list[tuple[int, bytes]]:
        """Return the frames that came, as pairs of stream and content."""
        self._socket.settimeout(max(timeout_s, 0.001))
        while not (frames := list(self._take_frames())):
            chunk = self._socket.recv(65536)
            if not chunk:
                break
            self._raw += chunk
        return frames

    def close(self) -> None:
        """Close the connection; the engine then closes the other side's standard input."""
        response = getattr(self._connection, "_response", None)
        if response is not None:
            response.close()  # while its file is open: it flushes that
        self._socket.close()
        self._connection.close()

    def end_input(self) -> None:
        """Close the direction to the other side only."""
        end = getattr(self._socket, "end_input", None)
        end() if end else self._socket.shutdown(socket.SHUT_WR)

    def _take_frames(self) -> Iterator[tuple[int, bytes]]:
        while len(self._raw) >= _HEADER_BYTES:
            end = _HEADER_BYTES + int.from_bytes(self._raw[4:8], "big")
            if len(self._raw) < end:
                return
            frame = self._raw[0], bytes(self._raw[_HEADER_BYTES:end])
            del self._raw[:end]
            if frame[1]:  # Nothing would mean that it has ended.
                yield frame


class TerminalStream(MultiplexedStream):
    """The same where the other side has a terminal: then there is one stream, without frames."""

    def _take_frames(self) -> Iterator[tuple[int, bytes]]:
        if self._raw:
            yield 1, bytes(self._raw)
            self._raw.clear()


class EngineLog:
    """A log that gives its connection back when it ends; the SDK's stream leaves it open."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._stream
        finally:
            self._stream._response.close()  # noqa: SLF001

    def close(self) -> None:
        """End it, where that can be done: over SSH it ends with the container only."""
        with suppress(Exception):  # Some of them are the SDK's.
            self._stream.close()


class FramedLog:
    """A log that comes in frames on a connection to the engine, as bytes, until it ends."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._stream = MultiplexedStream(connection)
        self._is_read = False

    def __iter__(self) -> Iterator[bytes]:
        self._is_read = True
        try:
            while True:
                try:
                    chunk = self._stream.receive(LONG_S)
                except TimeoutError:
                    continue
                if not chunk:
                    return
                yield chunk
        finally:
            self._stream.close()

    def close(self) -> None:
        """End it, also for a thread that is waiting for more, which then closes the connection."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        if not self._is_read:
            self._stream.close()


def _socket_of(connection: Any) -> Any:
    """Return what has `recv` with a timeout; what the SDK returns differs by transport.

    For plain sockets it is a file-like wrapper around the socket, over TLS the socket itself, over
    ssh an imitation whose `recv` waits until it has all the bytes asked for.
    """
    process = getattr(connection, "proc", None)
    if process is not None:
        return _Pipes(process)
    return getattr(connection, "_sock", connection)


def _in_buffers(connection: Any, its_socket: Any) -> bytes:
    """Return what came right behind the head of the engine's answer.

    The HTTP client may have read it with the head. It stays in a buffer that the SDK passes by.
    """
    response = getattr(getattr(connection, "_response", None), "raw", None)
    peek = getattr(getattr(getattr(response, "_fp", None), "fp", None), "peek", None)
    if peek is None:
        return b""
    its_socket.settimeout(0)  # What is not here yet is not waited for.
    try:
        return bytes(peek())
    except (OSError, ValueError):
        return b""


class _Pipes:
    """The standard streams of a process, used like a socket."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin
        assert process.stdout
        self._input, self._output = process.stdin, process.stdout
        self._timeout_s = 0.0

    def settimeout(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s

    def sendall(self, data: bytes) -> None:
        if self._input.closed:
            raise BrokenPipeError("closed on this side")
        self._input.write(data)
        self._input.flush()

    def recv(self, count: int) -> bytes:
        if self._output.closed:
            raise BrokenPipeError("closed on this side")
        ready, _, _ = select.select([self._output], [], [], self._timeout_s)
        if not ready:
            raise TimeoutError
        return os.read(self._output.fileno(), count)

    def end_input(self) -> None:
        with suppress(BrokenPipeError):  # It still holds what could not be sent.
            self._input.close()

    def close(self) -> None:
        self.end_input()
        self._output.close()


class ProcessStream:
    """A shell on this machine, for servers that are not in a container of ours.

    It has a session of its own, so that Ctrl-C and a killed process group do not end it before
    it has done what was left for the end.
    """

    def __init__(self, script: str, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            ["sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        self._pipes = _Pipes(self._process)

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._pipes.sendall(data)

    def receive(self, timeout_s: float) -> bytes:
        """Return what came."""
        self._pipes.settimeout(timeout_s)
        return self._pipes.recv(65536)

    def close(self) -> None:
        """Close its standard input; it ends by itself."""
        self._pipes.close()
        self._process.returncode = 0  # nobody waits for it, and that is not worth a warning


def local_shell(subject: str, *, home: str, environment: Mapping[str, str]) -> shell.Shell:
    """Open a shell on this machine.

    Args:
        subject: Whose it is, for messages.
        home: A directory shared by all shells of that server.
        environment: What lets the clients log in.
    """
    fixed = {"LDB_HOME": home, "LDB_EPHEMERAL": "", "LDB_PROFILE": ""}
    stream = ProcessStream(lease_script(":"), {**environment, **fixed})
    return shell.Shell(stream, subject)
