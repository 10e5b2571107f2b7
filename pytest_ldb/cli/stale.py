"""What is ours and dead: nobody uses it, and nobody will."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from ..engines.protocol import Runtime
from ..lifecycle.cache import Snapshots
from ..lifecycle.cache_expiry import old_snapshots, unnamed_images
from ..model.instance import InstanceStatus
from ..model.request import LABEL
from ..util.locks import alone
from .inventory import Inventory, Server

YOUNG_S = 60.0
"""A server that is only just being made has no user yet."""

LONG_STOPPED_S = 3600.0
"""A test may have stopped its server, and start it again."""


@dataclass(frozen=True)
class Leftover:
    """Something that can go.

    Args:
        what: ``container``, ``volume``, ``snapshot`` or ``image``.
        name: Its name on the engine.
        why: Why nobody needs it.
        remove: Removes it.
    """

    what: str
    name: str
    why: str
    remove: Callable[[], None] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Leftovers:
    """What one user has left behind on an engine.

    Args:
        runtime: The engine.
        inventory: The user's servers.
        snapshots: The user's snapshots.
        locks: The directory for lock files.
    """

    runtime: Runtime
    inventory: Inventory
    snapshots: Snapshots
    locks: Path

    def found(self, servers: Sequence[Server], *, volumes: bool = False) -> Iterator[Leftover]:
        """Yield what is dead.

        Args:
            servers: All servers of the user, as they are now.
            volumes: Whether volumes count whose server is gone: they hold what somebody wanted.
        """
        for server in servers:
            why = _why_dead(server)
            if why:
                remove = partial(self.runtime.remove, server.container.id)
                yield Leftover("container", server.container.name, why, remove)
        for volume in self.inventory.orphans(servers) if volumes else ():
            remove = partial(self.runtime.remove_volume, volume.name)
            yield Leftover("volume", volume.name, "its server is gone", remove)
        # Whoever makes snapshots has containers and images that no file names as yet.
        with suppress(TimeoutError), alone(self.locks, "snapshots", 0):
            yield from self._of_snapshots()

    def _of_snapshots(self) -> Iterator[Leftover]:
        makers = {f"{LABEL}user": self.inventory.user, f"{LABEL}snapshot": ""}
        for container in self.runtime.containers(makers):
            # Servers made from a snapshot have the labels of its image, and more.
            if f"{LABEL}schema" not in container.labels:
                remove = partial(self.runtime.remove, container.id)
                yield Leftover("container", container.name, "nobody makes its snapshot", remove)
        old = dict(old_snapshots(self.runtime, self.snapshots))
        for snapshot, why in old.items():
            forget = partial(self.snapshots.forget, snapshot.key)
            yield Leftover("snapshot", snapshot.key, why, forget)
        used = {container.image_id for container in self.runtime.containers({f"{LABEL}schema": ""})}
        for image in unnamed_images(self.runtime, self.snapshots, old):
            if image.id in used:  # A kept server was made from it.
                continue
            remove = partial(self.runtime.remove_image, image.id)
            yield Leftover("image", image.id[7:19], "no snapshot of this user needs it", remove)


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
