"""Watching the log and the exit of a container."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_ldb.engines.docker.transport.http import Refused, Transport
from pytest_ldb.engines.docker.watch import LINES_KEPT, UNKNOWN_EXIT, LogWatch, exit_code
from pytest_ldb.engines.protocol import Exit


class Log:
    """A stream of chunks that ends when it is closed."""

    def __init__(self) -> None:
        self.chunks: queue.Queue[bytes | Exception | None] = queue.Queue()

    def __iter__(self) -> Iterator[bytes]:
        while (chunk := self.chunks.get(timeout=10)) is not None:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    def close(self) -> None:
        self.chunks.put(None)


def ended_with(log: Log, code: int = 1, *chunks: bytes | Exception) -> LogWatch:
    for chunk in (*chunks, None):
        log.chunks.put(chunk)
    return LogWatch(log, lambda: code, lambda: False)


def test_lines_are_assembled_from_chunks() -> None:
    watch = ended_with(Log(), 1, b"one\ntw", b"o\r\nthr", b"ee\n\nfo\xffur")
    assert watch.ended(5.0) == Exit(code=1, out_of_memory=False)
    assert watch.log(10) == "one\ntwo\nthree\n\nfo\ufffdur"
    assert watch.log(2) == "\nfo\ufffdur"


def test_only_the_last_lines_are_kept() -> None:
    lines = [b"line %d\n" % number for number in range(LINES_KEPT + 5)]
    watch = ended_with(Log(), 1, *lines)
    assert watch.ended(5.0)
    assert watch.log(10_000).splitlines()[0] == "line 5"


def test_running_container_has_no_exit() -> None:
    log, running = Log(), threading.Event()

    def wait() -> int:
        running.wait(10)
        return 0

    watch = LogWatch(log, wait, lambda: False)
    log.chunks.put(b"up\n")
    assert watch.ended(0.01) is None
    running.set()
    assert watch.ended(5.0) == Exit(code=0, out_of_memory=False)
    watch.close()


def test_interrupted_log_keeps_received_lines() -> None:
    watch = ended_with(Log(), 1, b"one\ntwo", ConnectionResetError("engine gone"))
    assert watch.ended(5.0)
    assert watch.log(10) == "one\ntwo"


def _raises() -> bool:
    raise ConnectionResetError


@pytest.mark.parametrize(
    ("asked", "known"), [(lambda: True, True), (lambda: False, False), (_raises, False)]
)
def test_out_of_memory_is_queried_and_can_be_unknown(asked: object, known: bool) -> None:
    log = Log()
    log.close()
    assert callable(asked)
    watch = LogWatch(log, lambda: 137, asked)
    assert watch.ended(5.0) == Exit(code=137, out_of_memory=known)


def test_unreachable_engine_ends_the_watch() -> None:
    log = Log()
    log.close()
    watch = LogWatch(log, lambda: 1 // 0, lambda: False)
    assert watch.ended(5.0) == Exit(code=UNKNOWN_EXIT, out_of_memory=False)
    watch.close()


class Engine(Transport):
    """A transport with prepared responses to `wait` and one response to `inspect`."""

    def __init__(self, waits: list[object], container: object) -> None:
        super().__init__(lambda: pytest.fail("nothing is sent"))
        self.waits, self.container = waits, container
        self.patience: list[float] = []

    def request(
        self, method: str, target: str, content: object = None, *, timeout_s: float = 60.0
    ) -> Any:
        answer = self.container
        if "/wait?" in target:
            self.patience.append(timeout_s)
            answer = self.waits.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


RUNNING = {"State": {"Status": "running", "ExitCode": 0}}
EXITED = {"State": {"Status": "exited", "ExitCode": 7}}
REMOVED = Refused(404, "No such container")


@pytest.mark.parametrize(
    ("waits", "container", "code"),
    [
        ([{"StatusCode": 3}], RUNNING, 3),
        ([TimeoutError(), TimeoutError(), {"StatusCode": 3}], RUNNING, 3),
        ([ConnectionResetError(), {"StatusCode": 3}], RUNNING, 3),
        ([TimeoutError()], EXITED, 7),
        ([TimeoutError()], REMOVED, UNKNOWN_EXIT),
        ([REMOVED], REMOVED, UNKNOWN_EXIT),
    ],
)
def test_watch_waits_for_the_exit(waits: list[object], container: object, code: int) -> None:
    engine = Engine(waits, container)
    assert exit_code(engine, "x") == code
    assert engine.patience == [1, 2, 4][: len(engine.patience)]


def test_exit_is_unknown_without_an_engine() -> None:
    with pytest.raises(ConnectionRefusedError):
        exit_code(Engine([ConnectionResetError()], ConnectionRefusedError()), "x")
