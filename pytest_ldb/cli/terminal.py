"""Standard streams joined to something in a container, with a terminal or without."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from ..engines.protocol import Execution

PAUSE_S = 3600.0
CHUNK_BYTES = 65536


def is_conversation() -> bool:
    """Whether people type, and read the answers."""
    streams = (sys.stdin, sys.stdout)  # None if they are closed.
    return all(stream is not None and stream.isatty() for stream in streams)


def relay(execution: Execution) -> int:
    """Join this process's standard streams to a command until it ends; return its exit status."""
    threading.Thread(target=_feed, args=[execution], daemon=True).start()
    try:
        with _raw_terminal(execution) if is_conversation() else nullcontext():
            for number, content in _pieces(execution):
                stream = (sys.stdout if number == 1 else sys.stderr).buffer
                stream.write(content)
                stream.flush()
        return execution.status()
    finally:
        execution.close()


def _pieces(execution: Execution) -> Iterator[tuple[int, bytes]]:
    while True:
        try:
            pieces = execution.receive(PAUSE_S)
        except TimeoutError:
            continue
        if not pieces:
            return
        yield from pieces


def _feed(execution: Execution) -> None:
    """Pass on what is typed, or comes from a pipe; in a thread, as reading cannot be given up."""
    with suppress(OSError):
        while sys.stdin and (content := os.read(sys.stdin.fileno(), CHUNK_BYTES)):
            execution.send(content)
        execution.end_input()


@contextmanager
def _raw_terminal(execution: Execution) -> Iterator[None]:
    """Have every key go to the other side, Ctrl-C too, and tell it how large the terminal is."""
    import termios
    import tty

    def resize(*_: Any) -> None:
        columns, rows = shutil.get_terminal_size()
        execution.resize(rows, columns)

    before = termios.tcgetattr(sys.stdin)
    signal.signal(signal.SIGWINCH, resize)
    try:
        tty.setraw(sys.stdin)
        resize()
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
