"""The bytes behind a shell."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ldb.engines.docker.transport.streams import MultiplexedStream, ProcessStream
from pytest_ldb.testing.processes import wait_until


def frame(content: bytes, stream: int = 1) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(content).to_bytes(4, "big") + content


class Chunks:
    """A connection that delivers what was given to it, one chunk at a time."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = list(chunks)
        self.timeouts: list[float] = []
        self.closed = 0

    def recv(self, _: int) -> bytes:
        return self.chunks.pop(0) if self.chunks else b""

    def settimeout(self, timeout_s: float) -> None:
        self.timeouts.append(timeout_s)

    def close(self) -> None:
        self.closed += 1


def received(stream: MultiplexedStream) -> bytes:
    content = b""
    while chunk := stream.receive(1.0):
        content += chunk
    return content


WIRE = frame(b"hello ") + frame(b"", 2) + frame(b"world\n", 2) + frame(b"x" * 300)
CONTENT = b"hello world\n" + b"x" * 300


def test_frames_may_be_cut_anywhere() -> None:
    for cut in range(1, len(WIRE)):
        assert received(MultiplexedStream(Chunks(WIRE[:cut], WIRE[cut:]))) == CONTENT, cut


def test_frames_may_come_byte_by_byte() -> None:
    single = (WIRE[place : place + 1] for place in range(len(WIRE)))
    assert received(MultiplexedStream(Chunks(*single))) == CONTENT


@given(st.lists(st.binary(min_size=1), min_size=1), st.data())
def test_whatever_is_framed_arrives(contents: list[bytes], data: st.DataObject) -> None:
    wire = b"".join(frame(content) for content in contents)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(wire) - 1), max_size=5)))
    chunks = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    assert received(MultiplexedStream(Chunks(*chunks))) == b"".join(contents)


def test_half_a_frame_at_the_end_is_nothing() -> None:
    assert received(MultiplexedStream(Chunks(frame(b"whole") + frame(b"half")[:-1]))) == b"whole"


def test_a_timeout_of_nothing_still_looks_once() -> None:
    connection = Chunks(frame(b"there"))
    assert MultiplexedStream(connection).receive(0.0) == b"there"
    assert connection.timeouts == [0.001]  # None or zero would mean something else.


@pytest.fixture
def pair() -> Iterator[tuple[MultiplexedStream, socket.socket]]:
    ours, theirs = socket.socketpair()
    stream = MultiplexedStream(ours)
    with theirs:
        yield stream, theirs
    stream.close()


def test_what_is_sent_goes_out_as_it_is(pair: tuple[MultiplexedStream, socket.socket]) -> None:
    stream, theirs = pair
    stream.send(b"go\n")
    assert theirs.recv(10) == b"go\n"


def test_nothing_in_time_is_a_timeout(pair: tuple[MultiplexedStream, socket.socket]) -> None:
    with pytest.raises(TimeoutError):
        pair[0].receive(0.01)


def test_sending_to_nobody_is_an_os_error(pair: tuple[MultiplexedStream, socket.socket]) -> None:
    stream, theirs = pair
    theirs.close()
    with pytest.raises(OSError):  # noqa: PT011 - any of them
        stream.send(b"x")


def test_the_wrapper_of_a_socket_is_closed_with_it() -> None:
    class Wrapper:
        def __init__(self) -> None:
            self._sock = Chunks()
            self.closed = False

        def close(self) -> None:
            self.closed = True

    wrapper = Wrapper()
    MultiplexedStream(wrapper).close()
    assert wrapper.closed
    assert wrapper._sock.closed == 1


def test_a_process_reads_and_answers() -> None:
    stream = ProcessStream("read -r word; echo $word $NAME; echo error >&2", {"NAME": "b"})
    stream.send(b"a\n")
    text = b""
    with suppress(TimeoutError):
        while chunk := stream.receive(5.0):
            text += chunk
    assert text == b"a b\nerror\n"
    stream.close()


def test_a_process_that_says_nothing_is_a_timeout() -> None:
    stream = ProcessStream("read -r never", {})
    with pytest.raises(TimeoutError):
        stream.receive(0.01)
    stream.close()


def test_a_closed_process_takes_nothing() -> None:
    stream = ProcessStream("cat", {})
    stream.close()
    stream.close()
    with pytest.raises(OSError):  # noqa: PT011 - any of them
        stream.send(b"x")
    with pytest.raises(OSError):  # noqa: PT011
        stream.receive(0.0)


def test_a_process_that_has_ended_can_be_closed() -> None:
    stream = ProcessStream("exit", {})
    stream._process.wait(5.0)
    assert stream.receive(5.0) == b""
    with pytest.raises(BrokenPipeError):
        stream.send(b"x")
    stream.close()


def test_a_process_ends_when_its_input_ends(tmp_path: Path) -> None:
    stream = ProcessStream(f"cat; mkdir {tmp_path}/ended", {})
    stream.close()
    wait_until((tmp_path / "ended").exists, 5.0, "it did not notice")


def test_a_connection_over_a_process_has_timeouts_too() -> None:
    class Imitation:
        """What the SDK returns for an engine that is reached over ssh."""

        def __init__(self) -> None:
            self.proc = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

        def close(self) -> None:
            self.proc.wait()

    stream = MultiplexedStream(Imitation())
    with pytest.raises(TimeoutError):
        stream.receive(0.01)
    stream.send(frame(b"echo"))
    assert stream.receive(5.0) == b"echo"
    stream.close()
