"""A relay that offers a local engine over TCP with TLS."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import closing, suppress
from pathlib import Path

from pytest_ldb.engines.docker.transport.connection import LONG_S, Connection, SocketConnection
from pytest_ldb.engines.docker.transport.tls import TlsConnection

HANDSHAKE_S = 10.0


class TlsRelay:
    """Relays a TCP port to a Unix socket; each direction is independent.

    Args:
        path: The Unix socket.
        folder: Where the certificates are; clients must have one of them.
    """

    def __init__(self, path: str, folder: Path) -> None:
        self._path = path
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        self._context.load_verify_locations(folder / "ca.pem")
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join(10.0)
        self._server.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                accepted, _ = self._server.accept()
                threading.Thread(target=self._relay, args=[accepted], daemon=True).start()

    def _relay(self, accepted: socket.socket) -> None:
        # A client without a certificate, or that disconnects in the handshake, is dropped.
        with closing(accepted), suppress(OSError), socket.socket(socket.AF_UNIX) as engine:
            outside = TlsConnection(accepted, self._context, None, HANDSHAKE_S)
            engine.connect(self._path)
            inside = SocketConnection(engine)
            back = threading.Thread(target=_pass_on, args=[inside, outside], daemon=True)
            back.start()
            _pass_on(outside, inside)
            back.join()


def _pass_on(source: Connection, target: Connection) -> None:
    try:
        while data := source.receive(LONG_S):
            target.send(data, LONG_S)
        target.end_input()
    except OSError:
        target.interrupt()
        source.interrupt()
