"""The databases of one process on one server: its own, those of its tests, the templates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from ..lifecycle.lease import Lease
from ..model.database import Database
from ..model.errors import LdbError, hidden
from .databases import Databases
from .templates import Templates

if TYPE_CHECKING:
    # Imported on use: most first tests do not need it.
    from .pool import Pool

__tracebackhide__ = hidden


@dataclass
class ServerDatabases:
    """The databases of one process on one server.

    Args:
        databases: Makes them.
        run: The id of the run.
        name: The name of this process's database, and the prefix of other names.
        say: Shows a line to the user.

    Attributes:
        early: The database whose address is in the environment, if there is one.
        beside: The names of databases that test runners derive from that one's name.
        skips: The exceptions with which a setup skips the tests.
        kept_failed: Whether a database was kept for a test that failed.
    """

    databases: Databases
    run: str
    name: str
    say: Callable[[str], None]
    early: Database | None = None
    beside: Sequence[str] = ()
    skips: tuple[type[BaseException], ...] = ()
    kept_failed: bool = False
    _made: int = 0
    _current: Database | None = None
    _kept: set[str] = field(default_factory=set)
    _pools: dict[str | None, Pool[Database]] = field(default_factory=dict)

    @property
    def lease(self) -> Lease:
        """The server."""
        return self.databases.lease

    def shared(self, setup: object) -> Database:
        """Return a new database for all tests of this process; see :meth:`Session.database`.

        The one before it is dropped: the fixture that had it has been torn down.
        """
        template = self._templates.of(setup)
        previous, self._current = self._current, None
        if self.early is None:
            self._drop(previous)
            self._current = self._new(template)
        else:
            if previous is not None or template is not None:
                self.databases.restore(self.early, template)
            self._current = self.early
        return self._current

    def make_early(self) -> Database:
        """Make the database whose address is in the environment, before any fixture is set up."""
        self.early = self._new(None)
        return self.early

    def fresh(self, setup: object, expected: Callable[[], int]) -> Pool[Database]:
        """Return a pool of databases for single tests; see :meth:`Session.fresh`."""
        from .factory import DatabaseFactory
        from .pool import Pool

        template = self._templates.of(setup)
        if template not in self._pools:
            source = DatabaseFactory(self.databases, f"{self.name}_{len(self._pools)}", template)
            self._pools[template] = Pool(source, expected(), self._say)
        return self._pools[template]

    def forget_setups(self) -> None:
        """Look again at what setups do: a fixture may have changed what the same function reads."""
        self._templates.forget()

    def keep(self, database: Database) -> None:
        """Keep the database of a test that failed, and the server."""
        self._kept.add(database.database)
        for name in (database.database, *self.beside):
            self.databases.keep(replace(database, database=name))
        self.lease.keep()
        self.kept_failed = True

    def expect_no_more(self) -> None:
        """Make no databases in advance from now on, as the last test has begun."""
        for pool in self._pools.values():
            pool.expect_no_more()

    def close(self) -> None:
        """Make and drop no more databases."""
        for pool in self._pools.values():
            pool.close()

    @property
    def templates_s(self) -> list[float]:
        """How long each template took that this process made, in seconds."""
        return self._templates.took_s

    @property
    def waits(self) -> Counter[float]:
        """How many tests of this process waited for a fresh database, by seconds."""
        return sum((pool.waits for pool in self._pools.values()), Counter())

    @cached_property
    def _templates(self) -> Templates:
        return Templates(self.databases, self.run, self.say, self.skips)

    def _new(self, template: str | None) -> Database:
        number, self._made = self._made, self._made + 1
        initial = self.databases.initial() if template is None and number == 0 else None
        name = f"{self.name}_again{number}" if number else self.name
        return initial or self.databases.create(name, template)

    def _drop(self, database: Database | None) -> None:
        if database is not None and database.database not in self._kept:
            with suppress(LdbError):  # It is dropped with the server, or when this process ends.
                self.databases.drop(database)

    def _say(self, line: str) -> None:
        self.say(f"{self.lease.database_type.name}: {line}")
