"""Making snapshots after a run, in a process of its own, and removing old ones."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from ..engines.protocol import ContainerSpec, Image, Runtime
from ..model.errors import EngineFailed, LdbError
from ..model.request import LABEL, CreateInstanceRequest
from ..util.detached import detached
from ..util.locks import alone
from .cache import Snapshot, Snapshots
from .cache_expiry import old_snapshots, remove_unnamed_images
from .container_spec import container_spec, credentials_for
from .readiness import wait_until_ready

PATIENCE_S = 300.0

_SCRIPT = """
import sys
from pytest_ldb.lifecycle.cache_builder import Remembering
Remembering.told(sys.stdin.buffer.read()).carry_out()
"""


@dataclass(frozen=True)
class Remembering:
    """What is to be done about snapshots when a run is over.

    Args:
        runtime: Where the servers were.
        snapshots: Which there are, and which are wanted.
        locks: A directory for lock files.
        timeout_s: The most time that a server may take to become ready.
    """

    runtime: Runtime
    snapshots: Snapshots
    locks: Path
    timeout_s: float

    @classmethod
    def told(cls, order: bytes) -> Remembering:
        """Return what another process has to do."""
        told = pickle.loads(order)  # noqa: S301 - from our own process
        assert isinstance(told, cls)
        return told

    def order(self) -> bytes:
        """Return this as bytes for :func:`begin`; none if there is no way."""
        try:
            return pickle.dumps(self)
        except (pickle.PicklingError, AttributeError, TypeError):
            return b""  # A type or runtime of somebody's that cannot be sent.

    def carry_out(self) -> None:
        """Make what is wanted and remove what is old, unless another process does it already."""
        with suppress(TimeoutError, LdbError), alone(self.locks, "snapshots", PATIENCE_S):
            for request, image in self.snapshots.wanted:
                self.make(request, image)
            self.remove_old()

    def make(self, request: CreateInstanceRequest, image: Image) -> None:
        """Make a snapshot and try it; if that fails, it is not tried again for a day."""
        # The init scripts, and the image behind the reference, may have changed since.
        now = replace(request)
        key = self.snapshots.key(now)
        if now.fingerprint != request.fingerprint or self.snapshots.read(key):
            return
        snapshot = Snapshot(
            key=key,
            image="",
            type=request.database_type.name,
            base=request.image,
            base_id=request.image_id,
            engine=self.snapshots.engine,
        )
        try:
            snapshot = replace(snapshot, image=self._made(now, image, key))
        except (LdbError, OSError) as error:
            snapshot = replace(snapshot, failure=str(error))
        self.snapshots.add(snapshot)

    def remove_old(self) -> None:
        """Remove snapshots that nobody used for long, whose base is gone, or that nobody knows."""
        for snapshot, _why in list(old_snapshots(self.runtime, self.snapshots)):
            self.snapshots.forget(snapshot.key)
        remove_unnamed_images(self.runtime, self.snapshots)

    def _made(self, request: CreateInstanceRequest, image: Image, key: str) -> str:
        identity = uuid4()
        spec = container_spec(
            request, image, credentials_for(request, self.snapshots.secret), identity
        )
        labels = {
            f"{LABEL}id": str(identity),
            f"{LABEL}snapshot": key,
            f"{LABEL}user": self.snapshots.user,
        }
        spec = replace(spec, name=f"ldb-snapshot-{key}", labels=labels, auto_remove=False)
        paths = spec.memory_volumes
        # Data in memory would be gone when the server stops.
        with self._server(request, replace(spec, memory_volumes=())) as container:
            self._stop(container)
            remembered = self.runtime.remember(
                container, paths, labels, f"pytest-ldb-snapshot:{key}"
            )
        with self._server(request, replace(spec, image=remembered)):
            return remembered

    @contextmanager
    def _server(self, request: CreateInstanceRequest, spec: ContainerSpec) -> Iterator[str]:
        """Have a server that is ready, and gone afterwards, even if this process is killed."""
        with suppress(EngineFailed):
            self.runtime.remove(spec.name)  # left by a power cut
        guard = self.runtime.guard(spec.labels[f"{LABEL}id"])
        try:
            container = self.runtime.create(spec)
            watch = self.runtime.start(container)
            try:
                found = self.runtime.find(container)
                wait_until_ready(
                    spec.name,
                    found.address if found else None,
                    request.database_type.ready,
                    watch,
                    timeout_s=self.timeout_s,
                    secrets=[credentials_for(request, self.snapshots.secret).password],
                )
            finally:
                watch.close()
            yield container
        finally:
            self.runtime.remove(spec.name)
            guard.release()

    def _stop(self, container: str) -> None:
        self.runtime.stop(container)
        stopped = self.runtime.find(container)
        if stopped is None or stopped.exit_code != 0:
            code = stopped and stopped.exit_code
            raise EngineFailed(container, f"the server did not stop cleanly, but with {code}")


def begin(order: bytes) -> None:
    """Start a process that carries out an order, and do not wait for it."""
    process = detached(_SCRIPT)
    assert process.stdin
    with process.stdin as pipe:
        pipe.write(order)
    process.returncode = 0  # nobody waits for it, and that is not worth a warning
