"""Evidence of how a container ran, collected while it runs."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from ..protocol import Exit
from .errors import if_there
from .log_lines import Chunks, lines_of
from .transport.http import Refused, Transport

LINES_KEPT = 400
UNKNOWN_EXIT = 255

FIRST_PATIENCE_S = 1
LONGEST_PATIENCE_S = 60
"""How long one request waits for the end before the state is read; doubled each time."""


def watched(transport: Transport, container: str, log: Chunks) -> LogWatch:
    """Watch a container, given its log."""
    return LogWatch(
        log,
        wait=lambda: exit_code(transport, container),
        out_of_memory=lambda: bool((_state(transport, container) or {}).get("OOMKilled")),
    )


def exit_code(transport: Transport, container: str) -> int:
    """Wait for a container's next end, and return its exit code.

    Raises:
        OSError: The engine cannot be reached any more.
    """
    patience_s = FIRST_PATIENCE_S
    while True:
        code = _next_exit(transport, container, patience_s)
        if code is not None:
            return code
        # It may have ended before the engine received the request.
        state = _state(transport, container)
        if state is None:
            return UNKNOWN_EXIT
        if state["Status"] in ("exited", "dead"):
            return int(state["ExitCode"])
        patience_s = min(2 * patience_s, LONGEST_PATIENCE_S)


class LogWatch:
    """Reads the log in one thread, and waits for the end in another.

    When a container removes itself, the engine deletes its log and its exit code. Reading both from
    the start keeps them.
    """

    def __init__(
        self, log: Chunks, wait: Callable[[], int], out_of_memory: Callable[[], bool]
    ) -> None:
        self._log = log
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._exit: Exit | None = None
        self._wait = wait
        self._out_of_memory = out_of_memory
        self._ended = threading.Event()
        self._reader = threading.Thread(target=self._read, name="ldb-log", daemon=True)
        self._waiter = threading.Thread(target=self._await, name="ldb-exit", daemon=True)
        self._reader.start()
        self._waiter.start()

    def ended(self, timeout_s: float) -> Exit | None:
        """Wait up to ``timeout_s`` for the end; None if it is still running."""
        self._ended.wait(timeout_s)
        return self._exit

    def log(self, lines: int) -> str:
        """Return the last lines; after the end, none is missing."""
        if self._ended.is_set():
            self._reader.join(1.0)
        return "\n".join(list(self._lines)[-lines:])

    def close(self) -> None:
        """Stop reading; both threads end by themselves."""
        self._log.close()

    def _read(self) -> None:
        self._lines.extend(lines_of(self._log))

    def _await(self) -> None:
        # If the engine cannot be reached any more, the container counts as ended: otherwise a start
        # would wait until its timeout.
        code, out_of_memory = UNKNOWN_EXIT, False
        try:
            code = self._wait()
            out_of_memory = self._was_out_of_memory()
        except Exception:  # noqa: BLE001, S110 - nothing more is known of the container
            pass
        finally:
            self._exit = Exit(code=code, out_of_memory=out_of_memory)
            self._ended.set()

    def _was_out_of_memory(self) -> bool:
        try:
            return self._out_of_memory()
        except Exception:  # noqa: BLE001 - already removed
            return False


def _next_exit(transport: Transport, container: str, timeout_s: int) -> int | None:
    """Wait up to ``timeout_s`` for the next end; None if there was none."""
    target = f"/containers/{quote(container)}/wait?condition=next-exit"
    try:
        return int(transport.request("POST", target, timeout_s=timeout_s)["StatusCode"])
    except Refused:  # It removed itself before this request.
        return UNKNOWN_EXIT
    except OSError:  # Timeout, or the connection was lost.
        return None


def _state(transport: Transport, container: str) -> Any:
    there = if_there(transport, "GET", f"/containers/{quote(container)}/json")
    return there and there["State"]
