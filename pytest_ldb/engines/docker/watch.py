"""Evidence of how a container ran, collected as it happens."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..protocol import Exit
from .log_lines import lines_of

LINES_KEPT = 400
UNKNOWN_EXIT = 255

FIRST_PATIENCE_S = 1
LONGEST_PATIENCE_S = 60


def exit_code(
    next_exit: Callable[[int], int | None], state: Callable[[], Mapping[str, Any]]
) -> int:
    """Wait for a container's next end, and return its exit code.

    Args:
        next_exit: Waits so many seconds for that; None when they are over.
        state: The engine's words for its state now.
    """
    patience_s = FIRST_PATIENCE_S
    while True:
        code = next_exit(patience_s)
        if code is not None:
            return code
        # It may have ended before the engine heard that we wait.
        now = state()
        if now["Status"] in ("exited", "dead"):
            return int(now["ExitCode"])
        patience_s = min(2 * patience_s, LONGEST_PATIENCE_S)


class LogWatch:
    """Two threads: one reads the log, one waits for the end.

    A container that removes itself takes its log and its exit code along; both are here before.
    """

    def __init__(
        self,
        log: Iterable[bytes],
        wait: Callable[[], int],
        out_of_memory: Callable[[], bool],
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
        """Return how it ended, waiting at most so long; None while it runs."""
        self._ended.wait(timeout_s)
        return self._exit

    def log(self, lines: int) -> str:
        """Return the last lines; after the end, all that there were."""
        if self._ended.is_set():
            self._reader.join(1.0)
        return "\n".join(list(self._lines)[-lines:])

    def close(self) -> None:
        """Stop reading; both threads end by themselves."""
        close = getattr(self._log, "close", None)
        if close is not None:
            close()

    def _read(self) -> None:
        self._lines.extend(lines_of(self._log))

    def _await(self) -> None:
        try:
            code = self._wait()
            out_of_memory = self._was_out_of_memory()
        except Exception:  # noqa: BLE001 - the engine went away: nothing is known of the container
            return
        self._exit = Exit(code=code, out_of_memory=out_of_memory)
        self._ended.set()

    def _was_out_of_memory(self) -> bool:
        try:
            return self._out_of_memory()
        except Exception:  # noqa: BLE001 - already removed
            return False
