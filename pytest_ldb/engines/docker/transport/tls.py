"""TLS on a socket, whose directions can be closed separately."""

from __future__ import annotations

import ssl
import threading
from contextlib import suppress

from ....util.pipes import CHUNK_BYTES
from ....util.sockets import Socket
from .connection import SocketConnection

CLOSING_S = 30.0


class TlsConnection(SocketConnection):
    """A socket on which both sides speak TLS.

    ``ssl.SSLSocket`` cannot close one direction: its ``shutdown`` goes on without encryption, and
    its ``unwrap`` refuses what the other side still sends. ``ssl.SSLObject`` can.

    Args:
        connected: The socket.
        context: The certificates.
        host: The name that the other side's certificate must have; None if this is the server.
        timeout_s: The most time for the handshake.
    """

    def __init__(
        self, connected: Socket, context: ssl.SSLContext, host: str | None, timeout_s: float
    ) -> None:
        super().__init__(connected)
        self._arrived, self._leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._arrived, self._leaving, server_side=host is None, server_hostname=host
        )
        self._decrypted, self._has_ended = b"", False
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._shake_hands(timeout_s)

    def send(self, data: bytes, timeout_s: float) -> None:
        with self._lock:
            self._tls.write(data)
        self._flush(timeout_s)

    def _receive(self, timeout_s: float) -> bytes:
        while True:
            with self._lock:
                self._decrypt()
                if self._decrypted or self._has_ended:
                    data, self._decrypted = self._decrypted, b""
                    return data
            self._take_in(timeout_s)

    def end_input(self) -> None:
        with self._lock:
            self._decrypt()  # `unwrap` would drop data that has arrived.
            # It sends close_notify, and then fails as that of the other side has not come yet.
            with suppress(ssl.SSLError):
                self._tls.unwrap()
        self._flush(CLOSING_S)

    def _decrypt(self) -> None:
        try:
            while data := self._tls.read(CHUNK_BYTES):
                self._decrypted += data
        except ssl.SSLWantReadError:
            return
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            pass
        self._has_ended = True

    def _shake_hands(self, timeout_s: float) -> None:
        while True:
            try:
                with suppress(ssl.SSLWantReadError):
                    self._tls.do_handshake()
                    return
            finally:  # A failed handshake also sends something: an alert that says why.
                self._flush(timeout_s)
            self._take_in(timeout_s)

    def _take_in(self, timeout_s: float) -> None:
        arrived = super()._receive(timeout_s)
        with self._lock:
            if arrived:
                self._arrived.write(arrived)
            else:
                self._arrived.write_eof()

    def _flush(self, timeout_s: float) -> None:
        # Encrypted data must be sent in the order in which it was encrypted. This lock is not the
        # other one, as data must be received even while the other side does not read.
        with self._sending:
            with self._lock:
                data = self._leaving.read()
            if data:
                super().send(data, timeout_s)
