"""Records when the first test of a process begins and when the session ends.

start.py copies this plugin beside the tests. It writes one file per process into MARKS.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

MARKS = "START_MARKS"
PATIENCE_S = 120.0
LOOK_EVERY_S = 0.02


@dataclass(frozen=True)
class Marks:
    """The times of one process, on the clock that all processes share."""

    first: float
    """The first line of its first test."""
    left: float
    """The last line of its last test."""
    over: float
    """All fixtures were torn down."""


def first() -> None:
    """Record that a test begins; workers wait for each other, so that none ends before all run.

    They poll rarely, so that waiting workers do not slow down starting ones.
    """
    _note("first")
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    patience = time.monotonic() + PATIENCE_S
    while len(list(_folder().iterdir())) < workers and time.monotonic() < patience:
        time.sleep(LOOK_EVERY_S)


def left() -> None:
    """Record that a test ends."""
    _note("left")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    if _file().exists():  # the controller of workers runs no test
        _note("over")


def read(folder: Path) -> list[Marks]:
    """Return the times of the processes of a run: of its first and its last test."""
    found = []
    for file in sorted(folder.iterdir()):
        lines = [line.split() for line in file.read_text().splitlines()]
        firsts, *others = (
            [float(at) for what, at in lines if what == name] for name in ("first", "left", "over")
        )
        found.append(Marks(firsts[0], *(times[-1] for times in others)))
    return found


def _note(what: str) -> None:
    at = time.monotonic()
    with _file().open("a") as file:
        file.write(f"{what} {at}\n")


def _file() -> Path:
    return _folder() / os.environ.get("PYTEST_XDIST_WORKER", "only")


def _folder() -> Path:
    return Path(os.environ[MARKS])
