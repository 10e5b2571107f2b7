"""Commands in containers, run for somebody who looks on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from .errors import translated
from .payloads import HOME, USER
from .transport.streams import LONG_S, MultiplexedStream, TerminalStream

ENDING_S = 10.0
PAUSE_S = 0.01


class EngineExecution:
    """A command that the engine runs ("Exec" in the Docker Engine API).

    Args:
        api: The SDK's.
        identity: The engine's id of the execution.
        stream: Connected to it.
    """

    def __init__(self, api: Any, identity: str, stream: MultiplexedStream) -> None:
        self._api = api
        self._identity = identity
        self._stream = stream

    @classmethod
    def begin(
        cls,
        api: Any,
        container: str,
        argv: Sequence[str],
        environment: Mapping[str, str],
        *,
        tty: bool,
    ) -> EngineExecution:
        """Run a command, see ``Engine.execute``."""
        identity = api.exec_create(
            container,
            list(argv),
            stdin=True,
            tty=tty,
            environment={"LDB_HOME": HOME, **environment},
            user=USER,
        )["Id"]
        connection = api.exec_start(identity, socket=True, tty=tty)
        return cls(api, identity, (TerminalStream if tty else MultiplexedStream)(connection))

    def send(self, data: bytes) -> None:
        """Give it input."""
        # It may be busy for long with what it has got already.
        self._stream.send(data, LONG_S)

    def end_input(self) -> None:
        """Tell it that no more input comes."""
        self._stream.end_input()

    def receive(self, timeout_s: float) -> list[tuple[int, bytes]]:
        """Return what it wrote; TimeoutError if that was nothing."""
        return self._stream.receive_frames(timeout_s)

    def resize(self, rows: int, columns: int) -> None:
        """Tell it how large its terminal is, if it has not ended."""
        with suppress(Exception):  # Some of them are the SDK's.
            self._api.exec_resize(self._identity, height=rows, width=columns)

    def status(self) -> int:
        """Return its exit status, when it has ended."""
        deadline = time.monotonic() + ENDING_S
        # The engine closes the streams before it knows the status.
        while (told := self._inspect())["Running"] and time.monotonic() < deadline:
            time.sleep(PAUSE_S)
        return int(told["ExitCode"] or 0)

    def close(self) -> None:
        """Let go of it."""
        self._stream.close()

    def _inspect(self) -> Any:
        try:
            return self._api.exec_inspect(self._identity)
        except Exception as error:
            raise translated("the command", error) from error
