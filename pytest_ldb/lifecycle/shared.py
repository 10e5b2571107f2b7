"""Find a server or create it, once for all processes that ask for the same.

The lock spares the engine a herd of creators. What makes it correct is the engine, where names are
unique: whoever creates second is told so and looks again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ..engines.protocol import Container, Engine, Image, Watch
from ..model.errors import (
    EngineFailed,
    ImageUnavailable,
    InstanceDied,
    InvalidRequest,
    LdbError,
    NameTaken,
    NotReady,
    ShellLost,
    StartFailed,
    hidden,
)
from ..model.request import LABEL, SCHEMA, CreateInstanceRequest
from ..util.locks import alone
from ..util.progress import Progress
from .attach_cache import AttachCache
from .cache import ServerCache
from .container_spec import Ownership, instance_of, values_inside
from .lease import Lease
from .readiness import ask, wait_until_ready
from .starter import PendingServer, StartedServer, Starter

__tracebackhide__ = hidden

AGAIN_S = 0.02
DEAF_AFTER_S = 3.0
ABANDONED_AFTER_S = 5.0


@dataclass(frozen=True, kw_only=True)
class SharedServers:
    """Finds or creates servers for this process.

    Args:
        engine: Where they live.
        secret: Passwords derive from it.
        cache: What servers may be made from.
        directory: For lock files, one per project and type; never in the project itself.
        timeout_s: The most time to wait for a server to become ready.
        recreate: Whether a kept server of an earlier run is replaced.
        say: Takes a line for the user.
        attach_cache: Where kept servers are remembered.
        is_awaited: Whether somebody sees what is said now, having waited for a while.
        begun: The servers that this process holds, by type, ready or not.
    """

    engine: Engine
    secret: bytes = field(repr=False)
    cache: ServerCache
    directory: Path
    timeout_s: float
    recreate: bool
    say: Callable[[str], None]
    attach_cache: AttachCache | None = None
    is_awaited: Callable[[], bool] = lambda: True
    begun: dict[str, PendingServer] = field(default_factory=dict)

    def obtain(self, request: CreateInstanceRequest, image: Image) -> Lease:
        """Return the server that answers the request, ready, held by this process.

        Raises:
            StartFailed: It could not be started, or did not become ready.
            ForeignContainer: A container that is not ours has its name.
        """
        cached = self.cache.find(request)
        try:
            lease = self._obtain(request, image, cached)
        except (StartFailed, ImageUnavailable) as error:
            if cached is None:
                raise
            # It may be damaged, so it is made anew; the server is made without it, in time.
            self.cache.forget(self.cache.key(request))
            if isinstance(error, NotReady):
                raise
            lease = self._obtain(request, image, None)
        if request.kept and self.attach_cache:
            environment = self._starter.client_environment(request)
            self.attach_cache.keep(
                request.database_type.name, lease.container, request.fingerprint, environment
            )
        return lease

    def _obtain(self, request: CreateInstanceRequest, image: Image, cached: str | None) -> Lease:
        began = time.monotonic()
        held = self._attach_at_once(request)
        if held is None:
            with alone(self.directory, request.family):
                held = self._hold(request, image, cached)
        started = time.monotonic()
        with self._beginning(request, image, held, started - began):
            watch = self._wait(request, held, initialises=cached is None)
        return Lease(
            instance=instance_of(held.container, self.secret),
            database_type=request.database_type,
            shell=held.shell,
            values=values_inside(request.database_type, self._starter.credentials(request)),
            container=held.container.id,
            outlives_run=request.kept,
            origin=held.origin,
            fingerprint=request.fingerprint,
            data_paths=image.volumes if request.in_memory else (),
            start_s=started - began,
            ready_s=time.monotonic() - started,
            watch=watch,
        )

    @contextmanager
    def _beginning(
        self, request: CreateInstanceRequest, image: Image, held: StartedServer, start_s: float
    ) -> Iterator[None]:
        """Make known what is held, as this process may be done before it is ready.

        What does not become ready is let go, and forgotten.
        """
        database_type = request.database_type.name
        self.begun[database_type] = PendingServer(
            instance_of(held.container, self.secret), held.origin, start_s
        )
        if held.origin == "created":
            self.cache.want(request, image)
        try:
            yield
        except BaseException:
            self.begun.pop(database_type, None)
            self.cache.want_no_more(request)
            held.shell.close()
            if held.origin in ("created", "restored") and request.kept:
                self._starter.discard(held.container.id)
            raise

    def _attach_at_once(self, request: CreateInstanceRequest) -> StartedServer | None:
        """Attach to a kept server that is well; as this changes nothing, nobody is kept out."""
        container = self.engine.find(request.container) if request.kept else None
        if container is None or container.state != "running" or self.recreate:
            return None
        Ownership.of(container)
        exchange, address = request.database_type.ready, container.address
        if address is None or not exchange.proves(ask(address, exchange)):
            return None
        try:
            shell = self._starter.open_shell(request, container.id)
        except (ShellLost, EngineFailed):
            return None
        return StartedServer(container, shell, "attached")

    def _hold(
        self, request: CreateInstanceRequest, image: Image, cached: str | None
    ) -> StartedServer:
        """Attach or create, again and again while servers come and go under our commands."""
        deadline = time.monotonic() + self.timeout_s
        while True:
            try:
                return self._attach(request) or self._create(request, image, cached)
            except (NameTaken, ShellLost):  # noqa: PERF203 - each turn talks to the engine
                if time.monotonic() > deadline:
                    raise
                time.sleep(AGAIN_S)

    def _attach(self, request: CreateInstanceRequest) -> StartedServer | None:
        """Return a hold on the server if there is one that may be used."""
        container = self._find(request)
        if container is None or not self._is_usable(request, container):
            return None
        if container.state == "exited":
            self._tell(request, "the kept server had ended, so it is started again")
            return self._starter.start(request, "restarted")
        if container.state == "paused":
            self.engine.unpause(container.id)
            container = self.engine.find(container.id) or container
        held = StartedServer(container, self._starter.open_shell(request), "attached")
        if held.shell.was_ready and not self._answers(request, container):
            self._tell(request, "the server runs but does not answer, so it is replaced")
            held.shell.close()
            self.engine.remove(container.id)
            return None
        return held

    def _find(self, request: CreateInstanceRequest) -> Container | None:
        """Find the container; one that another host is only just creating is given time."""
        deadline = time.monotonic() + ABANDONED_AFTER_S
        while True:
            container = self.engine.find(request.container)
            if container is not None:
                Ownership.of(container)  # a foreign one is not worth waiting for
            young = container is not None and container.state == "created"
            if not young or time.monotonic() > deadline:
                return container
            time.sleep(AGAIN_S)

    def _is_usable(self, request: CreateInstanceRequest, container: Container) -> bool:
        """Whether to attach to this container; removes one of ours that cannot be used."""
        ours = Ownership.of(container)
        stale = self.recreate and ours.kept and ours.run != request.scope.run
        if stale:
            self._refuse_if_used(container)
            self._tell(request, "the kept server is replaced, as --ldb-recreate asks")
        elif container.state in ("running", "paused") or (
            container.state == "exited" and request.kept and not request.in_memory
        ):
            return True
        elif request.kept and container.state != "removing":
            self._tell(request, f"the kept server was {container.state}, so it is replaced")
        self.engine.remove(container.id)
        return False

    def _answers(self, request: CreateInstanceRequest, container: Container) -> bool:
        exchange, address = request.database_type.ready, container.address
        deadline = time.monotonic() + DEAF_AFTER_S
        while address is not None and time.monotonic() < deadline:
            if exchange.proves(ask(address, exchange)):
                return True
            time.sleep(AGAIN_S)
        return False

    def _create(
        self, request: CreateInstanceRequest, image: Image, cached: str | None
    ) -> StartedServer:
        if request.kept:
            self._retire_predecessors(request)
        return self._starter.create(request, image, cached)

    def _wait(
        self, request: CreateInstanceRequest, held: StartedServer, *, initialises: bool
    ) -> Watch | None:
        """Wait outside the lock, so that others may find the server and wait beside us."""
        if held.watch is None and held.shell.was_ready:
            return None
        watch = held.watch or self.engine.watch(held.container.id)
        try:
            wait_until_ready(
                request.database_type.name,
                held.container.address,
                request.database_type.ready,
                watch,
                timeout_s=self.timeout_s,
                secrets=[self._starter.credentials(request).password],
                look=Progress(self._telling(request, held, initialises=initialises)).look,
            )
        except InstanceDied:
            watch.close()
            raise
        held.shell.mark_ready()
        return watch

    def _telling(
        self, request: CreateInstanceRequest, held: StartedServer, *, initialises: bool
    ) -> Callable[[float, float], bool]:
        """Return what tells how long it takes, once for all processes of the run that wait."""
        what = "initialising" if initialises and request.database_type.cached else "starting"

        def tell(moment: float, seconds: float) -> bool:
            if not self.is_awaited():
                return False
            with suppress(LdbError):  # Whoever waits learns soon enough that it has ended.
                if held.shell.is_first(f"{request.scope.run}-{moment:g}"):
                    self._tell(request, f"{what}, {seconds:.0f} s")
            return True

        return tell

    def _retire_predecessors(self, request: CreateInstanceRequest) -> None:
        """Remove kept servers of this project and type that answer an older request."""
        for container in self.engine.containers(
            {
                f"{LABEL}schema": SCHEMA,
                f"{LABEL}project": request.scope.project,
                f"{LABEL}type": request.database_type.name,
                f"{LABEL}kept": "true",
            }
        ):
            ours = Ownership.of(container)
            if container.name != request.container and not self._in_use(container):
                self._tell(
                    request, f"the kept server is replaced: {request.difference(ours.facts)}"
                )
                self.engine.remove(container.id)

    def _refuse_if_used(self, container: Container) -> None:
        """Give the run before a moment to leave; then it must be another one that stays."""
        deadline = time.monotonic() + ABANDONED_AFTER_S
        while self._in_use(container):
            if time.monotonic() > deadline:
                raise InvalidRequest(
                    "--ldb-recreate",
                    f"{container.name} is in use by another run",
                    remedy="Wait for that run to end, or leave out --ldb-recreate.",
                )
            time.sleep(AGAIN_S)

    def _in_use(self, container: Container) -> bool:
        if container.state != "running":
            return False
        try:
            shell = self.engine.shell(container.id, environment={}, ephemeral=False)
        except (ShellLost, EngineFailed):
            return False
        shell.close()
        return shell.others > 0

    @property
    def _starter(self) -> Starter:
        return Starter(self.engine, self.secret)

    def _tell(self, request: CreateInstanceRequest, what: str) -> None:
        self.say(f"{request.database_type.name}: {what}")
