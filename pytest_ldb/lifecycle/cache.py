"""The cache of initialised data: images whose data is copied into memory when a server starts.

An image is used only if a file of this user names it. The file is written after the image was made
from a server that was stopped cleanly, and after a server with its data has answered.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..model.errors import hidden
from ..model.request import CreateInstanceRequest
from ..util import clock
from ..util.files import write_atomically
from .planner import ResolvedServer

__tracebackhide__ = hidden

SCHEMA = "1"
"""Raised whenever an entry made by an older version must not be used by this one."""

REPOSITORY = "pytest-ldb-cache"
"""What the cached images are called; the tag is the key of the entry."""

DAY_S = 24 * 3600.0

CI = ("CI", "BUILD_NUMBER", "TF_BUILD")
"""Variables that CI services set. Most discard the machine after the run, and the cache with it."""


def first_line(failure: str) -> str:
    """Return what failed, without the evidence."""
    return failure.partition("\n")[0].rstrip(".")


@dataclass(frozen=True, kw_only=True)
class CachedServer:
    """An entry of the cache.

    Args:
        key: Of the request that it answers, for this user and engine.
        image: The id of the image that holds the data.
        type: The database type.
        base: The reference that the request named.
        base_id: The id that this reference had.
        engine: The address of the engine that has the image.
        failure: Why there is no image; empty if there is one.
        passing: Whether that was no fault of the server, so that the next run tries again.
    """

    key: str
    image: str
    type: str
    base: str
    base_id: str
    engine: str
    failure: str = ""
    passing: bool = False


@dataclass(frozen=True)
class ServerCache:
    """The cache of one user on one engine.

    Args:
        directory: The directory of the entries.
        user: The user's mark; passwords in the data are derived from the same secret.
        engine: The address of the engine.
        mode: ``auto``, ``always`` (on CI machines too), or ``never``.
        is_discarded: Whether the directory, and the user's secret in it, is removed after the run.
        wanted: The servers that :meth:`want` was called with.
    """

    directory: Path
    user: str
    engine: str
    mode: str = "auto"
    is_discarded: Callable[[], bool] = bool
    wanted: list[ResolvedServer] = field(default_factory=list)

    def find(self, request: CreateInstanceRequest) -> str | None:
        """Return the id of the image to use for a request, if there is one."""
        if self.mode == "never" or not request.cached:
            return None
        entry = self.read(self.key(request))
        if entry is None or not entry.image:
            return None
        with suppress(OSError):
            os.utime(self._file(entry.key))  # The time of the last use, for `known`.
        return entry.image

    def want(self, server: ResolvedServer) -> None:
        """Request an entry for a server; it is made after the run, if the mode allows that."""
        in_memory = server.request.cached and server.spec.memory_volumes
        if self.mode == "never" or self._hindrance() or not in_memory:
            return
        entry = self.read(self.key(server.request))
        if entry is None or entry.passing:
            self.wanted.append(server)

    def why_not(self, server: ResolvedServer) -> str:
        """Return why there is no image for a server; empty if the cache is not to have one."""
        if self.mode == "never" or not server.request.cached:
            return ""
        if not server.spec.memory_volumes:
            return "its image declares no volume, so it is not known what to cache"
        entry, hindrance = self.read(self.key(server.request)), self._hindrance()
        if entry is None:
            return hindrance or "no copy of it is cached yet"
        again = "the next run tries again" if entry.passing else "it is tried again after a day"
        return f"it could not be cached: {first_line(entry.failure)} ({again})"

    def _hindrance(self) -> str:
        """Return why nothing is added to the cache here; empty if nothing hinders that."""
        if self.is_discarded():
            return f"{self.directory} goes with this container; it would have to be on a volume"
        variable = next((name for name in CI if os.environ.get(name)), "")
        if self.mode == "always" or not variable:
            return ""
        return f"{variable} is set; --ldb-cache=always caches servers nevertheless"

    def want_no_more(self, server: ResolvedServer) -> None:
        """Undo :meth:`want`."""
        self.wanted[:] = [wanted for wanted in self.wanted if wanted is not server]

    def key(self, request: CreateInstanceRequest) -> str:
        """Return the key of a request, 16 hex digits; entries of other users have other keys."""
        parts = json.dumps([SCHEMA, self.user, self.engine, request.fingerprint])
        return hashlib.sha256(parts.encode()).hexdigest()[:16]

    def add(self, entry: CachedServer) -> None:
        """Add an entry, or replace it."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(self._file(entry.key), json.dumps(asdict(entry)))

    def forget(self, key: str) -> None:
        """Remove an entry; its image becomes stale."""
        with suppress(OSError):
            self._file(key).unlink()

    def read(self, key: str) -> CachedServer | None:
        """Return an entry; None if there is none, or if it cannot be read."""
        try:
            values: Mapping[str, Any] = json.loads(self._file(key).read_text())
            return CachedServer(**values)
        except (OSError, ValueError, TypeError):
            return None

    def known(self) -> Iterator[tuple[CachedServer, float]]:
        """Yield the entries on this engine, and for how many seconds each has not been used."""
        for file in sorted(self.directory.glob("*.json")):
            entry = self.read(file.stem)
            if entry is not None and entry.engine == self.engine:
                with suppress(OSError):
                    yield entry, clock.since_1970() - file.stat().st_mtime

    def need_work(self) -> bool:
        """Whether entries are wanted, or a day has passed since old ones were looked for.

        A call counts as looking for old ones, so without wanted entries it is true once a day.
        """
        return bool(self.wanted) or self._is_time_to_look()

    def _is_time_to_look(self) -> bool:
        mark = self.directory / "looked"
        try:
            due = clock.since_1970() - mark.stat().st_mtime > DAY_S
        except FileNotFoundError:
            due = self.directory.exists()
        if due:
            with suppress(OSError):
                mark.touch()
        return due

    def _file(self, key: str) -> Path:
        return self.directory / f"{key}.json"
