"""A server that this process uses, and the databases it makes there."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ..engines.protocol import Watch
from ..model.database import Database
from ..model.database_type import DatabaseType
from ..model.errors import CommandFailed, InvalidRequest, LdbError, hidden
from ..model.instance import Instance
from ..shell.client_commands import DatabaseCommands
from ..shell.shell import Shell

__tracebackhide__ = hidden

IN_USE = 3
"""With this status `create` says that a numbered database is in use."""


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A server that this process uses; while the shell is open, the server stays.

    Args:
        instance: The server.
        database_type: Its kind.
        shell: Runs commands beside the server, and holds it.
        container: The engine's id of its container; empty for one that exists elsewhere.
        values: What the placeholders of commands mean to that shell.
        outlives_run: Whether databases must be dropped, since the server does not go.
        fingerprint: Of what the server was made from.
        origin: How it came: ``created``, ``restored`` (from a snapshot), ``attached``,
            ``restarted`` or ``external``.
        data_paths: Where the server holds its data in memory.
        start_s: How long it took until the container ran.
        ready_s: How long it took from there until the server answered.
        watch: Evidence of how it runs, where this process waited for it to become ready.
        since: When this process got it, in seconds since 1970.
    """

    instance: Instance
    database_type: DatabaseType
    shell: Shell
    values: Mapping[str, str] = field(repr=False)
    outlives_run: bool
    origin: str
    fingerprint: str
    container: str = ""
    data_paths: tuple[str, ...] = ()
    start_s: float = 0.0
    ready_s: float = 0.0
    watch: Watch | None = field(default=None, repr=False)
    since: float = field(default_factory=time.time)
    _spare: deque[str] = field(default_factory=deque, repr=False)
    _exported: set[str] = field(default_factory=set, repr=False)
    _snapshots: dict[str, list[str]] = field(default_factory=dict, repr=False)

    def create_database(self, name: str, template: str | None = None) -> Database:
        """Create a database that is gone when this process, or the server, is gone.

        Args:
            name: Its name; where databases have numbers, a free one is taken instead.
            template: The database to copy; None for what the init scripts left, if there are any.

        Raises:
            InvalidRequest: The name is too long for the server.
            CommandFailed: The server refused.
        """
        if self.database_type.server.numbered_databases:
            name = self._number(template)
        else:
            self._check(name)
            if self.outlives_run:
                self.commands.later(self.database_type.operations.drop, name)
            self._create(name, template)
        return Database(self.instance, name, self.database_type, self)

    def initial_database(self) -> Database | None:
        """Return the database that the server has from the beginning, if it is empty and free.

        Taking it is faster than creating one. It is this process's until that ends, and is made
        anew then if the server stays.
        """
        database_type = self.database_type
        renewal = self.commands.renewal(database_type.server.initial_database)
        # A server that stays and can be started again may have lost what it knew of who has it.
        forgetful = self.outlives_run and not self.data_paths
        if database_type.init_scripts or self.origin == "external" or forgetful or not renewal:
            return None
        if not self.shell.take_initial(renewal if self.outlives_run else ()):
            return None
        return Database(self.instance, database_type.server.initial_database, database_type, self)

    def drop_database(self, database: Database) -> None:
        """Drop a database and its snapshots, and end all connections to it."""
        self._drop(database.database)
        for snapshot in self._snapshots.pop(database.database, ()):
            self._unseal(snapshot)
            self._drop(snapshot)

    def space_taken(self) -> float:
        """Return which part of the room for data is taken, from 0 to 1; 0 if nobody knows."""
        if not self.data_paths:
            return 0.0
        try:
            lines = self.shell.run(["df", "-Pk", *self.data_paths]).splitlines()[1:]
        except CommandFailed:
            return 0.0
        sizes = [(int(size), int(used)) for _, size, used, *_ in map(str.split, lines)]
        return max(used / self._room(size) for size, used in sizes)

    def keep_database(self, database: Database) -> None:
        """Do not drop a database when this process ends."""
        name = database.database
        if self.outlives_run and name == self.database_type.server.initial_database:
            self.shell.forget(self.commands.renewal(name))
        elif self.outlives_run:
            self.commands.not_later(self.database_type.operations.drop, name)

    def create_template(self, name: str) -> Database:
        """Create a database to be filled and copied; what a process that died left is dropped."""
        if self.database_type.server.numbered_databases:
            name = self._claim_number(keep=True)
        else:
            self._check(name)
            if self.origin == "external":
                self.commands.later(self.database_type.operations.drop, name)
            self.commands.do(self.database_type.operations.drop, name)
            self._create(name, None)
        return Database(self.instance, name, self.database_type, self)

    def drop_template(self, name: str) -> None:
        """Drop a template that nobody will copy any more."""
        self._unseal(name)
        self.commands.do(self.database_type.operations.drop, name)
        if self.database_type.server.numbered_databases:
            self.shell.run(["free_number", name])

    def load(self, database: Database, file: Path) -> None:
        """Run the statements in a file with the database's own client.

        Raises:
            InvalidRequest: The type does not say how.
            CommandFailed: A statement failed.
        """
        if not self.database_type.operations.load:
            raise InvalidRequest(
                self.database_type.name, "nobody said how it loads files", remedy="Set `load`."
            )
        path = self.shell.put(file.name, file.read_bytes())
        self.commands.do(self.database_type.operations.load, database.database, file=path)

    def seal(self, database: Database) -> None:
        """Make a filled database ready to be copied again and again."""
        self.commands.do(self.database_type.operations.seal, database.database)
        self.commands.disconnect(database.database)
        self._export(database.database)

    def snapshot(self, database: Database) -> str:
        """Copy a database, and return the name of the copy; connections to it are ended.

        Raises:
            CommandFailed: The server refused.
        """
        original = database.database
        names = self._snapshots.setdefault(original, [])
        try:
            self.seal(database)
            copy = self.create_database(f"{original}_s{len(names)}", original)
        finally:
            self._unseal(original)
        names.append(copy.database)
        self.seal(copy)
        return copy.database

    def restore(self, database: Database, snapshot: str) -> None:
        """Make a database equal to a snapshot; connections to it are ended.

        Raises:
            CommandFailed: The server refused.
        """
        self.commands.disconnect(database.database)
        self.commands.do(self.database_type.operations.drop, database.database)
        self._clone(snapshot, database.database)

    @cached_property
    def commands(self) -> DatabaseCommands:
        """What does the work."""
        return DatabaseCommands(self.database_type, self.shell, self.values)

    def _room(self, size_kib: int) -> int:
        """Data in memory counts as memory of the container too."""
        limit = self.database_type.memory_mib
        return size_kib if limit is None else min(size_kib, limit * 1024)

    def _unseal(self, database: str) -> None:
        self.commands.do(self.database_type.operations.unseal, database)
        self._exported.discard(database)

    def _drop(self, database: str) -> None:
        self.commands.disconnect(database)
        self.commands.do(self.database_type.operations.drop, database)
        if self.database_type.server.numbered_databases:
            self._spare.append(database)
        elif self.outlives_run:
            self.commands.not_later(self.database_type.operations.drop, database)

    def _create(self, name: str, template: str | None) -> None:
        filled = self.database_type.init_scripts and self.origin != "external"
        if template is None and filled:
            template = self.database_type.server.initial_database
        if template is None:
            self.commands.do(self.database_type.operations.create, name)
        else:
            self._clone(template, name)

    def _clone(self, template: str, name: str) -> None:
        self._export(template)
        self.commands.do(self.database_type.operations.clone, name, template=template)

    def _export(self, database: str) -> None:
        if database not in self._exported:
            if self.origin == "external":
                self.commands.later(self.database_type.operations.unseal, database)
            self.commands.do(self.database_type.operations.export, database)
            self._exported.add(database)

    def _number(self, template: str | None) -> str:
        """Take the number that was dropped longest ago, else a new one, and fill it."""
        try:
            number = self._spare.popleft()
        except IndexError:
            number = self._claim_number()
        else:
            # A program that an earlier test left behind may have written to it.
            self.commands.do(self.database_type.operations.drop, number)
        if template is not None:
            self._clone(template, number)
        return number

    def _claim_number(self, *, keep: bool = False) -> str:
        """Take numbers until one is free; those that are not stay taken, so nobody tries again."""
        count = self.database_type.server.numbered_databases
        refusal: LdbError | None = None
        while (number := self.shell.take_number(count, keep=keep)) is not None:
            name = str(number)
            try:
                self.commands.do(self.database_type.operations.create, name)
            except CommandFailed as error:
                if error.status != IN_USE:
                    raise
                refusal = error
                continue
            if not keep:
                self.commands.later(self.database_type.operations.drop, name)
            return name
        raise InvalidRequest(
            self.instance.name,
            f"none of its {count} databases is free",
            evidence=str(refusal or "all are in use by processes of pytest-ldb"),
            remedy="Use fewer workers, or start the server with more databases.",
        )

    def _check(self, name: str) -> None:
        longest = self.database_type.server.longest_database_name
        if len(name.encode()) > longest:
            raise InvalidRequest(
                name,
                f"as the name of a database it has {len(name.encode())} bytes, and "
                f"{self.database_type.name} takes {longest}",
                remedy="Give the xdist workers shorter ids (--tx ID).",
            )
