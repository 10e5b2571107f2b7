"""Databases that no test has seen before."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

from .database import Database
from .lease import Lease


@dataclass
class FreshDatabases:
    """Makes databases on one server, and takes them back.

    Args:
        lease: The server.
        prefix: What the names begin with.
        template: The database to copy; None for an empty one, or what init scripts left.
    """

    lease: Lease
    prefix: str
    template: str | None
    _numbers: count[int] = field(default_factory=count)
    _spare: list[str] = field(default_factory=list)

    def next(self) -> Database:
        """Return a database that holds what the template holds, and nothing else."""
        if self._spare:
            return self.lease.refill_database(self._spare.pop(), self.template)
        name = f"{self.prefix}_{next(self._numbers)}"
        return self.lease.create_database(name, self.template)

    def take_back(self, database: Database) -> None:
        """Drop a database; where databases have numbers, its number is used again."""
        self.lease.drop_database(database)
        if database.database_type.numbered_databases:
            self._spare.append(database.database)
