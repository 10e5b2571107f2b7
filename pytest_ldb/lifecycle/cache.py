"""Which cache of initialised servers there are: images whose data is put into memory.

An image is used only if a file of this user says so, which is written when the image has been
made from a server that was stopped cleanly, and when a server made from it has answered.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..engines.protocol import Image
from ..model.credentials import user_mark
from ..model.errors import hidden
from ..model.request import CreateInstanceRequest

__tracebackhide__ = hidden

SCHEMA = "1"
"""Raised whenever a cached made by an older version must not be used by this one."""

DAY_S = 24 * 3600.0

CI = ("CI", "BUILD_NUMBER", "TF_BUILD")
"""Variables that services for continuous integration set; most throw their machines away."""


@dataclass(frozen=True, kw_only=True)
class CachedServer:
    """An initialised server, remembered.

    Args:
        key: Tells what it answers: request, user, engine.
        image: The id of the image that holds the data.
        type: The type of database.
        base: The reference that the request named.
        base_id: The id that this reference had.
        engine: Where the image is.
        failure: Why there is no image, if it could not be made.
    """

    key: str
    image: str
    type: str
    base: str
    base_id: str
    engine: str
    failure: str = ""


@dataclass(frozen=True)
class ServerCache:
    """The cache of one user on one engine.

    Args:
        directory: Where the user's files about them are.
        secret: The user's; the passwords in the data derive from it.
        engine: The address of the engine.
        mode: ``auto``, ``always`` (on machines for continuous integration too), or ``never``.
        wanted: What :meth:`want` was told.
    """

    directory: Path
    secret: bytes = field(repr=False)
    engine: str
    mode: str = "auto"
    wanted: list[tuple[CreateInstanceRequest, Image]] = field(default_factory=list)

    def find(self, request: CreateInstanceRequest) -> str | None:
        """Return the id of the image to use for a request, if there is one."""
        if self.mode == "never" or not request.cached:
            return None
        cached = self.read(self.key(request))
        if cached is None or not cached.image:
            return None
        with suppress(OSError):
            os.utime(self._file(cached.key))  # Those that nobody uses are removed some day.
        return cached.image

    def want(self, request: CreateInstanceRequest, image: Image) -> None:
        """Have a cached made later, if that is worth it here."""
        here = self.mode == "always" or not any(os.environ.get(name) for name in CI)
        if self.mode == "never" or not here or not request.cached or not image.volumes:
            return
        if self.read(self.key(request)) is None:
            self.wanted.append((request, image))

    def want_no_more(self, request: CreateInstanceRequest) -> None:
        """Take :meth:`want` back."""
        self.wanted[:] = [wanted for wanted in self.wanted if wanted[0] is not request]

    def key(self, request: CreateInstanceRequest) -> str:
        """Return what tells the cache of different requests apart, 16 hex digits."""
        told = json.dumps([SCHEMA, self.engine, request.fingerprint])
        return hmac.new(self.secret, told.encode(), hashlib.sha256).hexdigest()[:16]

    @property
    def user(self) -> str:
        """Tells the user's images from those of others on the same engine."""
        return user_mark(self.secret)

    def add(self, cached: CachedServer) -> None:
        """Have a cached used from now on."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self.directory / f"{cached.key}.new"
        draft.write_text(json.dumps(asdict(cached)))
        draft.replace(self._file(cached.key))

    def forget(self, key: str) -> None:
        """Have a cached not used any more."""
        with suppress(OSError):
            self._file(key).unlink()

    def read(self, key: str) -> CachedServer | None:
        """Return what is known of a cached; nothing if that cannot be read."""
        try:
            told: Mapping[str, str] = json.loads(self._file(key).read_text())
            return CachedServer(**told)
        except (OSError, ValueError, TypeError):
            return None

    def known(self) -> Iterator[tuple[CachedServer, float]]:
        """Yield the cache on this engine, and for how many seconds nobody has used them."""
        for file in sorted(self.directory.glob("*.json")):
            cached = self.read(file.stem)
            if cached is not None and cached.engine == self.engine:
                with suppress(OSError):
                    yield cached, time.time() - file.stat().st_mtime

    def need_work(self) -> bool:
        """Whether any are wanted, or it is time to look for old ones; asking counts as looking."""
        return bool(self.wanted) or self._is_time_to_look()

    def _is_time_to_look(self) -> bool:
        mark = self.directory / "looked"
        try:
            due = time.time() - mark.stat().st_mtime > DAY_S
        except FileNotFoundError:
            due = self.directory.exists()
        if due:
            with suppress(OSError):
                mark.touch()
        return due

    def _file(self, key: str) -> Path:
        return self.directory / f"{key}.json"
