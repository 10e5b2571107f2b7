"""An engine's socket asked directly, and how it is found."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pytest_ldb.engines.docker.socket_engine import SocketEngine
from pytest_ldb.engines.docker.transport import discovery
from pytest_ldb.engines.docker.transport.contexts import DEFAULT
from pytest_ldb.engines.docker.transport.discovery import local_engine
from pytest_ldb.engines.docker.transport.http import Answer, ask, take_over

Serve = Callable[[bytes], str]


@pytest.fixture
def heard() -> list[bytes]:
    return []


@pytest.fixture
def serve(tmp_path: Path, heard: list[bytes]) -> Iterator[Serve]:
    """Serve the same answer to every request, and close; returns the socket's path."""
    server = socket.socket(socket.AF_UNIX)
    path = tmp_path / "engine.sock"
    server.bind(str(path))
    server.listen()

    def run(answer: bytes) -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    heard.append(connection.recv(65536))
                    connection.sendall(answer)

    def start(answer: bytes) -> str:
        threading.Thread(target=run, args=[answer], daemon=True).start()
        return str(path)

    yield start
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def test_an_answer_is_its_status_and_what_it_says(serve: Serve, heard: list[bytes]) -> None:
    path = serve(b'HTTP/1.0 201 Created\r\nContent-Type: x\r\n\r\n{"Id": "1"}\n')
    answer = ask(path, "POST", "/x?y=1", {"a": "ä"})
    assert answer == Answer(201, {"Id": "1"})
    assert answer.is_fine
    head, body = heard[0].split(b"\r\n\r\n")
    assert head.startswith(b"POST /x?y=1 HTTP/1.0\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body) == {"a": "ä"}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (b"HTTP/1.0 404 Not Found\r\n\r\n", Answer(404, None)),
        (b"HTTP/1.0 500\r\n\r\nno JSON", Answer(500, None)),
    ],
)
def test_a_refusal_is_an_answer(serve: Serve, text: bytes, answer: Answer) -> None:
    assert ask(serve(text), "GET", "/") == answer
    assert not answer.is_fine


@pytest.mark.parametrize("text", [b"", b"\r\n\r\n", b"SSH-2.0-x\r\n", b"HTTP/1.0 x\r\n\r\n"])
def test_what_is_no_http_is_an_error(serve: Serve, text: bytes) -> None:
    path = serve(text)
    with pytest.raises(OSError, match="engine"):
        ask(path, "GET", "/")
    with pytest.raises(OSError, match="engine"):
        take_over(path, "/", {})


def test_nobody_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        ask(str(tmp_path / "absent"), "GET", "/")


def test_a_connection_that_is_taken_over_has_lost_nothing(serve: Serve) -> None:
    connection = take_over(serve(b"HTTP/1.1 101 UPGRADED\r\nA: b\r\n\r\nfirst"), "/", {})
    assert connection is not None
    with connection:
        assert connection.recv(100) == b"first"


def test_a_refused_connection_is_none(serve: Serve) -> None:
    assert take_over(serve(b"HTTP/1.1 409 Conflict\r\n\r\n{}"), "/", {}) is None


def test_containers_that_are_not_there_are_none(serve: Serve) -> None:
    engine = SocketEngine(f"unix://{serve(b'HTTP/1.0 404 Not Found' + bytes([13, 10] * 2))}")
    assert engine.find("absent") is None


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Nothing is configured, and this process is in no container; returns Docker's folder."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(discovery, "own_container", lambda: None)
    return tmp_path


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_context(folder: Path, name: str, host: str) -> None:
    place = hashlib.sha256(name.encode()).hexdigest()
    meta = {"Name": name, "Endpoints": {"docker": {"Host": host}}}
    write(folder / "contexts/meta" / place / "meta.json", meta)


@pytest.mark.parametrize("config", [None, {}, {"currentContext": "default"}, []])
def test_without_a_context_it_is_the_usual_socket(elsewhere: Path, config: object) -> None:
    if config is not None:
        write(elsewhere / "config.json", config)
    assert local_engine() == DEFAULT


@pytest.mark.parametrize("by_variable", [True, False])
def test_a_context_names_the_socket(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, by_variable: bool
) -> None:
    write_context(elsewhere, "rootless", "unix:///run/user/1000/docker.sock")
    if by_variable:
        monkeypatch.setenv("DOCKER_CONTEXT", "rootless")
    else:
        write(elsewhere / "config.json", {"currentContext": "rootless"})
    assert local_engine() == "unix:///run/user/1000/docker.sock"


@pytest.mark.parametrize("host", ["tcp://192.0.2.1:2376", "ssh://somewhere", "npipe:////./pipe/d"])
def test_other_engines_are_left_to_the_sdk(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    write_context(elsewhere, "far", host)
    write(elsewhere / "config.json", {"currentContext": "far"})
    assert local_engine() is None
    monkeypatch.setenv("DOCKER_HOST", host)
    assert local_engine() is None


def test_an_unknown_context_is_left_to_the_sdk(elsewhere: Path) -> None:
    write(elsewhere / "config.json", {"currentContext": "absent"})
    assert local_engine() is None


@pytest.mark.parametrize(
    ("answer", "is_local"),
    [(b"HTTP/1.0 404 Not Found\r\n\r\n{}", True), (b"HTTP/1.0 200 OK\r\n\r\n{}", False)],
)
@pytest.mark.usefixtures("elsewhere")
def test_beside_the_servers_it_is_left_to_the_sdk(
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    answer: bytes,
    is_local: bool,
) -> None:
    monkeypatch.setattr(discovery, "own_container", lambda: "0123456789ab")
    url = f"unix://{serve(answer)}"
    monkeypatch.setenv("DOCKER_HOST", url)
    assert local_engine() == (url if is_local else None)


def test_in_a_container_without_an_engine_it_is_left_to_the_sdk(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "own_container", lambda: "0123456789ab")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{elsewhere}/absent")
    assert local_engine() is None


def test_the_sdk_is_imported_without_a_warning_whatever_filters_a_test_sets_meanwhile() -> None:
    program = """
import sys, warnings
warnings.simplefilter("error")
warnings.simplefilter = lambda *_, **__: None  # As if a test had set its own since.
from pytest_ldb.engines.docker.transport.sdk_import import sdk_engine
try:
    sdk_engine()
except Exception as error:
    print(type(error).__name__, *sorted(sys.modules.keys() & {"urllib3.contrib.socks"}))
"""
    environment = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
    told = subprocess.check_output([sys.executable, "-c", program], text=True, env=environment)
    assert told == "EngineUnavailable\n"
