"""Reports slow operations: after 1 s, 5 s, 15 s, 45 s and so on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

FIRST_S = 1.0
SECOND_S = 5.0
LOOK_EVERY_S = 0.1


class Progress:
    """Decides when to report how long an operation takes that begins now.

    Args:
        tell: Called with the moment that is due and with the time that has passed, both in seconds;
            returns whether that was reported, by this process or another one.
        now: The clock.
    """

    def __init__(
        self, tell: Callable[[float, float], bool], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell = tell
        self._now = now
        self._began = now()
        self._moment = FIRST_S

    def look(self) -> None:
        """Report if that is due."""
        seconds = self._now() - self._began
        while _after(self._moment) <= seconds:
            self._moment = _after(self._moment)
        if seconds >= self._moment and self._tell(self._moment, seconds):
            while self._moment < seconds + FIRST_S:  # Moments that this report covers.
                self._moment = _after(self._moment)


@contextmanager
def telling(what: str, say: Callable[[str], None]) -> Iterator[None]:
    """Report how long the block takes, from another thread.

    Nothing is reported after the block has ended.
    """

    def tell(_: float, seconds: float) -> bool:
        say(f"{what}, {seconds:.0f} s")
        return True

    progress, done = Progress(tell), threading.Event()

    def watch() -> None:
        while not done.wait(LOOK_EVERY_S):
            progress.look()

    thread = threading.Thread(target=watch, name="ldb-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _after(moment: float) -> float:
    return max(SECOND_S, 3 * moment)
