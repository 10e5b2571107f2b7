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
from .connection import Connection

TIMEOUT_S = 60.0


class Refused(Exception):
    """Raised for an answer whose status is an error.

    Attributes:
        status: The status of the answer.
        message: What the engine says.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Transport:
    """Requests to one engine. Each is sent once, on a connection of its own.

    As targets have no version in them, the engine uses its newest. All requests raise Refused for a
    status that is an error, OSError if the engine cannot be reached, and of these TimeoutError if
    it does not answer.

    Args:
        dial: Opens a connection to the engine.
        headers: Go with every request.
    """

    def __init__(
        self, dial: Callable[[], Connection], headers: Mapping[str, str] | None = None
    ) -> None:
        self._dial = dial
        self._headers = dict(headers or {})

    def request(
        self, method: str, target: str, content: object = None, *, timeout_s: float = TIMEOUT_S
    ) -> Any:
        """Send a request and return the answer, which is JSON; None if it is something else.

        Args:
            method: The method.
            target: The path and the query.
            content: What to send as JSON; a file that can be sought is sent as an archive.
            timeout_s: The most time between two pieces of the answer.
        """
        connection = self.stream(method, target, content, timeout_s=timeout_s)
        try:
            return _parsed(_rest(connection, timeout_s))
        finally:
            connection.close()

    def stream(
        self,
        method: str,
        target: str,
        content: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Connection:
        """Send a request and return a connection on which the body of the answer comes."""
        # To a client of the older version the engine sends no chunks, and closes at the end.
        start = f"{method} {target} HTTP/1.0"
        return self._opened(start, headers or {}, content, timeout_s)

    def hijack(self, target: str, content: object = None) -> Connection:
        """Return a connection whose other end is the process that the request is about."""
        upgrade = {"Connection": "Upgrade", "Upgrade": "tcp"}
        return self._opened(f"POST {target} HTTP/1.1", upgrade, content, TIMEOUT_S)

    def _opened(
        self, start: str, headers: Mapping[str, str], content: object, timeout_s: float
    ) -> Connection:
        connection = self._dial()
        try:
            _send(connection, start, {"Host": "engine", **self._headers, **headers}, content)
            head = _head(connection, timeout_s)
            status = _status(head)
            if status < HTTPStatus.BAD_REQUEST:
                return connection
            raise _refusal(status, _rest(connection, timeout_s, _length(head)))
        except BaseException:
            connection.close()
            raise


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
    text = b""
    while b"\r\n\r\n" not in text:
        chunk = connection.receive(timeout_s)
        if not chunk:
            raise ConnectionResetError("the engine closed the connection")
        text += chunk
    head, _, rest = text.partition(b"\r\n\r\n")
    connection.unread(rest)
    return head


def _status(head: bytes) -> int:
    word, number, *_ = [*head.split(None, 2), b"", b""]
    if not word.startswith(b"HTTP/") or not number.isdigit():
        raise ConnectionError(f"not an engine's answer: {head[:80]!r}")
    return int(number)


def _length(head: bytes) -> int | None:
    """Return the length of the body; None if the end of the connection is its end."""
    found = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return int(found[1]) if found else None


def _rest(connection: Connection, timeout_s: float, length: int | None = None) -> bytes:
    body = b""
    while length is None or len(body) < length:
        chunk = connection.receive(timeout_s)
        if not chunk:
            break
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
