"""Fresh databases, made in the background: a test takes one, and a thread makes the next.

:func:`next_step` decides what the thread does: it makes databases as long as tests are going to
ask for them, and drops used ones in between. Dropping comes first if there are too many of them,
if space is short, or where used ones can be reset.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic, Protocol, TypeVar

from ..model.errors import LdbError, ShellLost, hidden
from ..util import clock

__tracebackhide__ = hidden

MOST_READY = 8
"""Never keep more databases ready than this; each takes space."""

MOST_AGAIN = 3
"""The same where used ones are reset: one is in use, one is being reset."""

MOST_USED = 16
"""With this many used ones, drop one before another one is made."""

D = TypeVar("D")


class Step(Enum):
    """What the pool's thread does next."""

    MAKE = auto()
    PUT_BACK = auto()
    GIVE_UP_FAILED = auto()
    """Drop a database of a failed test, since space is short."""
    WAIT = auto()
    STOP = auto()


@dataclass(frozen=True, kw_only=True)
class PoolState:
    """What the next step depends on.

    Args:
        ready: How many databases can be taken.
        used: How many are to be reset or dropped.
        failed: How many were kept for failed tests.
        waiting: How many tests wait for one.
        expected: How many tests are going to ask for one.
        wanted: How many should be ready for them.
        prefers_used: Whether resetting a used one is faster than making one.
        short: Whether space is short.
        error: Whether making one failed, and no test has raised the error yet.
        closed: Whether the run is ending.
    """

    ready: int = 0
    used: int = 0
    failed: int = 0
    waiting: int = 0
    expected: int = 0
    wanted: int = 1
    prefers_used: bool = False
    short: bool = False
    error: bool = False
    closed: bool = False


def next_step(state: PoolState) -> Step:
    """Decide what the pool's thread does next."""
    if state.closed:
        return Step.STOP
    ahead = min(1 if state.short else state.wanted, state.expected)
    lacks = not state.error and state.ready < max(ahead, state.waiting)
    most_used = 1 if state.short or state.prefers_used else MOST_USED
    if state.used >= (most_used if lacks else 1):
        return Step.PUT_BACK
    if state.short and state.failed:
        return Step.GIVE_UP_FAILED
    return Step.MAKE if lacks else Step.WAIT


class DatabaseSource(Protocol[D]):
    """Makes and drops databases; used from the pool's thread."""

    @property
    def prefers_used(self) -> bool:
        """Whether resetting a used one is faster than making one."""

    def make(self) -> D:
        """Return a new one."""

    def put_back(self, database: D, /) -> bool:
        """Reset a used one, or drop it; return whether it can be used again."""

    def is_short(self) -> bool:
        """Whether space is short; called after each that was made, reset or dropped."""


class Pool(Generic[D]):
    """Hands out databases, and takes them back.

    Args:
        source: Makes and drops them.
        expected: How many tests are going to take one. Further tests wait while one is made.
        say: Shows a line to the user. It is called in the threads that call the pool, not in the
            pool's own: a test may be running, whose output is being captured.

    Attributes:
        waits: How many tests have waited how many seconds, to two digits, so that this stays small.
    """

    def __init__(
        self, source: DatabaseSource[D], expected: int, say: Callable[[str], None]
    ) -> None:
        self.waits: Counter[float] = Counter()
        self._source = source
        self._prefers_used = source.prefers_used
        self._say = say
        self._changed = threading.Condition()  # Guards what follows.
        self._lines: list[str] = []
        self._ready: deque[D] = deque()
        self._used: deque[D] = deque()
        self._failed: deque[D] = deque()
        self._waiting = 0
        self._expected = expected
        self._wanted = 1
        self._short = False
        self._error: BaseException | None = None
        self._closed = False
        self._thread: threading.Thread | None = None

    def take(self) -> D:
        """Return a database that no test has used, or that has been reset.

        Raises:
            Exception: Making one failed.
        """
        began = clock.monotonic()
        try:
            with self._changed:
                database = self._take()
        finally:
            self._show_lines()
        self.waits[float(f"{clock.monotonic() - began:.1e}")] += 1
        return database

    def give_back(self, database: D) -> None:
        """Take back a database that a test has used, to be reset or dropped."""
        with self._changed:
            self._used.append(database)
            self._changed.notify_all()
        self._show_lines()

    def keep(self, database: D) -> None:
        """Take back a database of a test that failed; it is dropped only if space is short."""
        with self._changed:
            self._failed.append(database)
            self._changed.notify_all()

    def release(self, database: D) -> None:
        """Do not keep a database of a failed test any longer, as the test is run again."""
        with self._changed:
            if database in self._failed:
                self._failed.remove(database)
                self._used.append(database)
                self._changed.notify_all()

    def expect_no_more(self) -> None:
        """Make no databases in advance from now on."""
        with self._changed:
            self._expected = 0

    def close(self) -> None:
        """Make and drop nothing any more. Does not wait for the operation in progress."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._show_lines()

    def _take(self) -> D:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="ldb-pool", daemon=True)
            self._thread.start()
        self._expected -= 1
        if not self._ready:
            # Tests come faster than databases, or this is the first one.
            most = MOST_AGAIN if self._prefers_used else MOST_READY
            self._wanted = min(2 * self._wanted, most)
        if isinstance(self._error, LdbError):
            self._error = None  # It happened in the background; try again for this test.
        self._waiting += 1
        self._changed.notify_all()
        try:
            self._changed.wait_for(lambda: self._ready or self._error or self._closed)
        finally:
            self._waiting -= 1
            self._changed.notify_all()
        if self._ready:
            return self._ready.popleft()
        error, self._error = self._error, None
        raise error or ShellLost("the pool of databases", "it is closed, as the run is ending")

    def _work(self) -> None:
        while (step := self._awaited_step()) is not Step.STOP:
            self._carry_out(step)

    def _awaited_step(self) -> Step:
        with self._changed:
            while (step := next_step(self._state)) is Step.WAIT:
                self._changed.wait()
            return step

    @property
    def _state(self) -> PoolState:
        return PoolState(
            ready=len(self._ready),
            used=len(self._used),
            failed=len(self._failed),
            waiting=self._waiting,
            expected=self._expected,
            wanted=self._wanted,
            prefers_used=self._prefers_used,
            short=self._short,
            error=self._error is not None,
            closed=self._closed,
        )

    def _carry_out(self, step: Step) -> None:
        try:
            if step is Step.GIVE_UP_FAILED:
                self._give_up_failed()
                return
            if step is Step.MAKE:
                self._offer(self._source.make())
            else:
                self._put_back()
            short = self._source.is_short()
        except BaseException as error:  # noqa: BLE001 - otherwise a test would wait for ever
            with self._changed:
                self._error = error
                self._changed.notify_all()
        else:
            with self._changed:
                self._short = short

    def _give_up_failed(self) -> None:
        with self._changed:
            database = self._failed.popleft()
            self._used.append(database)
            self._lines.append(f"dropping {database!r} of a failed test, as space is short")

    def _put_back(self) -> None:
        with self._changed:
            database = self._used.popleft()
        try:
            is_usable = self._source.put_back(database)
        except LdbError as error:
            with self._changed:
                self._lines.append(f"a database could not be dropped. {error}")
        else:
            if is_usable:
                self._offer(database)

    def _offer(self, database: D) -> None:
        with self._changed:
            self._ready.append(database)
            self._changed.notify_all()

    def _show_lines(self) -> None:
        with self._changed:
            lines, self._lines = self._lines, []
        for line in lines:
            self._say(line)
