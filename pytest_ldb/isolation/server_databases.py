"""The databases of one process on one server: its own, those of its tests, the templates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from ..lifecycle.lease import Lease
from ..model.database import Database
from ..model.errors import hidden
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
        kept_failed: Whether a database was kept for a test that failed.
    """

    databases: Databases
    run: str
    name: str
    say: Callable[[str], None]
    early: Database | None = None
    beside: Sequence[str] = ()
    kept_failed: bool = False
    _pools: dict[str | None, Pool[Database]] = field(default_factory=dict)

    @property
    def lease(self) -> Lease:
        """The server."""
        return self.databases.lease

    def shared(self, setup: object) -> Database:
        """Return a database for all tests of this process; see :meth:`Session.database`."""
        template = self._templates.of(setup)
        if self.early is not None:
            if template is not None:
                self.databases.restore(self.early, template)
            return self.early
        initial = self.databases.initial() if template is None else None
        return initial or self.databases.create(self.name, template)

    def fresh(self, setup: object, expected: Callable[[], int]) -> Pool[Database]:
        """Return a pool of databases for single tests; see :meth:`Session.fresh`."""
        from .factory import DatabaseFactory
        from .pool import Pool

        template = self._templates.of(setup)
        if template not in self._pools:
            source = DatabaseFactory(self.databases, f"{self.name}_{len(self._pools)}", template)
            self._pools[template] = Pool(source, expected(), self._say)
        return self._pools[template]

    def keep(self, database: Database) -> None:
        """Keep the database of a test that failed, and the server."""
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
        return Templates(self.databases, self.run, self.say)

    def _say(self, line: str) -> None:
        self.say(f"{self.lease.database_type.name}: {line}")
