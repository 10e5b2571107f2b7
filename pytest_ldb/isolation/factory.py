"""Databases that no test has seen before."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import count

from ..lifecycle.lease import Lease
from ..model.database import Database
from .reset import DatabaseResetter


@dataclass
class DatabaseFactory:
    """Makes databases on one server, and puts them back or drops them.

    Args:
        lease: The server.
        prefix: What the names begin with.
        template: The database to copy; None for an empty one, or what init scripts left.
    """

    lease: Lease
    prefix: str
    template: str | None
    _numbers: count[int] = field(default_factory=count)

    @cached_property
    def resetter(self) -> DatabaseResetter | None:
        """What puts used databases back, where that is faster than a copy."""
        if self.template is None or not self.lease.database_type.reset.repair:
            return None
        return DatabaseResetter(self.lease.commands, self.template)

    @property
    def prefers_used(self) -> bool:
        """Whether using a database, or a number, again is faster than making one."""
        return self.resetter is not None or self.lease.database_type.server.numbered_databases > 0

    def make(self) -> Database:
        """Return a database that holds what the template holds, and nothing else."""
        name = f"{self.prefix}_{next(self._numbers)}"
        database = self.lease.create_database(name, self.template)
        if self.resetter:
            self.resetter.remember(database)
        return database

    def put_back(self, database: Database) -> bool:
        """Make a used database as good as new, or drop it; return whether it can be used again."""
        if self.resetter:
            if self.resetter.put_back(database):
                return True
            self.resetter.forget(database)
        self.lease.drop_database(database)
        return False

    def space_taken(self) -> float:
        """Return which part of the server's room for data is taken, from 0 to 1."""
        return self.lease.space_taken()
