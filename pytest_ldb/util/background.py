"""Background tasks whose results are fetched later."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Generic, TypeVar

from . import clock
from .forks import THREADS, fork_between_imports

PATIENCE_S = 1.0
"""A wait that takes longer than this is worth a line to the user."""

T = TypeVar("T")


class BackgroundTasks(Generic[T]):
    """Runs named tasks in threads, each once, and remembers how they ended, errors included."""

    def __init__(self) -> None:
        self._futures: dict[str, Future[T]] = {}
        self._traces: dict[str, TracebackType | None] = {}
        self._waits_since = float("inf")

    def is_awaited(self) -> bool:
        """Whether :meth:`result` has been waiting for a task for at least `PATIENCE_S`."""
        return clock.monotonic() - self._waits_since >= PATIENCE_S

    def begin(self, name: str, work: Callable[[], T]) -> None:
        """Begin a task, unless one of this name has been begun."""
        if name in self._futures:
            return
        future = self._futures[name] = Future()

        def run() -> None:
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                future.set_exception(error)

        fork_between_imports()
        threading.Thread(target=run, name=f"{THREADS}{name}", daemon=True).start()

    def result(self, name: str, work: Callable[[], T]) -> T:
        """Return the result of a task, which is begun if it has not been.

        If the wait is interrupted, for example by Ctrl-C, the task goes on.

        Raises:
            BaseException: What the task raised; each call raises the same object.
        """
        self.begin(name, work)
        future = self._futures[name]
        self._waits_since = clock.monotonic()
        try:
            error = future.exception()
        finally:
            self._waits_since = float("inf")
        if error is None:
            return future.result()
        # Without this the traceback would grow by the frames of each caller.
        raise error.with_traceback(self._traces.setdefault(name, error.__traceback__))

    def results(self) -> list[T]:
        """Return the results of all tasks that have succeeded."""
        done = [future for future in self._futures.values() if future.done()]
        return [future.result() for future in done if future.exception() is None]

    def pending(self) -> set[str]:
        """Return the names of the tasks that have not ended."""
        return {name for name, future in self._futures.items() if not future.done()}

    def give_up(self, let_go: Callable[[T], None]) -> None:
        """Forget all tasks; each result is given to ``let_go``, now or when its task has ended."""

        def release(future: Future[T]) -> None:
            if future.exception() is None:
                let_go(future.result())

        for future in self._futures.values():
            future.add_done_callback(release)
        self._futures.clear()
        self._traces.clear()
