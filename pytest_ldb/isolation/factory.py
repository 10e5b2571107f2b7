"""Makes the databases of a pool on one server, and resets or drops used ones."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count

from ..model.database import Database
from ..model.errors import LdbError
from .databases import Databases
from .reset import DatabaseResetter

LOOK_AFTER = 16
"""How many databases to make or reset between two looks at the space, while little is taken."""

LITTLE, MUCH = 0.25, 0.5
"""Fractions of the space: from the first on, look each time; above the second it is short."""


@dataclass
class DatabaseFactory:
    """Makes databases on one server, and resets or drops them.

    Args:
        databases: Those on the server.
        prefix: What the names begin with.
        template: The database to copy; None for an empty one, or what init scripts left.
    """

    databases: Databases
    prefix: str
    template: str | None
    _numbers: count[int] = field(default_factory=count)
    _looks_after: int = 1
    _short: bool = False

    @cached_property
    def resetter(self) -> DatabaseResetter | None:
        """Resets used databases; None where a new copy is faster."""
        lease = self.databases.lease
        if self.template is None or not lease.database_type.reset.repair:
            return None
        return DatabaseResetter(lease.commands, self.template)

    @property
    def prefers_used(self) -> bool:
        """Whether using a database, or a number, again is faster than making one."""
        return self.resetter is not None or self.databases.prefers_used

    def make(self) -> Database:
        """Return a database that holds what the template holds, and nothing else."""
        name = f"{self.prefix}_{next(self._numbers)}"
        database = self.databases.create(name, self.template)
        if self.resetter:
            try:
                self.resetter.remember(database)
            except BaseException:
                with suppress(LdbError):  # The first error says what is wrong.
                    self.databases.drop(database)
                raise
        return database

    def put_back(self, database: Database) -> bool:
        """Reset a used database, or drop it; return whether it can be used again."""
        if self.resetter:
            if self.resetter.put_back(database):
                return True
            self.resetter.forget(database)
        self.databases.drop(database)
        return False

    def is_short(self) -> bool:
        """Whether so much space is taken that there should be as few databases as possible.

        To be called after each database that was made, reset or dropped.
        """
        self._looks_after -= 1
        if self._looks_after <= 0:
            taken = self.databases.lease.space_taken()
            self._short = taken > MUCH
            self._looks_after = LOOK_AFTER if taken < LITTLE else 1
        return self._short
