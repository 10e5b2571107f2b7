"""Transports to remote engines: TCP, TLS and ssh."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_ldb.engines.docker.engine import DockerEngine
from pytest_ldb.engines.docker.transport.connection import Connection, ProcessConnection
from pytest_ldb.engines.docker.transport.sdk import registry_headers, sdk_transport
from pytest_ldb.engines.docker.transport.tls import TlsConnection
from pytest_ldb.model.errors import EngineUnavailable, InvalidRequest

from .engine_socket import EngineSocket

FOREIGN = """\
-----BEGIN CERTIFICATE-----
MIIBejCCASGgAwIBAgIUdOqAEUGlry7NXJWCoWbMQh58Ss4wCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHYW5vdGhlcjAgFw0yNjExMjgwMTU0MTdaGA8yMTI2MTEwNDAx
NTQxN1owEjEQMA4GA1UEAwwHYW5vdGhlcjBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABIiH6JSRRYC72M1t1mq6jqMonx1+uQAgBPZQ1r4LSeTKopktn1CcDHb/nrn0
ZxYiS4ACO9ZvI4Yj8Kk2BK9uXxOjUzBRMB0GA1UdDgQWBBT2VN7uX/EUyKAunZ+H
L5JDoTZtrjAfBgNVHSMEGDAWgBT2VN7uX/EUyKAunZ+HL5JDoTZtrjAPBgNVHRMB
Af8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIEwPaFCx8dqv+8sNWQ0g8y/aMU7F
PJ1welzrBfAA2AbTAiA2WVll3k6EOZvqWrtJrdZOU0xBBnpPLLfOg/segJFwGg==
-----END CERTIFICATE-----
"""
"""A certificate of another authority."""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineSocket]:
    """Serves one request without logging."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    engine = EngineSocket(tmp_path, [("GET /x", 200, "answer")])
    yield engine
    engine.close()


@pytest.fixture
def tls_url(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an engine that serves one request and requires a client certificate."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):  # The client may reject the certificate.
            accepted, _ = server.accept()
            with accepted:
                connection = TlsConnection(accepted, server_context(certificates), None, 10.0)
                connection.receive(10.0)
                connection.send(b"HTTP/1.0 200 OK\r\n\r\n1", 10.0)
                connection.end_input()

    thread = threading.Thread(target=serve)
    thread.start()
    url = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setenv("DOCKER_HOST", url)
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    yield url
    with suppress(OSError):
        server.shutdown(socket.SHUT_RDWR)
    thread.join()
    server.close()


def server_context(certificates: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    context.load_verify_locations(certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.mark.usefixtures("engine")
def test_tls_uses_client_and_server_certificates(
    tls_url: str, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates))
    # These variables are for web servers, not for the engine.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ssl.get_default_verify_paths().openssl_cafile))
    assert sdk_transport(tls_url).request("GET", "/x") == 1


@pytest.mark.usefixtures("engine", "tls_url")
def test_engine_with_wrong_certificate_is_refused(
    certificates: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_bytes((certificates / name).read_bytes())
    (tmp_path / "ca.pem").write_text(FOREIGN)
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    with pytest.raises(EngineUnavailable, match="certificate verify failed"):
        DockerEngine().find("x")


@pytest.mark.usefixtures("engine", "tls_url")
def test_missing_certificates_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    with pytest.raises(EngineUnavailable, match="certificate and key files"):
        DockerEngine().find("x")


@pytest.fixture
def pair(certificates: Path) -> Iterator[tuple[Connection, Connection]]:
    """The client and the server side of a TLS connection."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    client = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    ours, theirs = socket.socketpair()
    sides: list[Connection] = []
    thread = threading.Thread(
        target=lambda: sides.append(TlsConnection(theirs, server, None, 10.0))
    )
    thread.start()
    outside = TlsConnection(ours, client, "127.0.0.1", 10.0)
    thread.join()
    yield outside, sides[0]
    for side in (outside, sides[0]):
        side.close()


def test_tls_connection_can_be_half_closed(
    pair: tuple[Connection, Connection],
) -> None:
    client, server = pair
    client.send(b"question", 5.0)
    client.end_input()
    assert server.receive(5.0) == b"question"
    assert server.receive(5.0) == b""
    server.send(b"answer", 5.0)
    server.end_input()
    assert client.receive(5.0) == b"answer"
    assert client.receive(5.0) == b""


def test_tls_data_before_end_of_input_is_not_lost(
    pair: tuple[Connection, Connection],
) -> None:
    client, server = pair
    server.send(bytes(100_000), 5.0)
    came = len(client.receive(5.0))  # The rest is still encrypted.
    client.end_input()
    while came < 100_000 and (data := client.receive(5.0)):
        came += len(data)
    assert came == 100_000
    assert server.receive(5.0) == b""


def test_tls_receive_times_out(pair: tuple[Connection, Connection]) -> None:
    with pytest.raises(TimeoutError):
        pair[0].receive(0.01)


def test_tls_sides_can_send_large_data_concurrently(pair: tuple[Connection, Connection]) -> None:
    much = bytes(10**6)
    senders = [threading.Thread(target=side.send, args=[much, 20.0]) for side in pair]
    for sender in senders:
        sender.start()

    def receive(side: Connection, came: list[int]) -> None:
        while sum(came) < len(much):
            came.append(len(side.receive(20.0)))

    counts: list[list[int]] = [[], []]
    receivers = [
        threading.Thread(target=receive, args=arguments)
        for arguments in zip(pair, counts, strict=True)
    ]
    for receiver in receivers:
        receiver.start()
    for thread in (*senders, *receivers):
        thread.join(20.0)
    assert [sum(came) for came in counts] == [len(much)] * 2


def test_tcp_without_tls(engine: EngineSocket, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"HttpHeaders": {"X-Proxy": "key"}}')
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                engine.heard.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n1")

        thread = threading.Thread(target=serve)
        thread.start()
        transport = sdk_transport(f"127.0.0.1:{server.getsockname()[1]}")
        assert transport.request("GET", "/x") == 1
        thread.join()
    assert b"X-Proxy: key\r\n" in engine.heard[0]


@pytest.mark.usefixtures("engine")
def test_closed_port_is_engine_unavailable() -> None:
    with pytest.raises(EngineUnavailable):
        DockerEngine("tcp://127.0.0.1:1").find("x")


@pytest.mark.parametrize("url", ["ftp://127.0.0.1:1", "tcp://", "fd://"])
@pytest.mark.usefixtures("engine")
def test_invalid_engine_url_is_an_error(url: str) -> None:
    with pytest.raises(EngineUnavailable, match="not the address of an engine"):
        DockerEngine(url).find("x")


SSH = """#!{python}
import os, socket, sys, threading
open(os.environ["HEARD"], "w").write(" ".join(sys.argv[1:]))
engine = socket.socket(socket.AF_UNIX)
engine.connect(os.environ["ENGINE"])
def send():
    while data := os.read(0, 65536):
        engine.sendall(data)
    engine.shutdown(socket.SHUT_WR)
threading.Thread(target=send, daemon=True).start()
while data := engine.recv(65536):
    os.write(1, data)
"""


@pytest.fixture
def ssh(tmp_path: Path, engine: EngineSocket, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Put a stub `ssh` in PATH that connects to the engine. Return a reader of its arguments."""
    program = tmp_path / "ssh"
    program.write_text(SSH.replace("{python}", sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("ENGINE", engine.url.removeprefix("unix://"))
    monkeypatch.setenv("HEARD", str(tmp_path / "heard"))
    return (tmp_path / "heard").read_text


def test_ssh_requests_use_a_process(ssh: Callable[[], str]) -> None:
    assert sdk_transport("ssh://me@build.example.com:2222").request("GET", "/x") == "answer"
    host = "-l me -p 2222 -- build.example.com"
    assert ssh() == f"-T -o ConnectTimeout=10 {host} docker system dial-stdio"


@pytest.mark.usefixtures("ssh")
def test_hijacked_ssh_connection_loses_no_data(engine: EngineSocket) -> None:
    engine.rules = [b"HTTP/1.1 101 UPGRADED\r\n\r\nfirst"]
    connection = sdk_transport("ssh://build.example.com").hijack("/x", {})
    assert connection.receive(5.0) == b"first"
    assert connection.receive(5.0) == b""
    connection.close()


def test_process_connection_sends_and_receives() -> None:
    connection = ProcessConnection(["cat"])
    with pytest.raises(TimeoutError):
        connection.receive(0.01)
    connection.send(b"echo", 5.0)
    assert connection.receive(5.0) == b"echo"
    connection.end_input()
    assert connection.receive(5.0) == b""
    connection.close()
    assert connection._process.returncode is not None


def test_forked_child_does_not_end_the_parents_process() -> None:
    connection = ProcessConnection(["cat"])
    child = os.fork()
    if not child:
        connection.close()
        os._exit(0)
    os.waitpid(child, 0)
    connection.send(b"echo", 5.0)
    assert connection.receive(5.0) == b"echo"
    connection.close()


def test_sdk_import_ignores_warning_filters() -> None:
    program = """
import sys, warnings
warnings.simplefilter("error")
warnings.simplefilter = lambda *_, **__: None  # As if a test had set its own since.
from pytest_ldb.engines.docker.transport.sdk import registry_headers, sdk_transport
sdk_transport("tcp://127.0.0.1:1")
print(*sorted(sys.modules.keys() & {"docker", "urllib3.contrib.socks"}))
"""
    answer = subprocess.check_output([sys.executable, "-c", program], text=True, env={})
    assert answer == "docker\n"


@pytest.mark.parametrize("has_package", [True, False], ids=["another package", "none"])
def test_module_of_the_project_instead_of_the_sdk_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_package: bool
) -> None:
    package: Any = None
    if has_package:
        package = ModuleType("docker")
        package.__path__ = [str(tmp_path / "docker")]
    monkeypatch.setitem(sys.modules, "docker", package)
    for use in (lambda: registry_headers("redis"), lambda: sdk_transport("tcp://localhost:1")):
        with pytest.raises(InvalidRequest, match="Docker SDK cannot be imported") as caught:
            use()
        assert (str(tmp_path) in caught.value.evidence) == has_package
