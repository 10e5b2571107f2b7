"""A Unix socket that answers like an engine."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

Rule = tuple[str, int, object]
"""The prefix of a request, and the status and content of its response."""


def answer(status: int, content: object = None) -> bytes:
    """Return a response as bytes."""
    body = b"" if content is None else json.dumps(content).encode()
    return f"HTTP/1.0 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class EngineSocket:
    """Sends the response of the first rule whose prefix matches, and closes the connection.

    Attributes:
        url: The address.
        heard: The requests with headers and body.
        rules: The rules; tests may change them.
    """

    def __init__(self, folder: Path, rules: Sequence[Rule | bytes] = ()) -> None:
        self.rules = list(rules)
        self.heard: list[bytes] = []
        self.url = f"unix://{folder}/engine.sock"
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(f"{folder}/engine.sock")
        self._server.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    @property
    def requests(self) -> list[str]:
        """The request lines without the HTTP version."""
        return [request.split(b" HTTP/")[0].decode() for request in self.heard]

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                with connection, suppress(OSError):
                    self.heard.append(_request(connection))
                    connection.sendall(self._answer(self.heard[-1]))

    def _answer(self, request: bytes) -> bytes:
        for rule in self.rules:
            if isinstance(rule, bytes):
                return rule
            if request.startswith(rule[0].encode()):
                return answer(*rule[1:])
        return answer(404, {"message": "No such thing"})


def _request(connection: socket.socket) -> bytes:
    text = b""
    while b"\r\n\r\n" not in text and (chunk := connection.recv(65536)):
        text += chunk
    head, _, body = text.partition(b"\r\n\r\n")
    _, _, length = head.partition(b"Content-Length: ")
    while len(body) < int(length.split(b"\r\n")[0] or 0):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body
