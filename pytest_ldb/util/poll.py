"""Looking again and again until something has happened, or the time is over."""

from __future__ import annotations

import time
from collections.abc import Iterator

from . import clock


def tries(timeout_s: float, *, pause_s: float) -> Iterator[None]:
    """Yield at once, and after every pause until the time is over.

    The loop's body looks, and leaves the loop if it found what it wants::

        for _ in tries(60.0, pause_s=0.02):
            if is_gone(container):
                return

    Args:
        timeout_s: When to give up, counted from the first look.
        pause_s: Time between two looks.
    """
    deadline = clock.monotonic() + timeout_s
    yield
    while clock.monotonic() < deadline:
        time.sleep(pause_s)
        yield
