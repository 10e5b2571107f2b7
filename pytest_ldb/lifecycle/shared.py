"""Find a server or create it, once for all processes that ask for the same.

The file lock only spares the engine many creators at once; processes on other machines do not share
it. Container names are unique on the engine: it refuses the second creator, which then attaches.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from uuid import uuid4

from ..engines.protocol import Container, Engine, Watch
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
from ..model.request import LABEL, SCHEMA
from ..util import clock
from ..util.locks import alone
from ..util.poll import tries
from ..util.progress import Progress
from .attach_cache import AttachCache
from .cache import ServerCache
from .container_spec import Ownership, check_password, instance_of, those_of_ours
from .decision import Action, Seen, Step, decide, is_outdated
from .hold import PendingServer, StartedServer, hold_started, open_shell
from .lease import Lease
from .planner import ResolvedServer
from .readiness import ask
from .starter import Starter

__tracebackhide__ = hidden

AGAIN_S = 0.02

DEAF_AFTER_S = 3.0
"""A server that was ready before, and does not answer within this time, is replaced."""


@dataclass(frozen=True, kw_only=True)
class SharedServers:
    """Finds or creates servers for this process.

    Args:
        engine: Where they run.
        cache: Initialised data to start servers with.
        directory: For lock files, one per project and type; never in the project itself.
        timeout_s: The most time to wait for a server to become ready.
        recreate: Whether a kept server of an earlier run is replaced.
        say: Takes a line for the user.
        attach_cache: Where the containers of kept servers are stored.
        is_awaited: Whether a test has waited for a while, so that progress is worth a line.
        begun: The servers that this process holds, by type, ready or not.
    """

    engine: Engine
    cache: ServerCache
    directory: Path
    timeout_s: float
    recreate: bool
    say: Callable[[str], None]
    attach_cache: AttachCache | None = None
    is_awaited: Callable[[], bool] = lambda: True
    begun: dict[str, PendingServer] = field(default_factory=dict)

    def obtain(self, server: ResolvedServer) -> Lease:
        """Return a lease on the server, which is ready.

        Raises:
            StartFailed: It could not be started, or did not become ready.
            ForeignContainer: A container that is not ours has its name.
        """
        cached = self.cache.find(server.request)
        try:
            lease = self._obtain(server, cached, self.cache.why_not(server))
        except (StartFailed, ImageUnavailable) as error:
            if cached is None:
                raise
            # The cached data may be damaged: forget it, so that it is made again.
            self.cache.forget(self.cache.key(server.request))
            if isinstance(error, NotReady):  # There is no time left for another start.
                raise
            lease = self._obtain(server, None, f"its cached copy was of no use: {error.fact}")
        if server.request.kept and self.attach_cache:
            self.attach_cache.keep(server, lease.container)
        return lease

    def _obtain(self, server: ResolvedServer, cached: str | None, why_not: str) -> Lease:
        began = clock.monotonic()
        held = self._attach_at_once(server)
        if held is None:
            with alone(self.directory, server.request.family):
                held = self._hold(server, cached)
        started = clock.monotonic()
        with self._beginning(server, held, started - began):
            watch = self._wait(server, held, initialises=cached is None)
        return Lease(
            instance=instance_of(held.container, server.credentials),
            database_type=server.database_type,
            shell=held.shell,
            values=server.values,
            container=held.container.id,
            outlives_run=server.request.kept,
            origin=held.origin,
            not_cached=why_not if held.origin == "created" else "",
            fingerprint=server.request.fingerprint,
            data_paths=server.spec.memory_volumes,
            start_s=started - began,
            ready_s=clock.monotonic() - started,
            watch=watch,
        )

    @contextmanager
    def _beginning(
        self, server: ResolvedServer, held: StartedServer, start_s: float
    ) -> Iterator[None]:
        """List the server in ``begun`` while it becomes ready, as this process may end before that.

        A server that does not become ready is released.
        """
        name = server.database_type.name
        instance = instance_of(held.container, server.credentials)
        self.begun[name] = PendingServer(instance, held.origin, start_s)
        if held.origin == "created":
            self.cache.want(server)
        try:
            yield
        except BaseException:
            self.begun.pop(name, None)
            self.cache.want_no_more(server)
            held.shell.close()
            if held.origin in ("created", "restored") and server.request.kept:
                self._starter.remove(instance.id)
            raise

    def _attach_at_once(self, server: ResolvedServer) -> StartedServer | None:
        """Attach to a kept server that answers; this changes nothing, so it needs no lock."""
        container = self.engine.find(server.spec.name) if server.request.kept else None
        if container is None or container.state != "running" or self.recreate:
            return None
        self._check(server, container)
        exchange, address = server.database_type.ready, container.address
        if address is None or not exchange.proves(ask(address, exchange)):
            return None
        try:
            shell = open_shell(self.engine, server, container.id)
        except (ShellLost, EngineFailed):
            return None
        return StartedServer(container, shell, "attached")

    def _hold(self, server: ResolvedServer, cached: str | None) -> StartedServer:
        """Attach to the server or create it.

        This is repeated until it succeeds, as other processes may create or remove the server.
        """
        began = first_seen = clock.monotonic()
        known = ""
        while True:
            container = self.engine.find(server.spec.name)
            identity = container.id if container else ""
            if container is not None:
                self._check(server, container)
            if identity != known:
                known, first_seen = identity, clock.monotonic()
            seen = self._seen(server, container, clock.monotonic() - first_seen)
            step = decide(seen, server.request, recreate=self.recreate)
            try:
                held = self._carry_out(step, server, container, cached)
            except (NameTaken, ShellLost):
                if clock.monotonic() - began > self.timeout_s:
                    raise
                held = None
            if held is not None:
                return held
            time.sleep(AGAIN_S)

    @staticmethod
    def _check(server: ResolvedServer, container: Container) -> None:
        """Check that a container is ours before anything is sent to it."""
        Ownership.of(container)
        check_password(container, server.database_type, server.credentials)

    def _seen(self, server: ResolvedServer, container: Container | None, for_s: float) -> Seen:
        outdated = container is not None and is_outdated(
            container, server.request, recreate=self.recreate
        )
        in_use = container is not None and outdated and self._in_use(container)
        return Seen(container=container, seen_for_s=for_s, in_use=in_use)

    def _carry_out(
        self, step: Step, server: ResolvedServer, container: Container | None, cached: str | None
    ) -> StartedServer | None:
        """Carry out a step; return the server if it is held then, or None to look again."""
        if step.action is Action.REFUSE:
            raise InvalidRequest(
                "--ldb-recreate",
                f"{server.spec.name}: {step.reason}",
                remedy="Wait for that run to end, or leave out --ldb-recreate.",
            )
        if step.reason:
            self._tell(server, step.reason)
        if step.action is Action.CREATE:
            return self._create(server, cached)
        if container is None or step.action is Action.WAIT:
            return None
        if step.action is Action.REPLACE:
            self.engine.remove(container.id)
            return None
        if step.action is Action.RESTART:
            watch = self.engine.start(container.name)
            return hold_started(self.engine, server, "restarted", watch)
        if step.action is Action.UNPAUSE:
            self.engine.unpause(container.id)
            container = self.engine.find(container.id) or container
        return self._attach(server, container)

    def _attach(self, server: ResolvedServer, container: Container) -> StartedServer | None:
        held = StartedServer(container, open_shell(self.engine, server), "attached")
        if not held.shell.was_ready or self._answers(server, container):
            return held
        held.shell.close()
        step = decide(Seen(container=container, deaf=True), server.request, recreate=self.recreate)
        return self._carry_out(step, server, container, None)

    def _answers(self, server: ResolvedServer, container: Container) -> bool:
        exchange, address = server.database_type.ready, container.address
        if address is None:
            return False
        looks = tries(DEAF_AFTER_S, pause_s=AGAIN_S)
        return any(exchange.proves(ask(address, exchange)) for _ in looks)

    def _create(self, server: ResolvedServer, cached: str | None) -> StartedServer:
        if server.request.kept:
            self._retire_predecessors(server)
        spec, origin = server.spec, "created"
        if cached is not None:  # The cached data contains what the init scripts did.
            spec, origin = replace(spec, image=cached, files={}), "restored"
        hold = partial(hold_started, self.engine, server, origin)
        held, guard = self._starter.start_new(spec, uuid4(), hold)
        guard.release()
        return held

    def _wait(
        self, server: ResolvedServer, held: StartedServer, *, initialises: bool
    ) -> Watch | None:
        """Wait outside the lock, so that other processes may find the server and wait too."""
        if held.watch is None and held.shell.was_ready:
            return None
        watch = held.watch or self.engine.watch(held.container.id)
        look = Progress(self._telling(server, held, initialises=initialises)).look
        try:
            self._starter.wait(
                server.database_type, server.credentials, held.container, watch, look=look
            )
        except InstanceDied:
            watch.close()
            raise
        held.shell.mark_ready()
        return watch

    def _telling(
        self, server: ResolvedServer, held: StartedServer, *, initialises: bool
    ) -> Callable[[float, float], bool]:
        """Return a function that reports progress, once for all processes of the run that wait."""
        what = "initialising" if initialises and server.database_type.server.cached else "starting"

        def tell(moment: float, seconds: float) -> bool:
            if not self.is_awaited():
                return False
            with suppress(LdbError):  # If the server has ended, the wait raises the error.
                if held.shell.is_first(f"{server.request.scope.run}-{moment:g}"):
                    self._tell(server, f"{what}, {seconds:.0f} s")
            return True

        return tell

    def _retire_predecessors(self, server: ResolvedServer) -> None:
        """Remove kept servers of this project and type that were made for another request."""
        request = server.request
        labels = {
            f"{LABEL}schema": SCHEMA,
            f"{LABEL}project": request.scope.project,
            f"{LABEL}type": request.database_type.name,
            f"{LABEL}kept": "true",
        }
        for container in those_of_ours(self.engine.containers(labels)):
            ours = Ownership.of(container)
            if container.name != request.container and not self._in_use(container):
                changed = request.difference(ours.facts)
                self._tell(server, f"replacing the kept server: {changed}")
                self.engine.remove(container.id)

    def _in_use(self, container: Container) -> bool:
        """Whether another process holds a container."""
        if container.state != "running":
            return False
        try:
            shell = self.engine.shell(container.id, environment={}, ephemeral=False)
        except (ShellLost, EngineFailed):
            return False
        shell.close()
        return shell.others > 0

    @cached_property
    def _starter(self) -> Starter:
        return Starter(self.engine, self.timeout_s)

    def _tell(self, server: ResolvedServer, what: str) -> None:
        self.say(f"{server.database_type.name}: {what}")
