"""Fresh databases ahead of need: a test takes one from a queue, and a thread makes the next.

What the thread does first is decided in one place, `_next`: databases are made as long as tests
are going to ask for them, and used ones dropped in between. When there are too many of those, or
space is short, dropping comes first; so it does where used ones can be put back.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from ..model.errors import LdbError, ShellLost, hidden

__tracebackhide__ = hidden

MOST_READY = 8
"""Never keep more databases ready than this; each takes space."""

MOST_AGAIN = 3
"""Nor more than this where used ones are put back: one is in use, one is being put back."""

MOST_USED = 16
"""Drop before anything else is made when so many wait for it."""

LOOK_AFTER = 16
"""Look how much space is taken each time that so many have been made, as long as it is little."""

LITTLE, MUCH = 0.25, 0.5
"""The parts of it above which to look each time, and to have as few databases as possible."""

D = TypeVar("D")


class DatabaseSource(Protocol[D]):
    """Makes and drops databases; used from the pool's thread."""

    def make(self) -> D:
        """Return one that no test has seen."""

    @property
    def prefers_used(self) -> bool:
        """Whether putting a used one back is faster than making one."""

    def put_back(self, database: D, /) -> bool:
        """Make a used one as good as new, or drop it; return whether it can be used again."""

    def space_taken(self) -> float:
        """Return which part of the space there is is taken, from 0 to 1."""


class Pool(Generic[D]):
    """DatabaseCommands out databases, and takes them back.

    Args:
        maker: Makes and drops them.
        expected: How many tests are going to ask. More may ask; those wait while one is made.
        say: Takes a line for the user.

    Attributes:
        waits: How many tests have waited how many seconds, to two digits, so that this stays small.
    """

    def __init__(self, maker: DatabaseSource[D], expected: int, say: Callable[[str], None]) -> None:
        self.waits: Counter[float] = Counter()
        self._maker = maker
        self._say = say
        self._changed = threading.Condition()
        self._ready: deque[D] = deque()
        self._used: deque[D] = deque()
        self._failed: deque[D] = deque()
        self._expected = expected
        self._wanted = 1
        self._waiting = 0
        self._looks_after = 1
        self._short = False
        self._closed = False
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None

    def take(self) -> D:
        """Return a database that no test has seen.

        Raises:
            Exception: What making one raised.
        """
        began = time.monotonic()
        database = self._take()
        self.waits[float(f"{time.monotonic() - began:.1e}")] += 1
        return database

    def give_back(self, database: D) -> None:
        """Take a database that a test has used, to be dropped."""
        with self._changed:
            self._used.append(database)
            self._changed.notify_all()

    def keep(self, database: D) -> None:
        """Take a database of a test that failed; it is dropped only if space is short."""
        with self._changed:
            self._failed.append(database)

    def expect_no_more(self) -> None:
        """Make no more than are asked for from now on."""
        with self._changed:
            self._expected = 0

    def close(self) -> None:
        """Make and drop nothing any more. Does not wait for what is under way."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take(self) -> D:
        with self._changed:
            self._begin()
            self._expected -= 1
            if not self._ready:
                # Tests come faster than databases, or this is the first one.
                most = MOST_AGAIN if self._maker.prefers_used else MOST_READY
                self._wanted = min(2 * self._wanted, most)
            self._error = None  # Nobody was waiting then; it is tried again for this test.
            self._waiting += 1
            self._changed.notify_all()
            try:
                self._changed.wait_for(lambda: self._ready or self._error or self._closed)
            finally:
                self._waiting -= 1
            return self._taken()

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="ldb-pool", daemon=True)
            self._thread.start()

    def _taken(self) -> D:
        if self._ready:
            database = self._ready.popleft()
            self._changed.notify_all()
            return database
        error, self._error = self._error, None
        raise error or ShellLost("the queue of databases", "it is closed, as the run ends")

    def _work(self) -> None:
        while (step := self._next()) is not None:
            step()

    def _next(self) -> Callable[[], None] | None:
        """Wait until there is something to do and return it; None at the end."""
        with self._changed:
            while not self._closed:
                if len(self._used) >= self._most_used or (self._used and not self._is_lacking):
                    return self._put_back
                if self._short and self._failed:
                    return self._give_up
                if self._is_lacking:
                    return self._make
                self._changed.wait()
        return None

    @property
    def _is_lacking(self) -> bool:
        """Whether one should be made: somebody waits, or tests are left and few are ready."""
        if self._error is not None:
            return False
        wanted = 1 if self._short else self._wanted
        ahead = min(wanted, max(self._expected, 0))
        return len(self._ready) < max(ahead, self._waiting)

    @property
    def _most_used(self) -> int:
        return 1 if self._short or self._maker.prefers_used else MOST_USED

    def _make(self) -> None:
        try:
            database = self._maker.make()
            self._looks_after -= 1
            if self._looks_after <= 0:
                self._look()
        except Exception as error:  # noqa: BLE001 - it belongs to the test that asks
            with self._changed:
                self._error = error
                self._changed.notify_all()
        else:
            self._offer(database)

    def _offer(self, database: D) -> None:
        with self._changed:
            self._ready.append(database)
            self._changed.notify_all()

    def _look(self) -> None:
        taken = self._maker.space_taken()
        self._short = taken > MUCH
        self._looks_after = LOOK_AFTER if taken < LITTLE else 1

    def _put_back(self) -> None:
        with self._changed:
            database = self._used.popleft()
        try:
            again = self._maker.put_back(database)
            if self._short:
                self._look()
        except LdbError as error:
            again = False
            if not self._closed:
                self._say(f"a database could not be dropped. {error}")
        if again:
            self._offer(database)

    def _give_up(self) -> None:
        with self._changed:
            database = self._failed.popleft()
            self._used.append(database)
        self._say(f"space is short, so {database!r} of a test that failed is dropped")
