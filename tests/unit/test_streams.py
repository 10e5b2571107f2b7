"""Multiplexed and raw streams."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ldb.engines.docker.transport.connection import SHORTEST_S, SocketConnection
from pytest_ldb.engines.docker.transport.streams import (
    FramedLog,
    MultiplexedStream,
    TerminalStream,
)


def frame(content: bytes, stream: int = 1) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(content).to_bytes(4, "big") + content


class Chunks(SocketConnection):
    """A connection that delivers the given chunks one at a time."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = list(chunks)
        self.timeouts: list[float] = []
        self.closed = 0

    def _receive(self, timeout_s: float) -> bytes:
        self.timeouts.append(timeout_s)
        return self.chunks.pop(0) if self.chunks else b""

    def interrupt(self) -> None:
        self.chunks.clear()

    def close(self) -> None:
        self.closed += 1


def received(stream: MultiplexedStream) -> bytes:
    content = b""
    while chunk := stream.receive(1.0):
        content += chunk
    return content


WIRE = frame(b"hello ") + frame(b"", 2) + frame(b"world\n", 2) + frame(b"x" * 300)
CONTENT = b"hello world\n" + b"x" * 300


def test_frames_can_be_split_anywhere() -> None:
    for cut in range(1, len(WIRE)):
        assert received(MultiplexedStream(Chunks(WIRE[:cut], WIRE[cut:]))) == CONTENT, cut


def test_frames_can_arrive_byte_by_byte() -> None:
    single = (WIRE[place : place + 1] for place in range(len(WIRE)))
    assert received(MultiplexedStream(Chunks(*single))) == CONTENT


@given(st.lists(st.binary(min_size=1), min_size=1), st.data())
def test_framed_data_round_trips(contents: list[bytes], data: st.DataObject) -> None:
    wire = b"".join(frame(content) for content in contents)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(wire) - 1), max_size=5)))
    chunks = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    assert received(MultiplexedStream(Chunks(*chunks))) == b"".join(contents)


def test_incomplete_last_frame_is_ignored() -> None:
    assert received(MultiplexedStream(Chunks(frame(b"whole") + frame(b"half")[:-1]))) == b"whole"


def test_zero_timeout_polls_once() -> None:
    connection = Chunks(frame(b"there"))
    assert MultiplexedStream(connection).receive(0.0) == b"there"
    assert connection.timeouts == [SHORTEST_S]


@pytest.fixture
def pair() -> Iterator[tuple[MultiplexedStream, socket.socket]]:
    ours, theirs = socket.socketpair()
    stream = MultiplexedStream(SocketConnection(ours))
    with theirs:
        yield stream, theirs
    stream.close()


def test_sent_data_is_unframed(pair: tuple[MultiplexedStream, socket.socket]) -> None:
    stream, theirs = pair
    stream.send(b"go\n")
    assert theirs.recv(10) == b"go\n"


def test_receive_times_out(pair: tuple[MultiplexedStream, socket.socket]) -> None:
    with pytest.raises(TimeoutError):
        pair[0].receive(0.01)


def test_sending_to_a_closed_peer_is_an_os_error(
    pair: tuple[MultiplexedStream, socket.socket],
) -> None:
    stream, theirs = pair
    theirs.close()
    with pytest.raises(OSError):  # noqa: PT011 - any of them
        stream.send(b"x")


def test_tty_stream_is_unframed() -> None:
    stream = TerminalStream(Chunks(b"a", b"b"))
    assert stream.receive_frames(1.0) == [(1, b"a")]
    assert stream.receive_frames(1.0) == [(1, b"b")]
    assert stream.receive_frames(1.0) == []


def test_log_is_the_content_of_its_frames() -> None:
    connection = Chunks(WIRE[:9], WIRE[9:])
    assert b"".join(FramedLog(connection)) == CONTENT
    assert connection.closed == 1


def test_unread_log_can_be_closed() -> None:
    connection = Chunks(WIRE)
    FramedLog(connection).close()
    assert connection.closed == 1


def test_log_being_read_is_closed_by_its_reader() -> None:
    connection = Chunks(frame(b"one"), frame(b"two"))
    log = FramedLog(connection)
    lines = iter(log)
    assert next(lines) == b"one"
    log.close()
    assert connection.closed == 0
    assert list(lines) == []
    assert connection.closed == 1
