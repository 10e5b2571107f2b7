"""Filling the cache after a run, in a process of its own, and removing old entries."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from uuid import uuid4

from ..engines.protocol import ContainerSpec, Engine, Watch
from ..model.errors import (
    DiskFull,
    EngineFailed,
    EngineUnavailable,
    ImageUnavailable,
    InstanceDied,
    LdbError,
    OutOfMemory,
)
from ..model.request import BUILDING, LABEL, container_name
from ..shell.shell import Shell
from ..util.detached import detached
from ..util.locks import alone
from .cache import REPOSITORY, CachedServer, ServerCache
from .cache_expiry import old_entries, remove_unnamed_images, unfinished
from .hold import hold_started
from .planner import ResolvedServer
from .starter import Starter

PATIENCE_S = 300.0
"""The most time to wait for other builders."""

FROM_OUTSIDE = (None, 128 + 9, 128 + 15, 255)
"""Exit codes of servers that were removed, killed or ended by others; 255: it is not known."""

_SCRIPT = """
import sys
from pytest_ldb.lifecycle.cache_builder import CacheBuilder
CacheBuilder.from_bytes(sys.stdin.buffer.read()).build()
"""


@dataclass(frozen=True)
class CacheBuilder:
    """Makes the entries that a run requested, and removes old ones.

    Args:
        engine: Where the servers ran.
        cache: The existing and the requested entries.
        locks: A directory for lock files.
        timeout_s: The most time that a server may take to become ready.
    """

    engine: Engine
    cache: ServerCache
    locks: Path
    timeout_s: float

    @classmethod
    def from_bytes(cls, data: bytes) -> CacheBuilder:
        """Return the builder that :meth:`to_bytes` has written, in another process of this user."""
        builder = pickle.loads(data)  # noqa: S301 - from our own process
        assert isinstance(builder, cls)
        return builder

    def to_bytes(self) -> bytes:
        """Return this builder as bytes; empty if a type or an engine cannot be pickled."""
        try:
            return pickle.dumps(replace(self, cache=replace(self.cache, is_discarded=bool)))
        except (pickle.PicklingError, AttributeError, TypeError):
            return b""

    def begin(self) -> None:
        """Build in a new process, and do not wait for it."""
        data = self.to_bytes()
        with suppress(OSError):
            if data:
                self._begin(data)
            else:
                self._record("its type or engine cannot be sent to another process")

    def _begin(self, data: bytes) -> None:
        types = (server.database_type for server in self.cache.wanted)
        process = detached(_SCRIPT, needs={type(one).__module__ for one in (self.engine, *types)})
        assert process.stdin
        with process.stdin as pipe:
            while data:  # It is not buffered, so a part may be written.
                data = data[pipe.write(data) :]
        process.returncode = 0  # Without this, Popen warns that it was not waited for.

    def _record(self, failure: str) -> None:
        for server in self.cache.wanted:
            self.cache.add(replace(self._entry(server), failure=failure, passing=True))

    def build(self) -> None:
        """Make requested entries and remove old ones, one builder of this user at a time."""
        with suppress(TimeoutError, LdbError), alone(self.locks, "cache", PATIENCE_S):
            for server in self.cache.wanted:
                self.add(server)
            self.remove_old()

    def add(self, server: ResolvedServer) -> None:
        """Make an entry and try it; if the server is at fault, it is not tried again for a day."""
        # The copy computes its fingerprint anew: the init scripts may have changed since the start.
        request = replace(server.request)
        key = self.cache.key(request)
        known = self.cache.read(key)
        if request.fingerprint != server.request.fingerprint or (known and not known.passing):
            return
        entry = self._entry(server)
        try:
            entry = replace(entry, image=self._image(server, key))
        except (LdbError, OSError) as error:
            entry = replace(entry, failure=str(error), passing=not is_verdict(error))
        self.cache.add(entry)

    def _entry(self, server: ResolvedServer) -> CachedServer:
        request = server.request
        return CachedServer(
            key=self.cache.key(request),
            image="",
            type=request.database_type.name,
            base=request.image,
            base_id=request.image_id,
            engine=self.cache.engine,
        )

    def remove_old(self) -> None:
        """Remove old entries, images without an entry, and what a killed builder has left.

        A container that was created and not started yet cannot end by itself.
        """
        for container in unfinished(self.engine, self.cache):
            with suppress(EngineFailed):
                self.engine.remove(container.id)
        for entry, _why in list(old_entries(self.engine, self.cache)):
            self.cache.forget(entry.key)
        remove_unnamed_images(self.engine, self.cache)

    def _image(self, server: ResolvedServer, key: str) -> str:
        """Return an image of the server's initialised data, from which a server has started."""
        name = container_name(f"{BUILDING}{key}")
        labels = {f"{LABEL}cached": key, f"{LABEL}user": self.cache.user}
        spec = replace(server.spec, name=name, labels=labels, auto_remove=True)
        # Data in memory could not be read, and would be lost when the server stops.
        on_disk = replace(spec, memory_volumes=(), lingers=True)
        commit = partial(self._commit, name, server.spec.memory_volumes, labels, key)
        image = self._with_server(server, on_disk, commit)
        return self._with_server(server, replace(spec, image=image), lambda _: image)

    def _with_server(
        self, server: ResolvedServer, spec: ContainerSpec, use: Callable[[Shell], str]
    ) -> str:
        """Use a server that is ready; it goes with this process, even if all of ours are killed."""
        with suppress(EngineFailed):
            self.engine.remove(spec.name)  # left by a power cut
        starter, identity = Starter(self.engine, self.timeout_s), uuid4()

        def work(watch: Watch) -> str:
            server_named = replace(server, spec=spec)
            held = hold_started(self.engine, server_named, "created", watch, ephemeral=True)
            with closing(held.shell), closing(watch):
                starter.wait(
                    server.database_type,
                    server.credentials,
                    held.container,
                    watch,
                    subject=spec.name,
                )
                return use(held.shell)

        result, guard = starter.start_new(spec, identity, work)
        starter.remove(identity)
        guard.release()
        return result

    def _commit(
        self,
        container: str,
        paths: Sequence[str],
        labels: Mapping[str, str],
        key: str,
        shell: Shell,
    ) -> str:
        code = shell.stop_server()
        if code:
            raise InstanceDied(
                container, f"the server did not stop cleanly (exit code {code})", status=code
            )
        return self.engine.remember(container, paths, labels, f"{REPOSITORY}:{key}")


def is_verdict(error: Exception) -> bool:
    """Whether an error means that a server cannot be cached, so that trying again is no use.

    It does not if the server was ended from outside, if the engine or the image went away, or if
    space ran short.
    """
    if isinstance(error, DiskFull | EngineUnavailable | ImageUnavailable | OSError):
        return False
    ended_from_outside = isinstance(error, InstanceDied) and error.status in FROM_OUTSIDE
    return isinstance(error, OutOfMemory) or not ended_from_outside
