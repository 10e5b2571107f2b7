"""Requests to an engine's Unix socket (Docker Engine API; HTTP/1.1, RFC 9112)."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Answer:
    """What the engine answered; ``body`` is None where that was no JSON."""

    status: int
    body: Any

    @property
    def is_fine(self) -> bool:
        """Whether it is as was asked; with 304 it was so before."""
        return HTTPStatus.OK <= self.status < HTTPStatus.BAD_REQUEST


class Refused(Exception):
    """Raised for an answer that is not fine; it carries what errors of the SDK do."""

    def __init__(self, status_code: int, explanation: str) -> None:
        super().__init__(explanation)
        self.status_code = status_code
        self.explanation = explanation

    @classmethod
    def by(cls, answer: Answer) -> Refused:
        """Return the error for an answer."""
        told = answer.body if isinstance(answer.body, dict) else {}
        return cls(answer.status, str(told.get("message", f"status {answer.status}")))


def ask(
    path: str, method: str, target: str, content: object = None, timeout_s: float = TIMEOUT_S
) -> Answer:
    """Send a request and return the answer.

    Args:
        path: The socket's.
        method: ``GET`` or ``POST``.
        target: With its query; as there is no version in it, the engine uses its newest.
        content: What to send as JSON.
        timeout_s: The most time between two pieces of the answer.

    Raises:
        OSError: There is nobody, or what answers is no HTTP; TimeoutError: it did not answer.
    """
    with _connected(path) as connection:
        connection.settimeout(timeout_s)
        # To a client of the older version the engine sends no chunks, and closes at the end.
        connection.sendall(_request(method, target, content, "HTTP/1.0"))
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    try:
        return Answer(_status(head), json.loads(body) if body else None)
    except ValueError:
        return Answer(_status(head), None)


def take_over(path: str, target: str, content: object = None) -> socket.socket | None:
    """Return a connection whose other end is the process that the request is about.

    Returns:
        None if the engine refused.

    Raises:
        OSError: There is nobody, or what answers is no HTTP.
    """
    upgrade = "HTTP/1.1", "Connection: Upgrade\r\nUpgrade: tcp\r\n"
    request = _request("POST", target, content, *upgrade)
    return _behind_the_head(path, request, HTTPStatus.SWITCHING_PROTOCOLS)


def open_body(path: str, target: str) -> socket.socket | None:
    """Return a connection on which the body of an answer comes, piece by piece, to its end.

    Returns:
        None if the engine refused.

    Raises:
        OSError: There is nobody, or what answers is no HTTP.
    """
    return _behind_the_head(path, _request("GET", target, None, "HTTP/1.0"), HTTPStatus.OK)


def _behind_the_head(path: str, request: bytes, expected: HTTPStatus) -> socket.socket | None:
    connection = _connected(path)
    try:
        connection.sendall(request)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            # Byte by byte: what comes behind the head is for whoever takes over.
            byte = connection.recv(1)
            if not byte:
                raise ConnectionError("the engine closed the connection")
            head += byte
        if _status(head) == expected:
            return connection
    except BaseException:
        connection.close()
        raise
    connection.close()
    return None


def _connected(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(TIMEOUT_S)
        connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection


def _request(method: str, target: str, content: object, version: str, more: str = "") -> bytes:
    body = b"" if content is None else json.dumps(content).encode()
    head = f"{method} {target} {version}\r\nHost: engine\r\n{more}"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body


def _status(head: bytes) -> int:
    word, number, *_ = [*head.split(None, 2), b"", b""]
    if not word.startswith(b"HTTP/") or not number.isdigit():
        raise ConnectionError(f"not an engine's answer: {head[:80]!r}")
    return int(number)
