"""The servers and databases of one process of the run.

This module imports little: its imports delay opening the shells in kept servers.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import pytest

from ..lifecycle.attach_cache import AttachCache
from ..model.credentials import UserIdentity, state_directory
from ..model.errors import ImageUnavailable, LdbError, StartFailed, hidden
from ..util import clock
from ..util.background import BackgroundTasks
from ..util.poll import tries

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
    """Obtains each server once for this process, and holds the process's databases on them.

    Args:
        run: The settings and types of the run.
        parent: The session of the process that forked this one, if one did. Nothing of it is used
            that may be locked: threads are not forked, so nothing would unlock it.

    Attributes:
        process: The id of this process.
        servers: The servers that tests of this process use, by type.
        pulls_s: How long pulling a missing image took, in seconds, by type.
    """

    def __init__(self, run: RunPlugin, parent: Session | None = None) -> None:
        self.run = run
        self.process = os.getpid()
        self.servers: dict[str, ServerDatabases] = {}
        self.pulls_s: dict[str, float] = {}
        self.parent, self._passwords = parent, set(parent.passwords if parent else ())
        self._state = state_directory(run.place.home)
        self._preopened: PreopenedShells | None = None
        self._services: Services | None = None
        self._lock = threading.RLock()
        self._starts: BackgroundTasks[Lease] = BackgroundTasks()
        self._refused: dict[str, LdbError] = {}
        self._lifecycle: Lifecycle | None = None

    def begin(self, names: Iterable[str]) -> None:
        """Start servers in the background; a test that needs one waits until it is ready.

        Args:
            names: Names of database types.
        """
        names = list(names)
        if self.run.settings.keep and self._services is None:
            # Opening a shell takes longer than the imports below, so it is begun before them.
            with suppress(LdbError):  # The start raises it again, for the tests that need it.
                from ..engines.docker.preopened import preopened

                known = map(self._attach_cache.environment, names)
                self._preopened = preopened(known, self.run.place.home)
        # Import now, not in a thread: a test may have patched what the import needs by then.
        from . import services  # noqa: F401

        for database_type in [self._type(name) for name in names]:
            self._starts.begin(database_type.name, partial(self._obtain, database_type))

    def server(self, name: str) -> ServerDatabases:
        """Return the shared server of a type, with this process's databases.

        Raises:
            LdbError: The server could not be obtained; all tests get the same error.
            Exception: An exception of the hook `pytest_ldb_instance_ready`.
        """
        if name in self.servers:
            return self.servers[name]
        database_type = self._type(name)
        if database_type.name not in self.servers:
            self.servers[database_type.name] = self._ready(database_type)
        return self.servers[database_type.name]

    def database(self, name: str, setup: object = None) -> Database:
        """Return the database of this process on the shared server.

        It is a new database each time, or the one of ``--ldb-env`` with new content.

        Args:
            name: Name of a database type.
            setup: Setup of the database, see :meth:`Setup.of`.

        Raises:
            LdbError: The server or the database could not be obtained.
            Exception: An exception of the setup.
        """
        return self.server(name).shared(setup)

    def fresh(self, name: str, setup: object, expected: Callable[[], int]) -> Pool[Database]:
        """Return the pool of databases for single tests; raises as :meth:`database` does.

        Args:
            name: Name of a database type.
            setup: Setup of the databases, see :meth:`Setup.of`.
            expected: Returns how many tests use the pool.
        """
        # A child is forked for one test.
        return self.server(name).fresh(setup, (lambda: 1) if self.parent else expected)

    def lifecycle(self) -> Lifecycle:
        """Return the lifecycle commands, for servers of single tests."""
        if self._lifecycle is None:
            services = self.services()
            self._lifecycle = services.lifecycle(self.run.settings, self.run.types)
        return self._lifecycle

    def services(self) -> Services:
        """Return the services of this process, created on first use.

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

    def keep_failed(self, databases: Iterable[Database]) -> None:
        """Keep the databases of a failed test and their server if ``--ldb-keep-failed`` is set."""
        for database in databases if self.run.settings.keep_failed else ():
            server = self.servers.get(database.database_type.name)
            if server and server.lease.instance == database.instance:
                try:
                    server.keep(database)
                except LdbError as error:
                    self.run.say(f"{database!r} could not be kept. {error}")

    def expect_no_more(self) -> None:
        """Create no databases in advance any more, as the last test has begun."""
        for server in self.servers.values():
            server.expect_no_more()

    def log(self, container: str, *, tail: int, since: float) -> Log:
        """Return the last lines of a server's log; see :meth:`Engine.log`."""
        return self.services().engine.log(container, tail=tail, since=since)

    @property
    def made(self) -> Sequence[Instance]:
        """The servers that single tests have created."""
        return self._lifecycle.created if self._lifecycle else ()

    @property
    def held(self) -> list[Lease]:
        """All leases of this process, including servers that its tests did not use."""
        return self._starts.results()

    @property
    def early(self) -> list[Database]:
        """The databases of ``--ldb-env``."""
        return [server.early for server in self.servers.values() if server.early]

    @property
    def passwords(self) -> set[str]:
        """The passwords of all servers that this process has used."""
        return self._passwords | {instance.credentials.password for instance in self.made}

    def unready(self, patience_s: float) -> list[PendingServer]:
        """Return the servers that this process is starting and that are not ready yet.

        Args:
            patience_s: Maximum time to wait for their containers to start.
        """
        for _ in tries(patience_s, pause_s=LOOK_EVERY_S):
            if not self._starts.pending() - set(self._unfinished()):
                break
        held = {lease.instance.id for lease in self.held}
        return [server for server in self._unfinished().values() if server.instance.id not in held]

    def build_cache(self) -> None:
        """Start the update of the server cache, after the run."""
        if self._services is not None:
            self._services.build_cache(self.run.settings.timeout_s)

    def close(self) -> None:
        """End all leases; a server stops when its last lease ends."""
        for server in self.servers.values():
            server.close()
        self._starts.give_up(lambda lease: lease.close())
        self.servers.clear()

    def close_own(self) -> None:
        """Delete the servers that single tests have created, and close unused shells."""
        for own in (self._preopened, self._lifecycle):
            if own is not None:
                own.close()

    def abandon(self) -> None:
        """End everything, from another thread, while a test may still run."""
        self.close()
        with suppress(LdbError):
            self.close_own()

    def _ready(self, database_type: DatabaseType) -> ServerDatabases:
        """Obtain a server and call the hook; a failure is not retried."""
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
        server = ServerDatabases(
            *(databases, run.place.run, self._database_name, run.say),
            skips=(pytest.skip.Exception,),
        )
        inherited = self.parent.servers.get(name) if self.parent else None
        if inherited and inherited.early:
            server.early = replace(inherited.early, _keeper=databases)
        return server

    def _obtain(self, database_type: DatabaseType) -> Lease:
        lease = self._lease(database_type)
        self._passwords.add(lease.instance.credentials.password)
        return lease

    def _lease(self, database_type: DatabaseType) -> Lease:
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
        began = clock.monotonic()
        # With the lock one process pulls the image; the others wait and find it.
        with alone(services.locks, f"{services.scope.project}-{database_type.name}-image"):
            server = planner.shared(database_type)
        if settings.pull != "never":
            self.pulls_s[database_type.name] = clock.monotonic() - began
        return server

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
        """Unique per process of the run; lower-case letters, digits and underscores."""
        place = self.run.place
        worker = re.sub(r"[^a-z0-9]+", "_", place.worker.lower())
        child = f"f{self.process}" if self.parent else ""
        return "_".join(filter(None, ("ldb", place.run, worker, child)))


def _refusal(name: str, error: Exception) -> LdbError:
    """Return the error for all tests after the first, which shows the exception of the hook."""
    if isinstance(error, LdbError):
        return error
    return StartFailed(
        name,
        f"pytest_ldb_instance_ready raised {type(error).__name__}",
        remedy="The first test that used the server has the details.",
    )
