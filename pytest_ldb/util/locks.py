"""Letting one process at a time do something. The only file that locks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WITHOUT_LIMIT = -1.0


@contextmanager
def alone(directory: Path, name: str, timeout_s: float = WITHOUT_LIMIT) -> Iterator[None]:
    """Let one process of this user at a time do what has this name.

    Args:
        directory: For lock files, which stay.
        name: Of what is done.
        timeout_s: The most time to wait.

    Raises:
        TimeoutError: Another process was still at it.
    """
    from filelock import FileLock

    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    # A soft lock would make the dead look alive for ever.
    with FileLock(directory / f"{name}.lock", timeout_s, fallback_to_soft=False):
        yield
