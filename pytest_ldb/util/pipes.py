"""The standard streams of a process, with timeouts."""

from __future__ import annotations

import os
import selectors
import subprocess
from contextlib import suppress

CHUNK_BYTES = 65536


class Pipes:
    """Reads the standard output of a process, and writes to its standard input.

    Args:
        process: Both are pipes.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin
        assert process.stdout
        self._input, self._output = process.stdin, process.stdout
        # select() fails on descriptors from 1024 on; poll() needs no descriptor of its own.
        self._selector = getattr(selectors, "PollSelector", selectors.DefaultSelector)()
        self._selector.register(self._output, selectors.EVENT_READ)

    def send(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            OSError: The process has ended.
        """
        if self._input.closed:
            raise BrokenPipeError("closed on this side")
        self._input.write(data)
        self._input.flush()

    def receive(self, timeout_s: float) -> bytes:
        """Return what came; empty at the end.

        Raises:
            TimeoutError: Nothing came in time.
        """
        if self._output.closed:
            raise BrokenPipeError("closed on this side")
        if not self._selector.select(timeout_s):
            raise TimeoutError("the process wrote nothing in time")
        return os.read(self._output.fileno(), CHUNK_BYTES)

    def end_input(self) -> None:
        """Close the standard input of the process."""
        with suppress(BrokenPipeError):  # Its buffer may hold what could not be sent.
            self._input.close()

    def close(self) -> None:
        """Close both."""
        self.end_input()
        self._output.close()
