"""The databases that this process makes on one server.

Most servers have databases with names, which are created and dropped. Others, like Redis, have a
fixed count of databases with numbers, which are taken, emptied and used again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from ..lifecycle.lease import Lease
from ..model.database import Database
from ..model.database_type import DatabaseType, Operations
from ..model.errors import CommandFailed, InvalidRequest, hidden
from ..shell.client_commands import DatabaseCommands

__tracebackhide__ = hidden

IN_USE = 3
"""Exit status with which ``create`` reports that a numbered database is in use."""


def databases_on(lease: Lease) -> Databases:
    """Return the databases of a server, by names or numbers."""
    numbered = lease.database_type.server.numbered_databases > 0
    return NumberedDatabases(lease) if numbered else NamedDatabases(lease)


@dataclass(frozen=True)
class Databases(ABC):
    """Makes, copies and drops databases on one server.

    Args:
        lease: The server.

    Attributes:
        prefers_used: Whether to drop a used database before another one is made.
    """

    prefers_used: ClassVar[bool] = False

    lease: Lease
    _exported: set[str] = field(default_factory=set, repr=False)
    _snapshots: dict[str, list[str]] = field(default_factory=dict, repr=False)

    @abstractmethod
    def create(self, name: str, template: str | None = None) -> Database:
        """Create a database that is dropped when this process ends, if the server still runs then.

        Args:
            name: Its name; not used where databases have numbers.
            template: The database to copy; None for what the init scripts left, if there are any.

        Raises:
            InvalidRequest: The name is too long, or no number is free.
            CommandFailed: The server refused.
        """

    @abstractmethod
    def initial(self) -> Database | None:
        """Take the database that the server has from the beginning, if it is empty and free.

        Taking it is faster than creating one. This process has it until it ends; if the server
        stays, the database is then dropped and created again.
        """

    @abstractmethod
    def keep(self, database: Database) -> None:
        """Do not drop a database when this process ends."""

    @abstractmethod
    def also_drop(self, names: Sequence[str]) -> Sequence[str]:
        """Drop what other programs make, too, when this process ends; return those names."""

    @abstractmethod
    def create_template(self, name: str) -> Database:
        """Create a database to fill and copy; a half-filled one of this name is dropped."""

    def drop(self, database: Database) -> None:
        """Drop a database and its snapshots, and end all connections to it."""
        self._drop(database.database)
        for snapshot in self._snapshots.pop(database.database, ()):
            self._unseal(snapshot)
            self._drop(snapshot)

    def drop_template(self, name: str) -> None:
        """Drop a template that is not copied any more."""
        self._unseal(name)
        self._commands.run(self._operations.drop, name)

    def seal(self, database: Database) -> None:
        """Prepare a filled database for being copied repeatedly."""
        self._commands.run(self._operations.seal, database.database)
        self._commands.disconnect(database.database)
        self._export(database.database)

    def snapshot(self, database: Database) -> str:
        """Copy a database and return the name of the copy; ends all connections to the original.

        Raises:
            CommandFailed: The server refused.
        """
        original = database.database
        names = self._snapshots.setdefault(original, [])
        try:
            self.seal(database)
            copy = self.create(f"{original}_s{len(names)}", original)
        finally:
            self._unseal(original)
        names.append(copy.database)
        self.seal(copy)
        return copy.database

    def restore(self, database: Database, snapshot: str | None) -> None:
        """Replace the content of a database by that of a snapshot; ends all connections to it.

        Without a snapshot it gets the content of a new one.

        Raises:
            CommandFailed: The server refused.
        """
        name = database.database
        self._commands.disconnect(name)
        self._commands.run(self._operations.drop, name)
        if snapshot is None:
            self._fill_anew(name)
        else:
            self._clone(snapshot, name)

    @abstractmethod
    def _fill_anew(self, name: str) -> None:
        """Make a database that was dropped what a new one is."""

    @property
    def _type(self) -> DatabaseType:
        return self.lease.database_type

    @property
    def _operations(self) -> Operations:
        return self.lease.database_type.operations

    @property
    def _commands(self) -> DatabaseCommands:
        return self.lease.commands

    def _database(self, name: str) -> Database:
        return Database(self.lease.instance, name, self._type, self)

    def _drop(self, name: str) -> None:
        self._commands.disconnect(name)
        self._commands.run(self._operations.drop, name)

    def _clone(self, template: str, name: str) -> None:
        self._export(template)
        self._commands.run(self._operations.clone, name, template=template)

    def _export(self, name: str) -> None:
        if name not in self._exported:
            if self.lease.origin == "external":
                self._commands.defer(self._operations.unseal, name)
            self._commands.run(self._operations.export, name)
            self._exported.add(name)

    def _unseal(self, name: str) -> None:
        self._commands.run(self._operations.unseal, name)
        self._exported.discard(name)


class NamedDatabases(Databases):
    """Databases with names, created and dropped."""

    def create(self, name: str, template: str | None = None) -> Database:
        """Create a database."""
        self._check(name)
        if self.lease.outlives_run:
            self._commands.defer(self._operations.drop, name)
        return self._create(name, template)

    def initial(self) -> Database | None:
        """Take the database that the server has from the beginning, if it is empty and free."""
        lease, name = self.lease, self._type.server.initial_database
        renewal = self._commands.renewal(name)
        # After a restart of a kept server on disk, the lock on its initial database is lost.
        forgetful = lease.outlives_run and not lease.data_paths
        if lease.origin == "external" or forgetful or not renewal or lease.is_filled:
            return None
        taken = lease.shell.take_initial(renewal if lease.outlives_run else ())
        return self._database(name) if taken else None

    def keep(self, database: Database) -> None:
        """Do not drop a database when this process ends."""
        name = database.database
        if self.lease.outlives_run and name == self._type.server.initial_database:
            self.lease.shell.forget(self._commands.renewal(name))
        elif self.lease.outlives_run:
            self._commands.cancel(self._operations.drop, name)

    def also_drop(self, names: Sequence[str]) -> Sequence[str]:
        """Drop the databases of these names, too, when this process ends."""
        for name in names if self.lease.outlives_run else ():
            self._commands.defer(self._operations.drop, name)
        return names

    def create_template(self, name: str) -> Database:
        """Create a database to fill and copy; a half-filled one of this name is dropped."""
        self._check(name)
        if self.lease.origin == "external":
            self._commands.defer(self._operations.drop, name)
        self._commands.run(self._operations.drop, name)
        return self._create(name)

    def _fill_anew(self, name: str) -> None:
        self._create(name)

    def _create(self, name: str, template: str | None = None) -> Database:
        if template is None and self.lease.is_filled:
            template = self._closed_initial()
        if template is None:
            self._commands.run(self._operations.create, name)
        else:
            self._clone(template, name)
        return self._database(name)

    def _closed_initial(self) -> str:
        """Return the name of the initial database, which refuses clients while it is copied."""
        name, seal = self._type.server.initial_database, self._operations.seal
        if seal and self.lease.outlives_run and name not in self._exported:
            self._commands.defer(self._operations.unseal, name)
        if seal:  # Each time, as a process that ends opens it again.
            self._commands.run(seal, name)
            self._commands.disconnect(name)
        return name

    def _drop(self, name: str) -> None:
        super()._drop(name)
        if self.lease.outlives_run:
            self._commands.cancel(self._operations.drop, name)

    def _check(self, name: str) -> None:
        size, longest = len(name.encode()), self._type.server.longest_database_name
        if size > longest:
            raise InvalidRequest(
                name,
                f"this name is {size} bytes long; the limit for {self._type.name} is {longest}",
                remedy="Give the xdist workers shorter ids (--tx ID).",
            )


@dataclass(frozen=True)
class NumberedDatabases(Databases):
    """Databases with numbers, taken, emptied and used again."""

    prefers_used = True

    _spare: deque[str] = field(default_factory=deque, repr=False)

    def create(self, name: str, template: str | None = None) -> Database:  # noqa: ARG002
        """Take the number that was dropped longest ago, else a new one, and fill it."""
        try:
            number = self._spare.popleft()
        except IndexError:
            number = self._claim(keep=False)
            self._commands.defer(self._operations.drop, number)
        else:
            # A program that an earlier test left behind may have written to it.
            self._commands.run(self._operations.drop, number)
        if template is not None:
            self._clone(template, number)
        return self._database(number)

    def initial(self) -> None:
        """Return None: the initial database is one of the numbers."""

    def keep(self, database: Database) -> None:
        """Do not empty a database when this process ends."""
        self._commands.cancel(self._operations.drop, database.database)

    def also_drop(self, names: Sequence[str]) -> Sequence[str]:  # noqa: ARG002
        """Drop nothing, as databases have no names."""
        return ()

    def create_template(self, name: str) -> Database:  # noqa: ARG002
        """Take a number that stays taken when this process ends."""
        return self._database(self._claim(keep=True))

    def drop_template(self, name: str) -> None:
        """Empty a template that is not copied any more, and free its number."""
        super().drop_template(name)
        self.lease.shell.run(["free_number", name])

    def _fill_anew(self, name: str) -> None:
        """Do nothing, as a number that was emptied is new."""

    def _drop(self, name: str) -> None:
        super()._drop(name)
        self._spare.append(name)

    def _claim(self, *, keep: bool) -> str:
        """Take numbers until one is free; those in use stay taken, so that each is tried once."""
        count = self._type.server.numbered_databases
        refusal: CommandFailed | None = None
        while (number := self.lease.shell.take_number(count, keep=keep)) is not None:
            refusal = self._refusal(str(number))
            if refusal is None:
                return str(number)
        raise InvalidRequest(
            self.lease.instance.name,
            f"none of its {count} databases is free",
            evidence=str(refusal or "all are in use by processes of pytest-ldb"),
            remedy="Use fewer workers, or start the server with more databases.",
        )

    def _refusal(self, number: str) -> CommandFailed | None:
        try:
            self._commands.run(self._operations.create, number)
        except CommandFailed as error:
            if error.status != IN_USE:
                raise
            return error
        return None
