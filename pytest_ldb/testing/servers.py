"""Servers for tests, as the fixtures start them."""

from __future__ import annotations

import os
import secrets
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from ..engines.protocol import Runtime
from ..lifecycle.cache import Snapshots
from ..lifecycle.cache_builder import Remembering
from ..lifecycle.commands import Lifecycle
from ..lifecycle.lease import Lease
from ..lifecycle.planner import Planner
from ..lifecycle.shared import Sharing
from ..model.database_type import DatabaseType
from ..model.request import LABEL, Scope
from ..model.settings import Settings
from .processes import wait_until


@dataclass
class Servers:
    """Starts servers, all of which are gone after the tests of the class.

    Args:
        runtime: Where they live.
        directory: For the state of the user whose they are.
        run: The id of the run.
        leases: What :meth:`obtain` returned.
        snapshots: As in ``Settings``; they are made as soon as they are wanted.
        secret: The user's.
    """

    runtime: Runtime
    directory: Path
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    leases: list[Lease] = field(default_factory=list)
    snapshots: str = "never"
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def obtain(self, kind: DatabaseType, *, durable: bool = False) -> Lease:
        """Return a lease on the server that all who ask for the same share."""
        request, image = self._planner(kind, durable=durable).shared(kind)
        snapshots = self._snapshots
        sharing = Sharing(
            runtime=self.runtime,
            secret=self.secret,
            snapshots=snapshots,
            directory=self.directory / "locks",
            timeout_s=60.0,
            recreate=False,
            say=print,
        )
        lease = sharing.obtain(request, image)
        Remembering(self.runtime, snapshots, self.directory / "locks", 60.0).carry_out()
        self.leases.append(lease)
        return lease

    def lifecycle(self, kind: DatabaseType) -> Lifecycle:
        """Return the seven commands."""
        return Lifecycle(self.runtime, self._planner(kind), [kind], self.secret)

    def volumes(self, kind: DatabaseType) -> tuple[str, ...]:
        """Return where the data of a type is."""
        image = self.runtime.image(image_of(kind), pull="missing", say=print)
        return image.volumes

    def close(self) -> None:
        """End all leases and wait for the servers to go."""
        for lease in self.leases:
            lease.shell.close()
        for lease in self.leases:
            self._wait_until_gone(f"ldb-{lease.instance.name}")

    def forget_snapshots(self) -> None:
        """Remove the snapshots that were made."""
        user = self._snapshots.user
        for image in self.runtime.images({f"{LABEL}user": user}):
            self.runtime.remove_image(image.id)

    @property
    def _snapshots(self) -> Snapshots:
        folder = self.directory / "snapshots"
        return Snapshots(folder, self.secret, self.runtime.engine, self.snapshots)

    def _wait_until_gone(self, name: str) -> None:
        wait_until(lambda: self.runtime.find(name) is None, 10.0, f"{name} is still there")

    def _planner(self, kind: DatabaseType, *, durable: bool = False) -> Planner:
        settings = Settings(images={kind.name: image_of(kind)}, durable=durable)
        # Servers with other data have other names.
        run = f"{self.run}-{'durable' if durable else 'memory'}"
        return Planner(self.runtime, settings, Scope.of(self.directory, run, self.secret), print)


def image_of(kind: DatabaseType) -> str:
    """Return the image to run: ``LDB_<NAME>_IMAGE`` where that is set, as for the plugin."""
    return os.environ.get(f"LDB_{kind.name.upper().replace('-', '_')}_IMAGE") or kind.image
