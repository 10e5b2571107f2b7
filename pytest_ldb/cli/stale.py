"""Find stale resources that pytest-ldb created."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ..engines.protocol import Engine
from ..lifecycle.cache import ServerCache
from ..lifecycle.cache_expiry import old_entries, unfinished, unnamed_images
from ..model.instance import InstanceStatus
from ..model.request import LABEL
from ..util import clock
from ..util.locks import alone
from .inventory import Inventory, Server

YOUNG_S = 60.0
"""Younger servers may have just been created, before a process uses them."""

LONG_STOPPED_S = 3600.0
"""A test can stop its server and start it again later."""


@dataclass(frozen=True)
class StaleResource:
    """A resource that can be removed.

    Args:
        what: ``container``, ``volume``, ``cached`` (a cached server) or ``image``.
        name: Name on the engine, or key of the cached server.
        why: Why the resource is stale.
        remove: Removes the resource.
    """

    what: str
    name: str
    why: str
    remove: Callable[[], None] = field(repr=False, compare=False)


@dataclass(frozen=True)
class StaleResources:
    """The stale resources of a user on an engine.

    Args:
        engine: The engine.
        inventory: The user's servers.
        cache: The user's cache.
        locks: The directory for lock files.
    """

    engine: Engine
    inventory: Inventory
    cache: ServerCache
    locks: Path

    def found(self, servers: Sequence[Server], *, volumes: bool = False) -> Iterator[StaleResource]:
        """Yield the stale resources.

        Args:
            servers: All servers of the user in their current state.
            volumes: Whether to include the volumes of deleted servers, which may hold wanted data.
        """
        for server in servers:
            why = _why_dead(server)
            if why:
                remove = partial(self.engine.remove, server.container.id)
                yield StaleResource("container", server.container.name, why, remove)
        for volume in self.inventory.orphans(servers) if volumes else ():
            remove = partial(self.engine.remove_volume, volume.name)
            yield StaleResource("volume", volume.name, "its server was deleted", remove)
        # A process that builds the cache holds the lock, and has resources not yet on record.
        with suppress(TimeoutError), alone(self.locks, "cache", 0):
            yield from self._of_cache()

    def _of_cache(self) -> Iterator[StaleResource]:
        for container in unfinished(self.engine, self.cache):
            remove = partial(self.engine.remove, container.id)
            why = "its cached server was never finished"
            yield StaleResource("container", container.name, why, remove)
        old = dict(old_entries(self.engine, self.cache))
        for cached, why in old.items():
            forget = partial(self.cache.forget, cached.key)
            yield StaleResource("cached", cached.key, why, forget)
        used = {container.image_id for container in self.engine.containers({f"{LABEL}user": ""})}
        for image in unnamed_images(self.engine, self.cache, old):
            if image.id in used:  # A kept server, or the user, has started from it.
                continue
            remove = partial(self.engine.remove_image, image.id)
            yield StaleResource("image", image.id[7:19], "no cached server uses it", remove)


def _why_dead(server: Server) -> str:
    """Return why a server is stale; empty if it may still be used."""
    seconds = (clock.now() - server.instance.created_at).total_seconds()
    runs = server.instance.status is InstanceStatus.RUNNING
    if server.purpose == "kept" and server.in_memory and not runs and seconds > YOUNG_S:
        return "kept server has stopped; its data was in memory"
    if server.purpose == "run" and not server.processes and seconds > YOUNG_S:
        return "its run has ended"
    if server.purpose == "test" and not runs and seconds > LONG_STOPPED_S:
        return "stopped for over an hour, so its test has ended"
    return ""
