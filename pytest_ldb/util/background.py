"""Work that is begun before somebody asks for its result."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, TimeoutError  # noqa: A004 - not the built-in one before 3.11
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

LOOK_EVERY_S = 0.1
PATIENCE_S = 1.0

T = TypeVar("T")


class BackgroundTasks(Generic[T]):
    """Runs work in threads, each piece once, and commands its result to whoever needs it.

    Args:
        say: Takes a line for the user. It is called in the thread that made this object only, and
            only while that waits: otherwise a test may be running, whose output is being captured.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._owner = threading.get_ident()
        self._begun: dict[str, Future[T]] = {}
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._waits_since = float("inf")

    def say(self, line: str) -> None:
        """Show a line to the user, at once or as soon as somebody waits."""
        if threading.get_ident() == self._owner:
            self._say(line)
        else:
            self._lines.put(line)

    def is_awaited(self) -> bool:
        """Whether somebody has waited for a while now, for this thread or another one."""
        own = threading.get_ident() == self._owner
        return own or time.monotonic() - self._waits_since >= PATIENCE_S

    def begin(self, name: str, work: Callable[[], T]) -> None:
        """Begin a piece of work, unless it has been begun."""
        if name in self._begun:
            return
        future = self._begun[name] = Future()

        def run() -> None:
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                future.set_exception(error)

        threading.Thread(target=run, name=f"ldb-{name}", daemon=True).start()

    def result(self, name: str, work: Callable[[], T]) -> T:
        """Return the result of work that was begun, or do it now.

        Work that failed raises its error once; the next one who asks does it again.
        """
        future = self._begun.get(name)
        if future is None:
            return work()
        self._wait(future)
        del self._begun[name]
        return future.result()

    def results(self) -> list[T]:
        """Return the results that are there and that nobody has asked for."""
        done = [future for future in self._begun.values() if future.done()]
        return [future.result() for future in done if future.exception() is None]

    def pending(self) -> set[str]:
        """Return the names of the pieces that are being worked on."""
        return {name for name, future in self._begun.items() if not future.done()}

    def give_up(self, let_go: Callable[[T], None]) -> None:
        """Let go of every result that nobody has asked for, now or when it is there."""

        def release(future: Future[T]) -> None:
            if future.exception() is None:
                let_go(future.result())

        for future in self._begun.values():
            future.add_done_callback(release)
        self._begun.clear()

    def _wait(self, future: Future[T]) -> None:
        self._waits_since = time.monotonic()
        try:
            while not future.done():
                with suppress(TimeoutError):
                    future.exception(LOOK_EVERY_S)
                self._show_lines()
        finally:
            self._waits_since = float("inf")
        self._show_lines()

    def _show_lines(self) -> None:
        with suppress(Empty):
            while True:
                self._say(self._lines.get_nowait())
