"""What is ours and dead: nobody uses it, and nobody will."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from ..engines.protocol import Engine
from ..lifecycle.cache import ServerCache
from ..lifecycle.cache_expiry import old_entries, unnamed_images
from ..model.instance import InstanceStatus
from ..model.request import LABEL
from ..util.locks import alone
from .inventory import Inventory, Server

YOUNG_S = 60.0
"""A server that is only just being made has no user yet."""

LONG_STOPPED_S = 3600.0
"""A test may have stopped its server, and start it again."""


@dataclass(frozen=True)
class StaleResource:
    """Something that can go.

    Args:
        what: ``container``, ``volume``, ``cached`` or ``image``.
        name: Its name on the engine.
        why: Why nobody needs it.
        remove: Removes it.
    """

    what: str
    name: str
    why: str
    remove: Callable[[], None] = field(repr=False, compare=False)


@dataclass(frozen=True)
class StaleResources:
    """What one user has left behind on an engine.

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
        """Yield what is dead.

        Args:
            servers: All servers of the user, as they are now.
            volumes: Whether volumes count whose server is gone: they hold what somebody wanted.
        """
        for server in servers:
            why = _why_dead(server)
            if why:
                remove = partial(self.engine.remove, server.container.id)
                yield StaleResource("container", server.container.name, why, remove)
        for volume in self.inventory.orphans(servers) if volumes else ():
            remove = partial(self.engine.remove_volume, volume.name)
            yield StaleResource("volume", volume.name, "its server is gone", remove)
        # Whoever makes cache has containers and images that no file names as yet.
        with suppress(TimeoutError), alone(self.locks, "cache", 0):
            yield from self._of_cache()

    def _of_cache(self) -> Iterator[StaleResource]:
        makers = {f"{LABEL}user": self.inventory.identity.mark, f"{LABEL}cached": ""}
        for container in self.engine.containers(makers):
            # Servers made from a cached have the labels of its image, and more.
            if f"{LABEL}schema" not in container.labels:
                remove = partial(self.engine.remove, container.id)
                yield StaleResource("container", container.name, "nobody makes its cached", remove)
        old = dict(old_entries(self.engine, self.cache))
        for cached, why in old.items():
            forget = partial(self.cache.forget, cached.key)
            yield StaleResource("cached", cached.key, why, forget)
        used = {container.image_id for container in self.engine.containers({f"{LABEL}schema": ""})}
        for image in unnamed_images(self.engine, self.cache, old):
            if image.id in used:  # A kept server was made from it.
                continue
            remove = partial(self.engine.remove_image, image.id)
            yield StaleResource("image", image.id[7:19], "no cached of this user needs it", remove)


def _why_dead(server: Server) -> str:
    """Return why nobody will use a server; nothing if somebody may."""
    seconds = (datetime.now(timezone.utc) - server.instance.created_at).total_seconds()
    runs = server.instance.status is InstanceStatus.RUNNING
    if server.purpose == "kept" and server.in_memory and not runs and seconds > YOUNG_S:
        return "it was kept, and has ended; its data was in memory"
    if server.purpose == "run" and not server.processes and seconds > YOUNG_S:
        return "its run is over"
    if server.purpose == "test" and not runs and seconds > LONG_STOPPED_S:
        return "it has been stopped for long, so its test is over"
    return ""
