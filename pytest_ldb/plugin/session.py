"""This process's part in the run: it obtains servers, each once, and lets go of them.

What this imports is imported before a shell in a kept server is opened, so it imports little.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING
from weakref import WeakSet

from ..lifecycle.attach_cache import AttachCache
from ..model.credentials import UserIdentity, state_directory
from ..model.errors import ImageUnavailable, LdbError, StartFailed, hidden
from ..util.background import BackgroundTasks

if TYPE_CHECKING:
    from ..engines.docker.preopened import PreopenedShells
    from ..engines.protocol import Log
    from ..isolation.pool import Pool
    from ..isolation.server_databases import ServerDatabases
    from ..lifecycle.commands import Lifecycle
    from ..lifecycle.hold import PendingServer
    from ..lifecycle.lease import Lease
    from ..lifecycle.planner import ResolvedServer
    from ..model.database import Database
    from ..model.database_type import DatabaseType
    from ..model.instance import Instance
    from ..shell.shell import Shell
    from .services import Services
    from .state import RunPlugin

__tracebackhide__ = hidden

LOOK_EVERY_S = 0.01


class Session:
    """Obtains servers for this process, and has its databases on them.

    Args:
        run: The settings and types of the run.

    Attributes:
        servers: The servers that tests of this process asked for, by type.
        pulls_s: How long images were pulled that were missing, by type.
    """

    def __init__(self, run: RunPlugin) -> None:
        self.run = run
        self.servers: dict[str, ServerDatabases] = {}
        self.pulls_s: dict[str, float] = {}
        self._state = state_directory()
        self._preopened: PreopenedShells | None = None
        self._services: Services | None = None
        self._lock = threading.RLock()
        self._starts: BackgroundTasks[Lease] = BackgroundTasks()
        self._refused: dict[str, LdbError] = {}
        self._reported: WeakSet[LdbError] = WeakSet()
        self._lifecycle: Lifecycle | None = None

    def begin(self, names: Iterable[str]) -> None:
        """Start servers in the background; a test that needs one waits for the rest of its start.

        Args:
            names: Of database types.
        """
        names = list(names)
        if self.run.settings.keep and self._services is None:
            # An engine takes longer to open a shell than all that is imported from here on.
            with suppress(LdbError):  # The start raises it for the tests that need the server.
                self._preopened = self._preopen(names)
        # Imported here: later a test may have replaced what an import in a thread needs.
        from . import services  # noqa: F401

        for database_type in [self._type(name) for name in names]:
            self._starts.begin(database_type.name, partial(self._obtain, database_type))

    def server(self, name: str) -> ServerDatabases:
        """Return the server of a type that the run shares, with this process's databases.

        Raises:
            LdbError: It could not be obtained; the same error for each test that asks.
            Exception: What `pytest_ldb_instance_ready` raised.
        """
        if name in self.servers:
            return self.servers[name]
        database_type = self._type(name)
        if database_type.name not in self.servers:
            self.servers[database_type.name] = self._ready(database_type)
        return self.servers[database_type.name]

    def database(self, name: str, setup: object = None) -> Database:
        """Return the database of this process on the server that the run shares.

        It is a new one, or that of the environment, which a setup fills anew.

        Args:
            name: Of a type of database.
            setup: What fills it, see :meth:`Setup.of`.

        Raises:
            LdbError: One of its subclasses says what is wrong.
            Exception: What the setup raised.
        """
        return self.server(name).shared(setup)

    def fresh(self, name: str, setup: object, expected: Callable[[], int]) -> Pool[Database]:
        """Return what hands out databases for single tests; arguments and errors as above.

        Args:
            name: Of a type of database.
            setup: What fills them, see :meth:`Setup.of`.
            expected: Returns how many tests use them.
        """
        return self.server(name).fresh(setup, expected)

    def lifecycle(self) -> Lifecycle:
        """Return the seven commands, for servers that a test has to itself."""
        if self._lifecycle is None:
            services = self.services()
            self._lifecycle = services.lifecycle(self.run.settings, self.run.types)
        return self._lifecycle

    def services(self) -> Services:
        """Return what obtains servers, made on first use.

        Raises:
            EngineUnavailable: No container engine answers.
        """
        with self._lock:  # Several threads may be the first to need it.
            if self._services is None:
                from .services import make_services

                self._services = make_services(
                    self.run,
                    engine=self.run.engine(self._preopened),
                    state=self._state,
                    identity=self._identity,
                    attach_cache=self._attach_cache,
                    is_awaited=self._starts.is_awaited,
                )
            return self._services

    def keep_failed(self, database: Database) -> None:
        """Keep the database of a test that failed, and its server, if that was asked for."""
        server = self.servers.get(database.database_type.name)
        if self.run.settings.keep_failed and server and server.lease.instance == database.instance:
            server.keep(database)

    def report_failure(self, error: LdbError) -> str:
        """Return an error in full for the first test that it fails, and a sentence for others."""
        if error not in self._reported:
            self._reported.add(error)
            return str(error)
        return f"{error.subject}: {error.fact}. The first test that failed for it has the details."

    def expect_no_more(self) -> None:
        """Make no databases in advance from now on, as the last test has begun."""
        for server in self.servers.values():
            server.expect_no_more()

    def log(self, container: str, *, tail: int, since: float) -> Log:
        """Return the last lines that a server wrote since a moment; see :meth:`Engine.log`."""
        return self.services().engine.log(container, tail=tail, since=since)

    @property
    def made(self) -> Sequence[Instance]:
        """The servers that tests had to themselves."""
        return self._lifecycle.created if self._lifecycle else ()

    @property
    def held(self) -> list[Lease]:
        """The leases of this process, those that its tests did not ask for included."""
        return self._starts.results()

    @property
    def early(self) -> list[Database]:
        """The databases whose addresses are in the environment."""
        return [server.early for server in self.servers.values() if server.early]

    @property
    def passwords(self) -> set[str]:
        """The passwords of all servers that this process has used."""
        used = [lease.instance for lease in self.held]
        return {instance.credentials.password for instance in (*used, *self.made)}

    def unready(self, patience_s: float) -> list[PendingServer]:
        """Return the servers that this process has begun to obtain and that are not ready yet.

        Args:
            patience_s: Maximum time to wait until they have been started.
        """
        deadline = time.monotonic() + patience_s
        while self._starts.pending() - set(self._unfinished()) and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_S)
        held = {lease.instance.id for lease in self.held}
        return [server for server in self._unfinished().values() if server.instance.id not in held]

    def build_cache(self) -> None:
        """Begin what is to be done for the cache of servers after the run."""
        if self._services is not None:
            self._services.build_cache(self.run.settings.timeout_s)

    def close(self) -> None:
        """End all leases; the servers end themselves if no other process uses them."""
        for server in self.servers.values():
            server.close()
        self._starts.give_up(lambda lease: lease.close())
        self.servers.clear()

    def close_own(self) -> None:
        """Delete the servers that tests had to themselves, and close shells that were not used."""
        if self._preopened is not None:
            self._preopened.close()
        if self._lifecycle is not None:
            self._lifecycle.close()

    def abandon(self) -> None:
        """Let go of everything, from another thread, while a test may still run."""
        self.close()
        with suppress(LdbError):
            self.close_own()

    def _ready(self, database_type: DatabaseType) -> ServerDatabases:
        """Obtain a server and let the hook see it, once: a failure is not tried again."""
        from ..isolation.databases import databases_on
        from ..isolation.server_databases import ServerDatabases

        name = database_type.name
        if name in self._refused:
            raise self._refused[name]
        lease = self._starts.result(name, partial(self._obtain, database_type))
        try:
            self.run.on_ready(lease.instance)
        except Exception as error:
            self._refused[name] = _refusal(name, error)
            raise
        databases, run = databases_on(lease), self.run
        return ServerDatabases(databases, run.place.run, self._database_name, run.say)

    def _obtain(self, database_type: DatabaseType) -> Lease:
        url = self.run.settings.urls.get(database_type.name)
        if url is not None:
            from ..lifecycle.external import external_lease

            return external_lease(database_type, url, self._open_local_shell)
        services = self.services()
        return services.shared.obtain(self._resolved(services, database_type))

    def _resolved(self, services: Services, database_type: DatabaseType) -> ResolvedServer:
        from ..util.locks import alone

        settings = self.run.settings
        planner = services.planner(settings)
        if settings.pull == "missing":
            with suppress(ImageUnavailable):
                return planner.shared(database_type, pull="never")
        began = time.monotonic()
        # The first process pulls the image, the others find it.
        with alone(services.locks, f"{services.scope.project}-{database_type.name}-image"):
            server = planner.shared(database_type)
        if settings.pull != "never":
            self.pulls_s[database_type.name] = time.monotonic() - began
        return server

    def _preopen(self, names: Iterable[str]) -> PreopenedShells | None:
        """Begin to open shells in the servers that the run before has kept."""
        from ..engines.docker.preopened import PreopenedShells
        from ..engines.docker.transport.contexts import engine_address
        from ..engines.docker.transport.unix import SCHEMES, unix_transport

        wanted = dict(filter(None, map(self._attach_cache.environment, names)))
        url = engine_address() if wanted else None
        if url is None or not url.startswith(SCHEMES):
            return None
        return PreopenedShells(unix_transport(url), wanted)

    def _open_local_shell(self, subject: str, environment: Mapping[str, str]) -> Shell:
        from ..shell.local import local_shell

        home = self._state / "external" / re.sub(r"\W+", "-", subject)
        return local_shell(subject, home=str(home), environment=environment)

    def _unfinished(self) -> dict[str, PendingServer]:
        return dict(self._services.shared.begun) if self._services else {}

    def _type(self, name: str) -> DatabaseType:
        from ..model.instance import type_named

        return type_named(name, self.run.types)

    @cached_property
    def _identity(self) -> UserIdentity:
        return UserIdentity.load(self._state)

    @cached_property
    def _attach_cache(self) -> AttachCache:
        return AttachCache(self._state, self.run.config.rootpath, self._identity)

    @property
    def _database_name(self) -> str:
        """Unique per run and worker, made of lower-case letters, digits and underscores."""
        place = self.run.place
        worker = re.sub(r"[^a-z0-9]+", "_", place.worker.lower())
        return "_".join(filter(None, ("ldb", place.run, worker)))


def _refusal(name: str, error: Exception) -> LdbError:
    """Return the error for all tests after the one that has shown what the hook raised."""
    if isinstance(error, LdbError):
        return error
    return StartFailed(
        name,
        f"pytest_ldb_instance_ready has raised {type(error).__name__} before",
        remedy="The first test that used the server says why.",
    )
