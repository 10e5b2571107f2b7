"""Connect standard streams to a command in a container, with or without a terminal."""

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
    """Whether standard input and output are terminals."""
    streams = (sys.stdin, sys.stdout)  # None if they are closed.
    return all(stream is not None and stream.isatty() for stream in streams)


def relay(execution: Execution) -> int:
    """Connect the standard streams to a command until it ends; return its exit status."""
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
    """Forward standard input to the command; in a thread, as a read cannot be interrupted."""
    with suppress(OSError):
        while sys.stdin and (content := os.read(sys.stdin.fileno(), CHUNK_BYTES)):
            execution.send(content)
        execution.end_input()


@contextmanager
def _raw_terminal(execution: Execution) -> Iterator[None]:
    """Send all keys, including Ctrl-C, and the size of the terminal to the command."""
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
