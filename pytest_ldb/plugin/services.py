"""The objects with which a process obtains servers, created once.

This module is imported on use: the import takes as long as attaching to a server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ..engines.protocol import Engine
from ..lifecycle.cache import ServerCache
from ..lifecycle.planner import Planner
from ..lifecycle.shared import SharedServers
from ..model.request import Scope

if TYPE_CHECKING:
    from pathlib import Path

    from ..lifecycle.attach_cache import AttachCache
    from ..lifecycle.commands import Lifecycle
    from ..model.credentials import UserIdentity
    from ..model.database_type import DatabaseType
    from ..model.settings import Settings
    from .state import RunPlugin


@dataclass(frozen=True, kw_only=True)
class Services:
    """Obtains servers for one process.

    Args:
        engine: The engine that runs the servers.
        scope: The user, project and run that own the servers.
        shared: Finds or creates the servers that the run shares.
        locks: Directory for lock files.
        identity: The user; passwords are derived from it.
        say: Prints a line to the user.
    """

    engine: Engine
    scope: Scope
    shared: SharedServers
    locks: Path
    identity: UserIdentity
    say: Callable[[str], None]

    def planner(self, settings: Settings) -> Planner:
        """Return a planner; it is not cached, as ``--ldb-env`` reads the settings twice."""
        return Planner(self.engine, settings, self.scope, self.identity, self.say)

    def lifecycle(self, settings: Settings, types: Sequence[DatabaseType]) -> Lifecycle:
        """Return the lifecycle commands, for servers of single tests."""
        from ..lifecycle.commands import Lifecycle

        return Lifecycle(self.planner(settings), types)

    def build_cache(self, timeout_s: float) -> None:
        """Start a separate process that adds missing cache entries and deletes old images."""
        if not self.shared.cache.need_work():
            return
        from ..lifecycle.cache_builder import CacheBuilder

        CacheBuilder(self.engine, self.shared.cache, self.locks, timeout_s).begin()


def make_services(
    run: RunPlugin,
    *,
    engine: Engine,
    state: Path,
    identity: UserIdentity,
    attach_cache: AttachCache,
    is_awaited: Callable[[], bool],
) -> Services:
    """Create the services of a process.

    Args:
        run: The settings of the run.
        engine: The engine that runs the servers.
        state: The user's directory for the cache and locks.
        identity: The user; passwords are derived from it.
        attach_cache: The cache of kept servers' container ids.
        is_awaited: Returns whether a test has been waiting for a server for a while.
    """
    settings = run.settings
    shared = SharedServers(
        engine=engine,
        cache=ServerCache(
            state / "cache",
            identity.mark,
            engine.url,
            settings.cache,
            is_discarded=partial(engine.discards, state),
        ),
        directory=state / "locks",
        timeout_s=settings.timeout_s,
        recreate=settings.recreate,
        say=run.say,
        attach_cache=attach_cache,
        is_awaited=is_awaited,
    )
    return Services(
        engine=engine,
        scope=Scope.of(run.config.rootpath, run.place.run, identity.mark),
        shared=shared,
        locks=state / "locks",
        identity=identity,
        say=run.say,
    )
