"""HTTP requests to an engine."""

from __future__ import annotations

import io
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_ldb.engines.docker.transport.connection import SocketConnection
from pytest_ldb.engines.docker.transport.http import Refused, Transport, unix_transport

from .engine_socket import EngineSocket


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineSocket]:
    engine = EngineSocket(tmp_path)
    yield engine
    engine.close()


@pytest.fixture
def transport(engine: EngineSocket) -> Transport:
    return unix_transport(engine.url)


def test_json_response_is_parsed(engine: EngineSocket, transport: Transport) -> None:
    engine.rules.append(b'HTTP/1.0 201 Created\r\nContent-Type: x\r\n\r\n{"Id": "1"}\n')
    assert transport.request("POST", "/x?y=1", {"a": "ä"}) == {"Id": "1"}
    head, body = engine.heard[0].split(b"\r\n\r\n")
    assert head.startswith(b"POST /x?y=1 HTTP/1.0\r\n")
    assert b"Content-Type: application/json\r\n" in head
    assert json.loads(body) == {"a": "ä"}


@pytest.mark.parametrize("answer", [b"HTTP/1.0 304 X\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\nno JSON"])
def test_response_without_json_is_none(
    engine: EngineSocket, transport: Transport, answer: bytes
) -> None:
    engine.rules.append(answer)
    assert transport.request("POST", "/x") is None


def test_archive_is_sent_unchanged(engine: EngineSocket, transport: Transport) -> None:
    engine.rules.append(("PUT /x", 200, None))
    archive = io.BytesIO(b"tar" * 100_000)
    archive.seek(7)
    transport.request("PUT", "/x", archive)
    head, body = engine.heard[0].split(b"\r\n\r\n")
    assert b"Content-Type: application/x-tar\r\n" in head
    assert body == archive.getvalue()


def test_headers_are_sent_with_every_request(engine: EngineSocket) -> None:
    engine.rules.append(("GET /x", 200, None))
    transport = Transport(unix_transport(engine.url)._dial, {"X-Proxy": "key"})
    transport.stream("GET", "/x", headers={"X-Registry-Auth": "secret"}).close()
    assert b"X-Proxy: key\r\nX-Registry-Auth: secret\r\n" in engine.heard[0]


@pytest.mark.parametrize(
    ("answer", "status", "message"),
    [
        (b"HTTP/1.0 404 Not Found\r\n\r\n", 404, "status 404"),
        (b"HTTP/1.0 500\r\n\r\nno JSON", 500, "no JSON"),
        (b'HTTP/1.0 409 X\r\n\r\n{"message": "in use"}', 409, "in use"),
    ],
)
def test_error_status_raises_refused(
    engine: EngineSocket, transport: Transport, answer: bytes, status: int, message: str
) -> None:
    engine.rules.append(answer)
    with pytest.raises(Refused) as caught:
        transport.request("POST", "/x")
    assert (caught.value.status, caught.value.message) == (status, message)
    with pytest.raises(Refused):
        transport.stream("GET", "/x")
    with pytest.raises(Refused, match=message):
        transport.hijack("/x", {})


def test_refusal_is_read_from_a_keepalive_connection() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(b'HTTP/1.1 409 X\r\ncontent-length: 21\r\n\r\n{"message": "in use"}')
        with pytest.raises(Refused, match="in use"):
            Transport(lambda: SocketConnection(ours)).hijack("/x")


def test_silent_engine_is_a_timeout() -> None:
    ours, theirs = socket.socketpair()
    with theirs, pytest.raises(TimeoutError):
        Transport(lambda: SocketConnection(ours)).request("GET", "/x", timeout_s=0.01)


def test_refusal_is_read_although_the_upload_was_not() -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(b'HTTP/1.0 404 X\r\n\r\n{"message": "No such container"}')
    theirs.shutdown(socket.SHUT_RDWR)
    with theirs, pytest.raises(Refused, match="No such container"):
        Transport(lambda: SocketConnection(ours)).request("PUT", "/x", io.BytesIO(b"x" * 10**6))


@pytest.mark.parametrize("text", [b"", b"\r\n\r\n", b"SSH-2.0-x\r\n", b"HTTP/1.0 x\r\n\r\n"])
def test_non_http_response_is_an_error(
    engine: EngineSocket, transport: Transport, text: bytes
) -> None:
    engine.rules.append(text)
    with pytest.raises(ConnectionError, match="engine"):
        transport.request("GET", "/")
    with pytest.raises(ConnectionError, match="engine"):
        transport.hijack("/", {})


def test_missing_socket_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        unix_transport(f"unix://{tmp_path}/absent").request("GET", "/")


@pytest.mark.parametrize("scheme", ["unix:", "unix:/", "http+unix:/"])
def test_socket_url_accepts_any_number_of_slashes(engine: EngineSocket, scheme: str) -> None:
    engine.rules.append(("GET /x", 200, 1))
    path = engine.url.removeprefix("unix://")
    assert unix_transport(f"{scheme}/{path}").request("GET", "/x") == 1


def test_hijacked_connection_starts_after_the_headers(
    engine: EngineSocket, transport: Transport
) -> None:
    engine.rules.append(b"HTTP/1.1 101 UPGRADED\r\nA: b\r\n\r\nfirst")
    connection = transport.hijack("/x", {})
    assert connection.receive(1.0) == b"first"
    assert connection.receive(1.0) == b""
    connection.close()
    assert b"Upgrade: tcp\r\n" in engine.heard[0]


def test_stream_yields_the_whole_body(engine: EngineSocket, transport: Transport) -> None:
    engine.rules.append(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 200_000)
    assert b"".join(transport.stream("GET", "/x")) == b"x" * 200_000


def test_first_answer_has_a_shorter_timeout(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{tmp_path}/silent")
        silent.listen()
        transport = unix_transport(f"unix://{tmp_path}/silent", 0.05)
        began = time.monotonic()
        for send in (transport.request, transport.stream):
            with pytest.raises(TimeoutError):
                send("GET", "/_ping")
        with pytest.raises(TimeoutError):
            transport.hijack("/exec/x/start")
        assert time.monotonic() - began < 5


def test_later_answers_may_take_longer(engine: EngineSocket) -> None:
    engine.rules = [("GET /x", 200, 1)]
    transport = unix_transport(engine.url, 5.0)
    assert transport._patience_s == 5.0
    transport.request("GET", "/x")
    assert transport._patience_s > 60
