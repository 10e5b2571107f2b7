"""Waiting for a server to become ready, and the errors if it does not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pytest_ldb.databases import REDIS
from pytest_ldb.engines.protocol import Exit
from pytest_ldb.lifecycle.readiness import ask, died, wait_until_ready
from pytest_ldb.model.database_type import Exchange
from pytest_ldb.model.errors import DiskFull, InstanceDied, NotReady, OutOfMemory
from pytest_ldb.model.instance import Address

PING = REDIS.ready
SPEAKS_FIRST = Exchange(send=b"", ready=rb"HELLO \d+")


class Evidence:
    """A watch that reports the exit of the container after a number of queries."""

    def __init__(
        self,
        log: str = "",
        *,
        ended: Exit | None = None,
        after: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self.text = log
        self.end = ended
        self.asked = 0
        self.after = after
        self.pauses: list[float] = []
        self.clock = clock

    def ended(self, timeout_s: float) -> Exit | None:
        self.asked += 1
        self.pauses.append(timeout_s)
        if self.clock:
            self.clock.time += timeout_s
        return self.end if self.asked > self.after else None

    def log(self, lines: int) -> str:
        return "\n".join(self.text.splitlines()[-lines:])

    def close(self) -> None:
        raise AssertionError("the watch is closed by its owner")


class Clock:
    """A clock that advances only when `wait` is called."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


@contextmanager
def server(*conversations: Callable[[socket.socket], None]) -> Iterator[Address]:
    """Serve connections one by one with the given handlers; the last one serves all others."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for turn in range(1000):
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    conversations[min(turn, len(conversations) - 1)](connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield Address("127.0.0.1", listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def saying(*parts: bytes) -> Callable[[socket.socket], None]:
    def converse(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.recv(100)
        for part in parts:
            connection.sendall(part)

    return converse


def hanging_up(_: socket.socket) -> None:
    """Accept and close, as the engine's proxy does while the server does not listen."""


def wait(address: Address | None, watch: Evidence, **changes: Any) -> None:
    values: dict[str, Any] = {"timeout_s": 10.0, "now": Clock(), **changes}
    wait_until_ready("redis", address, values.pop("exchange", PING), watch, **values)


@pytest.mark.parametrize(
    "answer",
    [(b"+PONG\r\n",), (b"+", b"PO", b"NG\r\n"), (b"-NOAUTH Authentication required.\r\n",)],
)
def test_ready_answer_ends_the_wait(answer: tuple[bytes, ...]) -> None:
    with server(saying(*answer)) as address:
        watch = Evidence()
        wait(address, watch)
    assert watch.asked == 0


def test_accepted_connection_is_not_ready() -> None:
    with server(hanging_up, hanging_up, saying(b"-LOADING\r\n"), saying(b"+PONG\r\n")) as address:
        watch = Evidence()
        wait(address, watch)
    assert watch.asked == 3


def test_look_is_called_after_each_failed_attempt() -> None:
    looks: list[float] = []
    clock = Clock()
    with server(hanging_up, hanging_up, saying(b"+PONG\r\n")) as address:
        wait(address, Evidence(clock=clock), now=clock, look=lambda: looks.append(clock.time))
    assert len(looks) == 2
    assert 100 < looks[0] < looks[1]


def test_server_can_speak_first() -> None:
    def greet(connection: socket.socket) -> None:
        connection.sendall(b"HELLO 42")

    with server(greet) as address:
        assert ask(address, SPEAKS_FIRST) == b"HELLO 42"
        wait(address, Evidence(), exchange=SPEAKS_FIRST)


def test_unresponsive_server_times_out() -> None:
    enough = threading.Event()

    def keep_silent(_: socket.socket) -> None:
        enough.wait(10)

    with server(keep_silent) as address:
        assert ask(address, PING, timeout_s=0.05) == b""
        enough.set()


def test_refused_connection_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert ask(Address("127.0.0.1", port), PING) == b""


def test_pauses_grow_from_5_to_50_ms() -> None:
    clock = Clock()
    watch = Evidence(clock=clock)
    with pytest.raises(NotReady):
        wait(None, watch, now=clock)
    assert watch.pauses[0] == 0.005
    assert watch.pauses == sorted(watch.pauses)
    assert watch.pauses[-1] == 0.05
    assert 9.9 < sum(watch.pauses) < 10.1


@pytest.mark.parametrize("address", [Address("127.0.0.1", 1), None])
def test_exited_server_ends_the_wait_immediately(address: Address | None) -> None:
    watch = Evidence("bad option", ended=Exit(code=1, out_of_memory=False))
    with pytest.raises(InstanceDied) as caught:
        wait(address, watch)
    assert watch.asked == 1
    assert str(caught.value) == (
        "redis: the server ended with exit code 1.\n"
        "    bad option\n"
        "Its last log lines, above, say why; check the image, its command and environment."
    )


def test_timeout_error_shows_the_last_answer() -> None:
    clock = Clock()
    with server(saying(b"-LOADING Redis is loading\r\n")) as address:
        watch = Evidence("loading\nstill loading", clock=clock)
        with pytest.raises(NotReady) as caught:
            wait(address, watch, timeout_s=0.01, now=clock)
    assert str(caught.value) == (
        "redis: the server runs, but was not ready after 0.01 s: "
        f"on 127.0.0.1:{address.port} its last answer was b'-LOADING Redis is loading\\r\\n'.\n"
        "    loading\n"
        "    still loading\n"
        "Raise --ldb-timeout if the machine is slow; its log, above, says what it is doing."
    )


def test_timeout_error_reports_no_answer() -> None:
    clock = Clock()
    with server(hanging_up) as address, pytest.raises(NotReady) as caught:
        wait(address, Evidence(clock=clock), timeout_s=6, now=clock)
    assert f"after 6 s: on 127.0.0.1:{address.port} it answered nothing" in caught.value.fact
    assert caught.value.evidence == "(it wrote nothing to its log)"


def test_server_without_port_never_becomes_ready() -> None:
    clock = Clock()
    with pytest.raises(NotReady, match="on a port that it never opened it answered nothing"):
        wait(None, Evidence(clock=clock), now=clock)


def test_error_shows_the_last_lines_of_the_log() -> None:
    log = "\n".join(f"line {number}" for number in range(100))
    watch = Evidence(log, ended=Exit(code=1, out_of_memory=False))
    with pytest.raises(InstanceDied) as caught:
        wait(None, watch)
    assert caught.value.evidence.splitlines() == [f"line {number}" for number in range(80, 100)]


@pytest.mark.parametrize("end", [Exit(code=1, out_of_memory=False), None])
def test_secrets_are_masked_in_the_log(end: Exit | None) -> None:
    clock = Clock()
    watch = Evidence("password is hunter2, again hunter2", ended=end, clock=clock)
    with pytest.raises((InstanceDied, NotReady)) as caught:
        wait(None, watch, secrets=["", "hunter2"], now=clock)
    assert caught.value.evidence == "password is ********, again ********"


@pytest.mark.parametrize(
    ("code", "out_of_memory", "log", "error_class", "fact"),
    [
        (1, False, "", InstanceDied, "the server ended with exit code 1"),
        (0, False, "bye", InstanceDied, "the server ended with exit code 0"),
        (
            *(137, False, "", InstanceDied),
            "the server ended with exit code 137 (killed; perhaps out of memory)",
        ),
        (137, True, "", OutOfMemory, "the server ended with exit code 137, out of memory"),
        (1, True, "", OutOfMemory, "the server ended with exit code 1, out of memory"),
        (
            *(1, False, "FATAL:  could not map anonymous shared memory: Cannot allocate memory"),
            *(OutOfMemory, "the server ended with exit code 1, out of memory"),
        ),
        (
            *(1, False, "[ERROR] [MY-012681] [InnoDB] Out of memory"),
            *(OutOfMemory, "the server ended with exit code 1, out of memory"),
        ),
        (
            *(1, False, 'PANIC:  could not write to file "pg_wal/x": No space left on device'),
            *(DiskFull, "the server ended with exit code 1, its disk is full"),
        ),
        (
            *(14, False, "Error: disk full"),
            *(DiskFull, "the server ended with exit code 14, its disk is full"),
        ),
        (
            *(137, True, "No space left on device"),
            *(DiskFull, "the server ended with exit code 137, its disk is full"),
        ),
    ],
)
def test_error_class_follows_from_the_cause(
    code: int, out_of_memory: bool, log: str, error_class: type[InstanceDied], fact: str
) -> None:
    error = died("redis", Exit(code=code, out_of_memory=out_of_memory), log)
    assert (type(error), error.fact) == (error_class, fact)
    assert error.evidence == (log or "(it wrote nothing to its log)")
    assert error.remedy
