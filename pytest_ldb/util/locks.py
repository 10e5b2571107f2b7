"""Locks between the processes of a user. The only module that takes any."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WITHOUT_LIMIT = -1.0


@contextmanager
def alone(directory: Path, name: str, timeout_s: float = WITHOUT_LIMIT) -> Iterator[None]:
    """Hold the lock of this name, which one process at a time can have.

    The locks only save work: engines refuse a second container of one name. So where a file cannot
    be locked (its file system has no locks, or it belongs to another user), no lock is held.

    Args:
        directory: For lock files, which are not removed.
        name: The name of the lock.
        timeout_s: The most time to wait.

    Raises:
        TimeoutError: Another process held it all the time.
    """
    from filelock import FileLock

    # A soft lock is the existence of a file, which a killed process would leave locked.
    lock = FileLock(directory / f"{name}.lock", timeout_s, fallback_to_soft=False)
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock.acquire()
    except TimeoutError:
        raise
    except (OSError, NotImplementedError):
        yield
        return
    try:
        yield
    finally:
        lock.release()
