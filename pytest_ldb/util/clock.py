"""Clocks that go on while a test has stopped those of its program.

freezegun replaces the functions of `time` and the classes of `datetime` in all modules, so a
deadline of ours would never come, and a server would seem to be years old.
"""

from __future__ import annotations

import time
from datetime import datetime, timezone

_REAL = (time.monotonic, time.time)
"""Inside a tuple, as freezegun looks through the names of a module only."""


def monotonic() -> float:
    """Return the seconds since some moment; the clock is never set."""
    return _REAL[0]()


def since_1970() -> float:
    """Return the seconds since 1970."""
    return _REAL[1]()


def now() -> datetime:
    """Return the present time in UTC."""
    return datetime.fromtimestamp(since_1970(), timezone.utc)
