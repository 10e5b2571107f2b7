"""Commands in containers, with their standard streams attached."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ...util.poll import tries
from .errors import answering
from .payloads import Command, begin
from .transport.connection import LONG_S
from .transport.http import Refused, Transport
from .transport.streams import MultiplexedStream, TerminalStream

ENDING_S = 10.0
PAUSE_S = 0.01


class EngineExecution:
    """A command that the engine runs ("Exec" in the Docker Engine API); created, it is running.

    Args:
        transport: Requests to the engine.
        container: A name or an id.
        command: What to run.

    Raises:
        Refused: The engine refused.
        OSError: The engine cannot be reached.
    """

    def __init__(self, transport: Transport, container: str, command: Command) -> None:
        self._transport = transport
        self._identity, connection = begin(transport, container, command)
        self._stream = (TerminalStream if command.tty else MultiplexedStream)(connection)

    def send(self, data: bytes) -> None:
        """Send data to its standard input."""
        # It may take long to read what was sent before.
        self._stream.send(data, LONG_S)

    def end_input(self) -> None:
        """Close its standard input."""
        self._stream.end_input()

    def receive(self, timeout_s: float) -> list[tuple[int, bytes]]:
        """Return its output, with 1 for standard output and 2 for standard error; empty at the end.

        Raises:
            TimeoutError: It wrote nothing in time.
        """
        return self._stream.receive_frames(timeout_s)

    def resize(self, rows: int, columns: int) -> None:
        """Set the size of its terminal, if it has not ended."""
        with suppress(Refused, OSError):
            size = f"h={rows}&w={columns}"
            self._transport.request("POST", f"/exec/{self._identity}/resize?{size}")

    def status(self) -> int:
        """Return its exit status, after it has ended."""
        # The engine closes the streams before it knows the status.
        for _ in tries(ENDING_S, pause_s=PAUSE_S):
            state = self._inspect()
            if not state["Running"]:
                break
        return int(state["ExitCode"] or 0)

    def close(self) -> None:
        """Close the connection to it."""
        self._stream.close()

    def _inspect(self) -> Any:
        with answering("the command"):
            return self._transport.request("GET", f"/exec/{self._identity}/json")
