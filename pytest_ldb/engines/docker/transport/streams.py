"""The standard streams of processes in containers, as the engine sends them."""

from __future__ import annotations

from collections.abc import Iterator

from .connection import Connection

_HEADER_BYTES = 8
SEND_S = 30.0


class MultiplexedStream:
    """A hijacked connection to the engine: plain bytes out, framed bytes in.

    Each frame is a byte that names the stream, three zero bytes, the length as four bytes in
    network order, and the content (Docker Engine API, "Attach to a container", stream format).
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._raw = bytearray()

    def send(self, data: bytes, timeout_s: float = SEND_S) -> None:
        """Send all of it; raises TimeoutError if that takes longer."""
        self._connection.send(data, timeout_s)

    def receive(self, timeout_s: float) -> bytes:
        """Return the content of the next frames; empty at the end."""
        return b"".join(content for _, content in self.receive_frames(timeout_s))

    def receive_frames(self, timeout_s: float) -> list[tuple[int, bytes]]:
        """Return the next frames, as pairs of stream and content; empty at the end."""
        frames: list[tuple[int, bytes]] = []
        while not frames and (chunk := self._connection.receive(timeout_s)):
            self._raw += chunk
            frames = self._take_frames(self._raw)
        return frames

    def close(self) -> None:
        """Close the connection; the engine then closes the other side's standard input."""
        self._connection.close()

    def end_input(self) -> None:
        """Close the direction to the other side only."""
        self._connection.end_input()

    def _take_frames(self, raw: bytearray) -> list[tuple[int, bytes]]:
        return frames_in(raw)


class TerminalStream(MultiplexedStream):
    """The same for a process with a terminal: one stream, without frames."""

    def _take_frames(self, raw: bytearray) -> list[tuple[int, bytes]]:
        frame = 1, bytes(raw)
        raw.clear()
        return [frame]


class FramedLog:
    """A log that comes in frames, as bytes, until it ends."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_read = False

    def __iter__(self) -> Iterator[bytes]:
        self._is_read = True
        raw = bytearray()
        for chunk in self._connection:
            raw += chunk
            yield from (content for _, content in frames_in(raw))

    def close(self) -> None:
        """End it, also for a thread that is waiting for more, which then closes the connection."""
        self._connection.interrupt()
        if not self._is_read:
            self._connection.close()


def frames_in(raw: bytearray) -> list[tuple[int, bytes]]:
    """Take complete frames out of ``raw``; an incomplete one stays there."""
    frames = []
    while len(raw) >= _HEADER_BYTES:
        end = _HEADER_BYTES + int.from_bytes(raw[4:8], "big")
        if len(raw) < end:
            break
        frame = raw[0], bytes(raw[_HEADER_BYTES:end])
        del raw[:end]
        if frame[1]:  # An empty one would mean the end.
            frames.append(frame)
    return frames
