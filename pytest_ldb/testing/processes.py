"""Processes that use an engine, for tests that kill them."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..engines.protocol import Engine
from ..util.poll import tries

_HOLDING = """
import os, pickle, sys, time
make_engine, container, later, forks = pickle.load(sys.stdin.buffer)
shell = make_engine().shell(container, environment={}, ephemeral=True)
if later:
    shell.later(later)
child = os.fork() if forks else 1
if not child:
    time.sleep(60)
    os._exit(0)
print(child, flush=True)
sys.stdin.read()
"""

_GUARDING = """
import pickle, sys
make_engine, identity = pickle.load(sys.stdin.buffer)
guard = make_engine().guard(identity)
print(1, flush=True)
sys.stdin.read()
"""


class OtherProcess:
    """A process that runs a program with an engine and then waits to be killed."""

    def __init__(self, program: str, *arguments: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(pickle.dumps(arguments))
        self._process.stdin.flush()
        said = self._process.stdout.readline()
        assert said, "the other process failed, see its error output"
        self._child = int(said)

    def kill(self) -> None:
        """Kill the process; its child process continues."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()

    def kill_child(self) -> None:
        """Kill its forked child, which must still run."""
        os.kill(self._child, signal.SIGKILL)


def holding(
    make_engine: Callable[[], Engine],
    container: str,
    *,
    later: Sequence[str] = (),
    forks: bool = False,
) -> OtherProcess:
    """Start a process that holds an ephemeral server with a shell.

    Args:
        make_engine: Creates the engine in the process.
        container: Name or id of the container.
        later: A command that the shell runs when the process ends.
        forks: Whether the process forks a child, which outlives it.
    """
    return OtherProcess(_HOLDING, make_engine, container, later, forks)


def guarding(make_engine: Callable[[], Engine], identity: str) -> OtherProcess:
    """Start a process that guards the container whose label ``id`` is this."""
    return OtherProcess(_GUARDING, make_engine, identity)


def wait_until(happened: Callable[[], bool], timeout_s: float, otherwise: str) -> None:
    """Wait for a condition; fail with the message ``otherwise`` after the timeout."""
    if not any(happened() for _ in tries(timeout_s, pause_s=0.01)):
        raise AssertionError(f"{otherwise} (after {timeout_s:g} s)")
