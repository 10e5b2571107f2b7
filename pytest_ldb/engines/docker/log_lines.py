"""Lines of a log that arrives in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol


class Chunks(Protocol):
    """A log in pieces, cut anywhere."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces; to be called once."""

    def close(self) -> None:
        """End it, from another thread too."""


class LogLines:
    """The lines of a log, as they come."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[str]:
        return lines_of(self._chunks)

    def close(self) -> None:
        """End it, also for a thread that is waiting for more."""
        self._chunks.close()


def lines_of(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield complete lines, and at the end an incomplete one."""
    rest = b""
    try:
        for chunk in chunks:
            *complete, rest = (rest + chunk).split(b"\n")
            yield from (line.decode(errors="replace").rstrip() for line in complete)
    except Exception:  # noqa: BLE001, S110 - the connection was lost; what was read counts
        pass
    if rest:
        yield rest.decode(errors="replace")
