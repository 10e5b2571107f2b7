"""Requests to an engine (Docker Engine API; HTTP/1.1, RFC 9112)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, BinaryIO

from ....util.pipes import CHUNK_BYTES
from ....util.sockets import connect_to_path
from .connection import LONG_S, Connection, SocketConnection

TIMEOUT_S = 60.0

PATIENCE_S = 10.0
"""How long an engine that has not answered yet may take to be connected to, and to answer."""

HEAD_ENDS = b"\r\n\r\n"
UNIX_SCHEMES = ("unix://", "http+unix://")


class Refused(Exception):
    """Raised for an answer whose status is an error.

    Attributes:
        status: The status of the answer.
        message: The engine's message.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Transport:
    """Requests to one engine. Each is sent once, on a connection of its own.

    Targets contain no version of the API, so the engine uses its newest one. All requests raise
    Refused for a status that is an error, OSError if the engine cannot be reached, and its subclass
    TimeoutError if the engine does not answer in time.

    Args:
        dial: Opens a connection to the engine.
        headers: Sent with every request.
        patience_s: The most time for the first answer.
    """

    def __init__(
        self,
        dial: Callable[[], Connection],
        headers: Mapping[str, str] | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._dial = dial
        self._headers = {"Host": "engine", **(headers or {})}
        self._patience_s = patience_s

    def request(
        self, method: str, target: str, content: object = None, *, timeout_s: float = TIMEOUT_S
    ) -> Any:
        """Send a request and return the answer, parsed; None if it is not JSON.

        Args:
            method: The method.
            target: The path and the query.
            content: What to send as JSON; a seekable file is sent as an archive.
            timeout_s: The most time between two pieces of the answer.
        """
        connection = self._dial()
        try:
            # For HTTP/1.0 the engine sends no chunks, and closes the connection at the end.
            _send(connection, f"{method} {target} HTTP/1.0", self._headers, content)
            answer = connection.receive_all(min(timeout_s, self._patience_s))
        finally:
            connection.close()
        head, _, body = answer.partition(HEAD_ENDS)
        if not head:
            raise ConnectionResetError("the engine closed the connection")
        self._patience_s = LONG_S
        status = _status(head)
        if status >= HTTPStatus.BAD_REQUEST:
            raise _refusal(status, body)
        return _parsed(body)

    def stream(
        self,
        method: str,
        target: str,
        content: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Connection:
        """Send a request and return a connection from which to read the body of the answer."""
        return self._opened(f"{method} {target} HTTP/1.0", headers or {}, content, timeout_s)

    def hijack(self, target: str, content: object = None) -> Connection:
        """Return a connection to the process that the request is about (API: "hijacking")."""
        upgrade = {"Connection": "Upgrade", "Upgrade": "tcp"}
        return self._opened(f"POST {target} HTTP/1.1", upgrade, content, TIMEOUT_S)

    def _opened(
        self, start: str, headers: Mapping[str, str], content: object, timeout_s: float
    ) -> Connection:
        connection = self._dial()
        try:
            _send(connection, start, {**self._headers, **headers}, content)
            head = _head(connection, min(timeout_s, self._patience_s))
            self._patience_s, status = LONG_S, _status(head)
            if status < HTTPStatus.BAD_REQUEST:
                return connection
            raise _refusal(status, _body(connection, head, timeout_s))
        except BaseException:
            connection.close()
            raise


def unix_transport(url: str, patience_s: float = PATIENCE_S) -> Transport:
    """Return requests to the engine at ``unix://PATH``.

    They do not need the Docker SDK: importing it takes half as long as starting a server from
    cached data.
    """
    # Like the SDK, take `unix://run/docker.sock` for the same as `unix:///run/docker.sock`.
    path = "/" + url.partition("://")[2].lstrip("/")

    def dial() -> Connection:
        return SocketConnection(connect_to_path(path, patience_s))

    return Transport(dial, patience_s=patience_s)


def _send(connection: Connection, start: str, headers: Mapping[str, str], content: object) -> None:
    body, described = b"", {}
    archive: BinaryIO | None = content if hasattr(content, "seek") else None  # type: ignore[assignment]
    if archive is not None:
        length = archive.seek(0, os.SEEK_END)
        described = {"Content-Type": "application/x-tar", "Content-Length": str(length)}
        archive.seek(0)
    elif content is not None:
        body = json.dumps(content).encode()
        described = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    fields = "".join(f"{name}: {value}\r\n" for name, value in {**headers, **described}.items())
    # An engine that refuses may close before it has read everything; its answer says why.
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.send(f"{start}\r\n{fields}\r\n".encode() + body, TIMEOUT_S)
        if archive is not None:
            for chunk in iter(lambda: archive.read(CHUNK_BYTES), b""):
                connection.send(chunk, TIMEOUT_S)


def _head(connection: Connection, timeout_s: float) -> bytes:
    """Receive the head of an answer; what comes behind it stays in the connection."""
    text = b""
    while HEAD_ENDS not in text:
        chunk = connection.receive(timeout_s)
        if not chunk:
            raise ConnectionResetError("the engine closed the connection")
        text += chunk
    head, _, rest = text.partition(HEAD_ENDS)
    connection.unread(rest)
    return head


def _status(head: bytes) -> int:
    word, number, *_ = [*head.split(None, 2), b"", b""]
    if not word.startswith(b"HTTP/") or not number.isdigit():
        raise ConnectionError(f"not an engine's answer: {head[:80]!r}")
    return int(number)


def _body(connection: Connection, head: bytes, timeout_s: float) -> bytes:
    """Receive the body of a refusal, which an engine may send without closing the connection."""
    found = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    if found is None:
        return connection.receive_all(timeout_s)
    body = b""
    while len(body) < int(found[1]) and (chunk := connection.receive(timeout_s)):
        body += chunk
    return body


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None


def _refusal(status: int, body: bytes) -> Refused:
    answer = _parsed(body)
    message = answer.get("message") if isinstance(answer, dict) else None
    return Refused(status, str(message or body.decode(errors="replace") or f"status {status}"))
