"""The objects that obtain servers, each made once for a process and connected to the others.

Importing this takes as long as attaching to a server, so it is imported on use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
    """What obtains servers for one process.

    Args:
        engine: Where servers run.
        scope: Whose they are.
        shared: Finds or creates those that the run shares.
        locks: A directory for lock files.
        identity: Of the user; passwords derive from it.
        say: Shows a line to the user.
    """

    engine: Engine
    scope: Scope
    shared: SharedServers
    locks: Path
    identity: UserIdentity
    say: Callable[[str], None]

    def planner(self, settings: Settings) -> Planner:
        """Return what decides which servers are started; with ``--ldb-env`` settings change."""
        return Planner(self.engine, settings, self.scope, self.identity, self.say)

    def lifecycle(self, settings: Settings, types: Sequence[DatabaseType]) -> Lifecycle:
        """Return the seven commands, for servers that a test has to itself."""
        from ..lifecycle.commands import Lifecycle

        return Lifecycle(self.planner(settings), types)

    def build_cache(self, timeout_s: float) -> None:
        """Let a process that outlives this one make what the cache lacks, and remove old images."""
        if not self.shared.cache.need_work():
            return
        from ..lifecycle.cache_builder import CacheBuilder, begin

        builder = CacheBuilder(self.engine, self.shared.cache, self.locks, timeout_s).to_bytes()
        if builder:
            begin(builder)


def make_services(
    run: RunPlugin,
    *,
    engine: Engine,
    state: Path,
    identity: UserIdentity,
    attach_cache: AttachCache,
    is_awaited: Callable[[], bool],
) -> Services:
    """Return services that are connected to each other.

    Args:
        run: The settings of the run.
        engine: Where servers run.
        state: The user's directory for the cache and locks.
        identity: Of the user; passwords derive from it.
        attach_cache: The cache of kept servers' container ids.
        is_awaited: Whether a test has been waiting for a server for a while.
    """
    settings = run.settings
    shared = SharedServers(
        engine=engine,
        cache=ServerCache(state / "cache", identity.mark, engine.url, settings.cache),
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
