"""Start servers for tests, as the fixtures do."""

from __future__ import annotations

import os
import secrets
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from ..engines.protocol import Engine
from ..lifecycle.cache import ServerCache
from ..lifecycle.cache_builder import CacheBuilder
from ..lifecycle.commands import Lifecycle
from ..lifecycle.lease import Lease
from ..lifecycle.planner import Planner
from ..lifecycle.shared import SharedServers
from ..model.credentials import UserIdentity
from ..model.database_type import DatabaseType
from ..model.request import LABEL, Scope
from ..model.settings import Settings
from ..util.env import variable_for
from .processes import wait_until


@dataclass
class Servers:
    """Starts servers, which are removed after the tests of the class.

    Args:
        engine: The engine that runs the servers.
        directory: State directory of the user.
        run: Id of the run.
        leases: The leases that :meth:`obtain` has returned.
        cache: As in ``Settings``; missing entries are created immediately.
        identity: The user who owns the servers.
    """

    engine: Engine
    directory: Path
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    leases: list[Lease] = field(default_factory=list)
    cache: str = "never"
    identity: UserIdentity = field(
        default_factory=lambda: UserIdentity(secrets.token_bytes(32)), repr=False
    )

    def obtain(self, database_type: DatabaseType, *, durable: bool = False) -> Lease:
        """Return a lease on the server; calls with equal arguments share a server."""
        server = self._planner(database_type, durable=durable).shared(database_type)
        cache = self._cache
        shared = SharedServers(
            engine=self.engine,
            cache=cache,
            directory=self.directory / "locks",
            timeout_s=60.0,
            recreate=False,
            say=print,
        )
        lease = shared.obtain(server)
        CacheBuilder(self.engine, cache, self.directory / "locks", 60.0).build()
        self.leases.append(lease)
        return lease

    def lifecycle(self, database_type: DatabaseType) -> Lifecycle:
        """Return the lifecycle commands."""
        return Lifecycle(self._planner(database_type), [database_type])

    def close(self) -> None:
        """End all leases and wait until the servers have been removed."""
        for lease in self.leases:
            lease.close()
        for lease in self.leases:
            self._wait_until_gone(f"ldb-{lease.instance.name}")

    def forget_cache(self) -> None:
        """Remove the images of cached servers."""
        user = self._cache.user
        for image in self.engine.images({f"{LABEL}user": user}):
            self.engine.remove_image(image.id)

    @property
    def _cache(self) -> ServerCache:
        folder = self.directory / "cache"
        return ServerCache(folder, self.identity.mark, self.engine.url, self.cache)

    def _wait_until_gone(self, name: str) -> None:
        wait_until(lambda: self.engine.find(name) is None, 10.0, f"{name} is still there")

    def _planner(self, database_type: DatabaseType, *, durable: bool = False) -> Planner:
        settings = Settings(images={database_type.name: image_of(database_type)}, durable=durable)
        # Durable servers need names of their own: a server in memory cannot serve both requests.
        run = f"{self.run}-{'durable' if durable else 'memory'}"
        scope = Scope.of(self.directory, run, self.identity.mark)
        return Planner(self.engine, settings, scope, self.identity, print)


def image_of(database_type: DatabaseType) -> str:
    """Return the image of a type; as in the plugin, ``LDB_<NAME>_IMAGE`` overrides it."""
    return os.environ.get(variable_for("IMAGE", database_type.name)) or database_type.image
