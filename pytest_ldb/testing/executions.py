"""Tests of commands whose input and output are connected to the caller."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial

import pytest

from ..engines.protocol import Execution
from ..model.errors import EngineFailed
from .containers import ENDS_S, Containers

ENOUGH_BYTES = 1 << 20
"""More than the buffers of pipes and sockets hold."""


class ExecutionContract:
    """Tests of ``Engine.execute``; a part of ``EngineContract``."""

    terminals = True
    """Whether commands in containers can have a terminal."""

    @pytest.fixture
    def beside(self, containers: Containers) -> Iterator[_Beside]:
        """Runs commands in a container."""
        beside = _Beside(containers)
        yield beside
        for execution in beside.begun:
            execution.close()

    def test_exec_separates_stdout_stderr_and_exit_status(self, beside: _Beside) -> None:
        execution = beside.begin("echo fine; echo wrong >&2; exit 3")
        execution.end_input()
        assert _all(execution) == {1: b"fine\n", 2: b"wrong\n"}
        assert execution.status() == 3

    def test_exec_exit_status_is_available_immediately(self, beside: _Beside) -> None:
        statuses = set()
        for number in range(20):
            execution = beside.begin("exit 3", tty=self.terminals and number % 2 == 0)
            execution.end_input()
            assert _all(execution) == {}
            statuses.add(execution.status())
        assert statuses == {3}

    def test_exec_input_arrives_completely(self, beside: _Beside) -> None:
        execution = beside.begin("wc -c")
        for _ in range(16):
            execution.send(b"x" * (ENOUGH_BYTES // 16))
        execution.end_input()
        assert _all(execution)[1].strip() == str(ENOUGH_BYTES).encode()
        assert execution.status() == 0

    def test_large_exec_output_arrives_completely(self, beside: _Beside) -> None:
        execution = beside.begin(f"head -c {ENOUGH_BYTES} /dev/zero")
        execution.end_input()
        assert len(_all(execution)[1]) == ENOUGH_BYTES

    def test_exec_output_is_readable_while_input_is_open(self, beside: _Beside) -> None:
        execution = beside.begin("while read -r word; do echo got $word; done")
        for word in (b"one", b"two"):
            execution.send(word + b"\n")
            assert list(execution.receive(ENDS_S)) == [(1, b"got " + word + b"\n")]
        with pytest.raises(TimeoutError):
            execution.receive(0.05)
        execution.end_input()
        assert list(execution.receive(ENDS_S)) == []

    def test_exec_has_environment_and_working_directory_of_shells(self, beside: _Beside) -> None:
        execution = beside.begin('echo "$WORD"; [ -n "$LDB_HOME" ] && echo home', WORD="it's {a}")
        execution.end_input()
        assert _all(execution)[1] == b"it's {a}\nhome\n"

    def test_unread_exec_can_be_closed(self, beside: _Beside) -> None:
        execution = beside.begin("echo $$; exec cat")
        ((_, process),) = execution.receive(ENDS_S)
        execution.close()
        # Closing also ends the process, at the latest because its input ends.
        waiting = beside.begin(f"while kill -0 {int(process)} 2>/dev/null; do sleep 0.05; done")
        waiting.end_input()
        assert list(waiting.receive(ENDS_S)) == []
        assert waiting.status() == 0

    def test_exec_in_a_stopped_container_is_an_error(self, containers: Containers) -> None:
        stopped = containers.create()
        for container in (stopped, "ldb-contract-absent"):
            with pytest.raises(EngineFailed):
                containers.engine.execute(container, ["true"], environment={}, tty=False)

    def test_exec_ends_with_its_container(self, containers: Containers, beside: _Beside) -> None:
        execution = beside.begin("echo here; exec sleep 60")
        assert list(execution.receive(ENDS_S)) == [(1, b"here\n")]
        containers.engine.remove(beside.container)
        assert list(execution.receive(ENDS_S)) == []
        with suppress(EngineFailed):  # The engine may not know the command any more.
            assert execution.status() != 0

    def test_tty_exec_has_one_stream_and_the_terminal_size(self, beside: _Beside) -> None:
        execution = beside.begin("read go; stty size; echo wrong >&2; tty", tty=True)
        execution.resize(33, 77)
        execution.send(b"go\n")
        (said,) = _all(execution).values()
        assert b"33 77\r\nwrong\r\n/dev/" in said
        execution.resize(24, 80)  # No error, although the command has ended.
        assert execution.status() == 0


class _Beside:
    """A container, and the commands that were started in it."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self.begun: list[Execution] = []
        self.container = ""

    def begin(self, script: str, *, tty: bool = False, **variables: str) -> Execution:
        if not self.container:
            self.container, watch = self._containers.run("exec sleep 60")
            watch.close()
        argv: Sequence[str] = ["sh", "-c", script]
        run = self._containers.engine.execute
        self.begun.append(run(self.container, argv, environment=variables, tty=tty))
        return self.begun[-1]


def _all(execution: Execution) -> dict[int, bytes]:
    """Return all output, by stream."""
    came: dict[int, bytes] = {}
    for pieces in iter(partial(execution.receive, ENDS_S), []):
        for stream, content in pieces:
            came[stream] = came.get(stream, b"") + content
    return came
