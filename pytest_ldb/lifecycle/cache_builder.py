"""Making cache after a run, in a process of its own, and removing old ones."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from ..engines.protocol import ContainerSpec, Engine, Image
from ..model.errors import EngineFailed, LdbError
from ..model.request import LABEL, CreateInstanceRequest
from ..util.detached import detached
from ..util.locks import alone
from .cache import CachedServer, ServerCache
from .cache_expiry import old_cache, remove_unnamed_images
from .container_spec import container_spec, credentials_for
from .readiness import wait_until_ready

PATIENCE_S = 300.0

_SCRIPT = """
import sys
from pytest_ldb.lifecycle.cache_builder import CacheBuilder
CacheBuilder.told(sys.stdin.buffer.read()).carry_out()
"""


@dataclass(frozen=True)
class CacheBuilder:
    """What is to be done about cache when a run is over.

    Args:
        engine: Where the servers were.
        cache: Which there are, and which are wanted.
        locks: A directory for lock files.
        timeout_s: The most time that a server may take to become ready.
    """

    engine: Engine
    cache: ServerCache
    locks: Path
    timeout_s: float

    @classmethod
    def told(cls, order: bytes) -> CacheBuilder:
        """Return what another process has to do."""
        told = pickle.loads(order)  # noqa: S301 - from our own process
        assert isinstance(told, cls)
        return told

    def order(self) -> bytes:
        """Return this as bytes for :func:`begin`; none if there is no way."""
        try:
            return pickle.dumps(self)
        except (pickle.PicklingError, AttributeError, TypeError):
            return b""  # A type or engine of somebody's that cannot be sent.

    def carry_out(self) -> None:
        """Make what is wanted and remove what is old, unless another process does it already."""
        with suppress(TimeoutError, LdbError), alone(self.locks, "cache", PATIENCE_S):
            for request, image in self.cache.wanted:
                self.make(request, image)
            self.remove_old()

    def make(self, request: CreateInstanceRequest, image: Image) -> None:
        """Make a cached and try it; if that fails, it is not tried again for a day."""
        # The init scripts, and the image behind the reference, may have changed since.
        now = replace(request)
        key = self.cache.key(now)
        if now.fingerprint != request.fingerprint or self.cache.read(key):
            return
        cached = CachedServer(
            key=key,
            image="",
            type=request.database_type.name,
            base=request.image,
            base_id=request.image_id,
            engine=self.cache.engine,
        )
        try:
            cached = replace(cached, image=self._made(now, image, key))
        except (LdbError, OSError) as error:
            cached = replace(cached, failure=str(error))
        self.cache.add(cached)

    def remove_old(self) -> None:
        """Remove cache that nobody used for long, whose base is gone, or that nobody knows."""
        for cached, _why in list(old_cache(self.engine, self.cache)):
            self.cache.forget(cached.key)
        remove_unnamed_images(self.engine, self.cache)

    def _made(self, request: CreateInstanceRequest, image: Image, key: str) -> str:
        identity = uuid4()
        spec = container_spec(request, image, credentials_for(request, self.cache.secret), identity)
        labels = {
            f"{LABEL}id": str(identity),
            f"{LABEL}cached": key,
            f"{LABEL}user": self.cache.user,
        }
        spec = replace(spec, name=f"ldb-cached-{key}", labels=labels, auto_remove=False)
        paths = spec.memory_volumes
        # Data in memory would be gone when the server stops.
        with self._server(request, replace(spec, memory_volumes=())) as container:
            self._stop(container)
            remembered = self.engine.remember(container, paths, labels, f"pytest-ldb-cached:{key}")
        with self._server(request, replace(spec, image=remembered)):
            return remembered

    @contextmanager
    def _server(self, request: CreateInstanceRequest, spec: ContainerSpec) -> Iterator[str]:
        """Have a server that is ready, and gone afterwards, even if this process is killed."""
        with suppress(EngineFailed):
            self.engine.remove(spec.name)  # left by a power cut
        guard = self.engine.guard(spec.labels[f"{LABEL}id"])
        try:
            container = self.engine.create(spec)
            watch = self.engine.start(container)
            try:
                found = self.engine.find(container)
                wait_until_ready(
                    spec.name,
                    found.address if found else None,
                    request.database_type.ready,
                    watch,
                    timeout_s=self.timeout_s,
                    secrets=[credentials_for(request, self.cache.secret).password],
                )
            finally:
                watch.close()
            yield container
        finally:
            self.engine.remove(spec.name)
            guard.release()

    def _stop(self, container: str) -> None:
        self.engine.stop(container)
        stopped = self.engine.find(container)
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
