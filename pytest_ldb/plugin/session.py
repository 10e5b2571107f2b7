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

from ..engines.protocol import Image, Log, Runtime
from ..lifecycle.attach_cache import Memory
from ..lifecycle.cache import Snapshots
from ..lifecycle.lease import Lease
from ..lifecycle.planner import Planner
from ..lifecycle.shared import Sharing
from ..model.credentials import user_secret
from ..model.database import Database
from ..model.database_type import DatabaseType
from ..model.errors import ImageUnavailable, LdbError, hidden
from ..model.instance import Instance, type_named
from ..model.request import CreateInstanceRequest, Scope
from ..model.settings import Settings
from ..shell.shell import Shell
from ..util.background import Ahead
from ..util.locks import alone

if TYPE_CHECKING:
    # Imported on use: the first test waits for what is imported here.
    from ..isolation.pool import Pool
    from ..isolation.templates import Templates
    from ..lifecycle.commands import Lifecycle
    from ..lifecycle.starter import Begun

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
        make_runtime: Connects to the engine, on first use.
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
    make_runtime: Callable[[], Runtime]
    state: Path
    say: Callable[[str], None]
    on_ready: Callable[[Instance], None]
    leases: dict[str, Lease] = field(default_factory=dict)
    kept_failed: set[str] = field(default_factory=set)
    early: dict[str, Database] = field(default_factory=dict)
    beside: dict[str, list[str]] = field(default_factory=dict)
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
        lease = self.lease(name)
        template = self._template(lease, setup)
        early = self.early.get(lease.database_type.name)
        if early is not None:
            if template is not None:
                lease.restore(early, template)
            return early
        initial = lease.initial_database() if template is None else None
        return initial or lease.create_database(self.database_name, template)

    def fresh(self, name: str, setup: object, expected: Callable[[], int]) -> Pool[Database]:
        """Return what hands out databases for single tests; arguments and errors as above.

        Args:
            name: Of a type of database.
            setup: What fills them, see :meth:`Setup.of`.
            expected: Tells how many tests there are that use them.
        """
        from ..isolation.factory import FreshDatabases
        from ..isolation.pool import Pool

        lease = self.lease(name)
        kind, template = lease.database_type.name, self._template(lease, setup)
        if (kind, template) not in self._pools:
            maker = FreshDatabases(lease, f"{self.database_name}_{len(self._pools)}", template)
            pool = Pool(maker, expected(), lambda line: self.say(f"{kind}: {line}"))
            self._pools[kind, template] = pool
        return self._pools[kind, template]

    def expect_no_more(self) -> None:
        """Make no databases ahead of need any more, as the last test has begun."""
        for pool in self._pools.values():
            pool.expect_no_more()

    def keep_failed(self, database: Database) -> None:
        """Keep the database of a test that failed, and its server, if that was asked for."""
        lease = self.leases.get(database.database_type.name)
        if self.settings.keep_failed and lease and lease.instance == database.instance:
            for name in (database.database, *self.beside.get(database.database_type.name, ())):
                lease.keep_database(replace(database, database=name))
            lease.shell.keep()
            self.kept_failed.add(lease.instance.name)

    def adopt(self, settings: Settings, types: Sequence[DatabaseType]) -> None:
        """Take in what is known only when conftest files have been imported."""
        self.settings, self.types = settings, types
        self.__dict__.pop("_planner", None)

    def log(self, container: str, *, tail: int, since: float) -> Log:
        """Return the last of what a server wrote since a moment; see :meth:`Runtime.log`."""
        return self._runtime.log(container, tail=tail, since=since)

    @property
    def made(self) -> Sequence[Instance]:
        """The servers that tests had to themselves."""
        return self.lifecycle.created if "lifecycle" in self.__dict__ else ()

    def _template(self, lease: Lease, setup: object) -> str | None:
        from ..isolation.templates import Templates

        kind = lease.database_type.name
        if kind not in self._templates:
            self._templates[kind] = Templates(lease, self.run, self.say)
        return self._templates[kind].of(setup)

    def begin(self, names: Iterable[str]) -> None:
        """Start servers in the background; who needs one waits for what is left to do."""
        for kind in [type_named(name, self.types) for name in names]:
            if kind.name not in self.leases:
                self._ahead.begin(kind.name, partial(self._obtain, kind))

    def lease(self, name: str) -> Lease:
        """Return this process's lease on the server that the run shares."""
        kind = type_named(name, self.types)
        if kind.name not in self.leases:
            self.leases[kind.name] = self._ahead.result(kind.name, lambda: self._obtain(kind))
            self.on_ready(self.leases[kind.name].instance)
        return self.leases[kind.name]

    @property
    def held(self) -> list[Lease]:
        """The leases of this process, those that its tests did not ask for included."""
        return [*self.leases.values(), *self._ahead.results()]

    def unready(self, patience_s: float) -> list[Begun]:
        """Return the servers that this process has begun to obtain and that are not ready yet.

        Args:
            patience_s: The most time to wait until they have been started.
        """
        deadline = time.monotonic() + patience_s
        while self._ahead.pending() - set(self._begun) and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_S)
        held = {lease.instance.id for lease in self.held}
        return [server for server in self._begun.values() if server.instance.id not in held]

    def templates_s(self, name: str) -> list[float]:
        """Return how long each template took that this process made on the server of a type."""
        return self._templates[name].took_s if name in self._templates else []

    def waits(self, name: str) -> Counter[float]:
        """Return how often a test of this process waited how long for a database of a type."""
        pools = [pool for (kind, _), pool in self._pools.items() if kind == name]
        return sum((pool.waits for pool in pools), Counter())

    @cached_property
    def lifecycle(self) -> Lifecycle:
        """The seven commands, for servers that a test has to itself."""
        from ..lifecycle.commands import Lifecycle

        with self._lock:
            return Lifecycle(self._runtime, self._planner, self.types, self._secret)

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
            lease.shell.close()
        self._ahead.give_up(lambda lease: lease.shell.close())
        self.leases.clear()
        self._pools.clear()
        self._templates.clear()

    def close_lifecycle(self) -> None:
        """Delete the servers that tests had to themselves."""
        if "lifecycle" in self.__dict__:
            self.lifecycle.close()

    @property
    def order(self) -> bytes:
        """What is to be done about snapshots when the run is over; see :mod:`.cache_builder`."""
        if "_sharing" not in self.__dict__ or not self._snapshots.need_work():
            return b""
        from ..lifecycle.cache_builder import Remembering

        locks, timeout_s = self.state / "locks", self.settings.timeout_s
        return Remembering(self._runtime, self._snapshots, locks, timeout_s).order()

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

    def _obtain(self, kind: DatabaseType) -> Lease:
        url = self.settings.urls.get(kind.name)
        if url is not None:
            from ..lifecycle.external import external_lease

            return external_lease(kind, url, self._open_local_shell)
        with self._lock:  # Several threads may be the first to need these.
            planner, sharing = self._planner, self._sharing
        request, image = self._plan(planner, kind)
        return sharing.obtain(request, image)

    def _plan(self, planner: Planner, kind: DatabaseType) -> tuple[CreateInstanceRequest, Image]:
        if self.settings.pull == "missing":
            with suppress(ImageUnavailable):
                return planner.shared(kind, pull="never")
        began = time.monotonic()
        with alone(self.state / "locks", f"{self._scope.project}-{kind.name}-image"):
            plan = planner.shared(kind)  # one pull for all
        if self.settings.pull != "never":
            self.pulls_s[kind.name] = time.monotonic() - began
        return plan

    def _open_local_shell(self, subject: str, environment: Mapping[str, str]) -> Shell:
        from ..engines.docker.transport.streams import local_shell

        home = self.state / "external" / re.sub(r"\W+", "-", subject)
        return local_shell(subject, home=str(home), environment=environment)

    @property
    def _begun(self) -> dict[str, Begun]:
        return dict(self._sharing.begun) if "_sharing" in self.__dict__ else {}

    @cached_property
    def _ahead(self) -> Ahead[Lease]:
        return Ahead(self.say)

    @cached_property
    def _runtime(self) -> Runtime:
        return self.make_runtime()

    @cached_property
    def _secret(self) -> bytes:
        return user_secret(self.state)

    @cached_property
    def _scope(self) -> Scope:
        return Scope.of(self.root, self.run, self._secret)

    @cached_property
    def _planner(self) -> Planner:
        return Planner(self._runtime, self.settings, self._scope, self._ahead.say)

    @cached_property
    def _snapshots(self) -> Snapshots:
        return Snapshots(
            self.state / "snapshots", self._secret, self._runtime.engine, self.settings.snapshots
        )

    @cached_property
    def _sharing(self) -> Sharing:
        return Sharing(
            runtime=self._runtime,
            secret=self._secret,
            snapshots=self._snapshots,
            directory=self.state / "locks",
            timeout_s=self.settings.timeout_s,
            recreate=self.settings.recreate,
            say=self._ahead.say,
            memory=Memory(self.state, self.root),
            is_awaited=self._ahead.is_awaited,
        )
