"""This process's part in the run: which servers it holds, and which database it has on each."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..engines.protocol import Engine, Log
from ..lifecycle.attach_cache import AttachCache
from ..lifecycle.cache import ServerCache
from ..lifecycle.lease import Lease
from ..lifecycle.planner import Planner, ResolvedServer
from ..lifecycle.shared import SharedServers
from ..model.credentials import UserIdentity
from ..model.database import Database
from ..model.database_type import DatabaseType
from ..model.errors import ImageUnavailable, LdbError, hidden
from ..model.instance import Instance, type_named
from ..model.request import Scope
from ..model.settings import Settings
from ..shell.shell import Shell
from ..util.background import BackgroundTasks
from ..util.locks import alone

if TYPE_CHECKING:
    # Imported on use: the first test waits for what is imported here.
    from ..isolation.pool import Pool
    from ..isolation.templates import Templates
    from ..lifecycle.commands import Lifecycle
    from ..lifecycle.hold import PendingServer

__tracebackhide__ = hidden

LOOK_EVERY_S = 0.01


@dataclass
class Session:
    """Obtains servers for this process, each once.

    Args:
        settings: What the user decided.
        types: The types that there are.
        root: The directory of the checkout.
        run: The id of the run.
        worker: The id of this xdist worker; empty without xdist.
        make_engine: Connects to the engine, on first use.
        state: A directory of the user's, for the secret and for locks.
        say: Takes a line for the user.
        on_ready: Called with each server when it has been obtained.
        leases: The servers that tests of this process asked for, by type.
        kept_failed: The names of those that stay because a test failed.
        early: The databases whose addresses are in the environment, by type.
        beside: What the databases are called that others make beside those, by type.
        pulls_s: How long images were waited for that were not there, by type.
    """

    settings: Settings
    types: Sequence[DatabaseType]
    root: Path
    run: str
    worker: str
    make_engine: Callable[[], Engine]
    state: Path
    say: Callable[[str], None]
    on_ready: Callable[[Instance], None]
    leases: dict[str, Lease] = field(default_factory=dict)
    kept_failed: set[str] = field(default_factory=set)
    early: dict[str, Database] = field(default_factory=dict)
    beside: dict[str, Sequence[str]] = field(default_factory=dict)
    pulls_s: dict[str, float] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _templates: dict[str, Templates] = field(default_factory=dict)
    _pools: dict[tuple[str, str | None], Pool[Database]] = field(default_factory=dict)

    def database(self, name: str, setup: object = None) -> Database:
        """Return a database of this process on the server that the run shares.

        It is a new one, or that of the environment, which a setup fills anew.

        Args:
            name: Of a type of database.
            setup: What fills it, see :meth:`Setup.of`.

        Raises:
            LdbError: One of its subclasses says what is in the way.
            Exception: What the setup raised.
        """
        templates = self.templates(name)
        template, databases = templates.of(setup), templates.databases
        early = self.early.get(templates.database_type.name)
        if early is None:
            initial = databases.initial() if template is None else None
            return initial or databases.create(self.database_name, template)
        if template is not None:
            databases.restore(early, template)
        return early

    def fresh(self, name: str, setup: object, expected: Callable[[], int]) -> Pool[Database]:
        """Return what hands out databases for single tests; errors as above.

        Args:
            name: Of a type of database.
            setup: What fills them, see :meth:`Setup.of`.
            expected: Returns how many tests there are that use them.
        """
        from ..isolation.factory import DatabaseFactory
        from ..isolation.pool import Pool

        templates = self.templates(name)
        key = database_type, template = templates.database_type.name, templates.of(setup)
        if key not in self._pools:
            prefix = f"{self.database_name}_{len(self._pools)}"
            source = DatabaseFactory(templates.databases, prefix, template)
            pool = Pool(source, expected(), lambda line: self.say(f"{database_type}: {line}"))
            self._pools[key] = pool
        return self._pools[key]

    def expect_no_more(self) -> None:
        """Make no databases ahead of need any more, as the last test has begun."""
        for pool in self._pools.values():
            pool.expect_no_more()

    def keep_failed(self, database: Database) -> None:
        """Keep the database of a test that failed, and its server, if that was asked for."""
        lease = self.leases.get(database.database_type.name)
        if self.settings.keep_failed and lease and lease.instance == database.instance:
            databases = self.templates(lease.database_type.name).databases
            for name in (database.database, *self.beside.get(database.database_type.name, ())):
                databases.keep(replace(database, database=name))
            lease.keep()
            self.kept_failed.add(lease.instance.name)

    def adopt(self, settings: Settings, types: Sequence[DatabaseType]) -> None:
        """Take in what is known only when conftest files have been imported."""
        self.settings, self.types = settings, types
        self.__dict__.pop("_planner", None)

    def log(self, container: str, *, tail: int, since: float) -> Log:
        """Return the last of what a server wrote since a moment; see :meth:`Engine.log`."""
        return self._engine.log(container, tail=tail, since=since)

    @property
    def made(self) -> Sequence[Instance]:
        """The servers that tests had to themselves."""
        return self.lifecycle.created if "lifecycle" in self.__dict__ else ()

    def templates(self, name: str) -> Templates:
        """Return the templates, and what makes databases, on the server that the run shares."""
        from ..isolation.databases import databases_on
        from ..isolation.templates import Templates

        lease = self.lease(name)
        templates = Templates(databases_on(lease), self.run, self.say)
        return self._templates.setdefault(lease.database_type.name, templates)

    def begin(self, names: Iterable[str]) -> None:
        """Start servers in the background; who needs one waits for what is left to do."""
        for database_type in [type_named(name, self.types) for name in names]:
            if database_type.name not in self.leases:
                self._background.begin(database_type.name, partial(self._obtain, database_type))

    def lease(self, name: str) -> Lease:
        """Return this process's lease on the server that the run shares."""
        database_type = type_named(name, self.types)
        if database_type.name not in self.leases:
            self.leases[database_type.name] = self._background.result(
                database_type.name, lambda: self._obtain(database_type)
            )
            self.on_ready(self.leases[database_type.name].instance)
        return self.leases[database_type.name]

    @property
    def held(self) -> list[Lease]:
        """The leases of this process, those that its tests did not ask for included."""
        return [*self.leases.values(), *self._background.results()]

    def unready(self, patience_s: float) -> list[PendingServer]:
        """Return the servers that this process has begun to obtain and that are not ready yet.

        Args:
            patience_s: The most time to wait until they have been started.
        """
        deadline = time.monotonic() + patience_s
        while self._background.pending() - set(self._begun) and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_S)
        held = {lease.instance.id for lease in self.held}
        return [server for server in self._begun.values() if server.instance.id not in held]

    def templates_s(self, name: str) -> list[float]:
        """Return how long each template took that this process made on the server of a type."""
        return self._templates[name].took_s if name in self._templates else []

    def waits(self, name: str) -> Counter[float]:
        """Return how often a test of this process waited how long for a database of a type."""
        pools = [pool for (database_type, _), pool in self._pools.items() if database_type == name]
        return sum((pool.waits for pool in pools), Counter())

    @cached_property
    def lifecycle(self) -> Lifecycle:
        """The seven commands, for servers that a test has to itself."""
        from ..lifecycle.commands import Lifecycle

        with self._lock:
            return Lifecycle(self._planner, self.types)

    @property
    def database_name(self) -> str:
        """Unique per run and worker, made of lower-case letters, digits and underscores."""
        worker = re.sub(r"[^a-z0-9]+", "_", self.worker.lower())
        return "_".join(filter(None, ("ldb", self.run, worker)))

    def close(self) -> None:
        """End all leases; what is left to do happens in the containers."""
        for pool in self._pools.values():
            pool.close()
        for lease in self.leases.values():
            lease.close()
        self._background.give_up(Lease.close)
        for closed in (self.leases, self._pools, self._templates):
            closed.clear()

    def close_lifecycle(self) -> None:
        """Delete the servers that tests had to themselves."""
        if "lifecycle" in self.__dict__:
            self.lifecycle.close()

    @property
    def order(self) -> bytes:
        """What is to be done about cache when the run is over; see :mod:`.cache_builder`."""
        if "_shared" not in self.__dict__ or not self._cache.need_work():
            return b""
        from ..lifecycle.cache_builder import CacheBuilder

        locks, timeout_s = self.state / "locks", self.settings.timeout_s
        return CacheBuilder(self._engine, self._cache, locks, timeout_s).to_bytes()

    @property
    def secrets(self) -> set[str]:
        """The passwords of all servers that this process has used."""
        used = [lease.instance for lease in self.held]
        return {str(instance.credentials.password) for instance in (*used, *self.made)}

    def abandon(self) -> None:
        """Let go of everything, from another thread, while a test may still run."""
        self.close()
        with suppress(LdbError):
            self.close_lifecycle()

    def _obtain(self, database_type: DatabaseType) -> Lease:
        url = self.settings.urls.get(database_type.name)
        if url is not None:
            from ..lifecycle.external import external_lease

            return external_lease(database_type, url, self._open_local_shell)
        with self._lock:  # Several threads may be the first to need these.
            planner, shared = self._planner, self._shared
        return shared.obtain(self._resolved(planner, database_type))

    def _resolved(self, planner: Planner, database_type: DatabaseType) -> ResolvedServer:
        if self.settings.pull == "missing":
            with suppress(ImageUnavailable):
                return planner.shared(database_type, pull="never")
        began = time.monotonic()
        with alone(self.state / "locks", f"{self._scope.project}-{database_type.name}-image"):
            server = planner.shared(database_type)  # one pull for all
        if self.settings.pull != "never":
            self.pulls_s[database_type.name] = time.monotonic() - began
        return server

    def _open_local_shell(self, subject: str, environment: Mapping[str, str]) -> Shell:
        from ..engines.docker.transport.streams import local_shell

        home = self.state / "external" / re.sub(r"\W+", "-", subject)
        return local_shell(subject, home=str(home), environment=environment)

    @property
    def _begun(self) -> dict[str, PendingServer]:
        return dict(self._shared.begun) if "_shared" in self.__dict__ else {}

    @cached_property
    def _background(self) -> BackgroundTasks[Lease]:
        return BackgroundTasks(self.say)

    @cached_property
    def _engine(self) -> Engine:
        return self.make_engine()

    @cached_property
    def _identity(self) -> UserIdentity:
        return UserIdentity.load(self.state)

    @cached_property
    def _scope(self) -> Scope:
        return Scope.of(self.root, self.run, self._identity.mark)

    @cached_property
    def _planner(self) -> Planner:
        return Planner(
            self._engine, self.settings, self._scope, self._identity, self._background.say
        )

    @cached_property
    def _cache(self) -> ServerCache:
        return ServerCache(
            self.state / "cache", self._identity.mark, self._engine.url, self.settings.cache
        )

    @cached_property
    def _shared(self) -> SharedServers:
        return SharedServers(
            engine=self._engine,
            cache=self._cache,
            directory=self.state / "locks",
            timeout_s=self.settings.timeout_s,
            recreate=self.settings.recreate,
            say=self._background.say,
            attach_cache=AttachCache(self.state, self.root, self._identity),
            is_awaited=self._background.is_awaited,
        )
