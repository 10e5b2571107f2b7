"""A server that this process uses, and the databases it makes there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .database import Database
from .errors import CommandFailed, InvalidRequest, LdbError, hidden
from .model import Instance
from .shell import Shell
from .types import DatabaseType, render

__tracebackhide__ = hidden

COMMAND_TIMEOUT_S = 600.0

IN_USE = 3
"""With this status `create` says that a numbered database is in use."""


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A server that this process uses; while the shell is open, the server stays.

    Args:
        instance: The server.
        database_type: Its kind.
        shell: Runs commands beside the server, and holds it.
        values: What the placeholders of commands mean to that shell.
        outlives_run: Whether databases must be dropped, since the server does not go.
        fingerprint: Of what the server was made from.
        origin: How it came: ``created``, ``attached``, ``restarted`` or ``external``.
        start_s: How long it took until the container ran.
        ready_s: How long it took from there until the server answered.
    """

    instance: Instance
    database_type: DatabaseType
    shell: Shell
    values: Mapping[str, str] = field(repr=False)
    outlives_run: bool
    origin: str
    fingerprint: str
    start_s: float = 0.0
    ready_s: float = 0.0

    def create_database(self, name: str, template: str | None = None) -> Database:
        """Create a database that is gone when this process, or the server, is gone.

        Args:
            name: Its name; where databases have numbers, a free one is taken instead.
            template: The database to copy; None for what the init scripts left, if there are any.

        Raises:
            InvalidRequest: The name is too long for the server.
            CommandFailed: The server refused.
        """
        if self.database_type.numbered_databases:
            name = self._claim_number(template)
        else:
            self._check(name)
            if self.outlives_run:
                self._run_later(self.database_type.drop, name)
            self._create(name, template)
        return Database(self.instance, name, self.database_type)

    def refill_database(self, number: str, template: str | None) -> Database:
        """Return the database with this number, which is this process's and empty, filled again."""
        self._create(number, template)
        return Database(self.instance, number, self.database_type)

    def drop_database(self, database: Database) -> None:
        """Drop a database, and end all connections to it."""
        self._run(self.database_type.drop, database.database)
        if self.outlives_run and not self.database_type.numbered_databases:
            self.shell.forget(self._rendered(self.database_type.drop, database.database, {}))

    def create_template(self, name: str) -> Database:
        """Create a database to be filled and copied; what a process that died left is dropped."""
        if self.database_type.numbered_databases:
            name = self._claim_number(None, keep=True)
        else:
            self._check(name)
            if self.origin == "external":
                self._run_later(self.database_type.drop, name)
            self._run(self.database_type.drop, name)
            self._create(name, None)
        return Database(self.instance, name, self.database_type)

    def load(self, database: Database, file: Path) -> None:
        """Run the statements in a file with the database's own client.

        Raises:
            InvalidRequest: The type does not say how.
            CommandFailed: A statement failed.
        """
        if not self.database_type.load:
            raise InvalidRequest(
                self.database_type.name, "nobody said how it loads files", remedy="Set `load`."
            )
        path = self.shell.put(file.name, file.read_bytes())
        self._run(self.database_type.load, database.database, file=path)

    def seal(self, database: Database) -> None:
        """Make a filled database ready to be copied again and again."""
        self._run(self.database_type.seal, database.database)

    def _create(self, name: str, template: str | None) -> None:
        filled = self.database_type.init_scripts and self.origin != "external"
        if template is None and filled:
            template = self.database_type.initial_database
        if template is None:
            self._run(self.database_type.create, name)
        else:
            self._run(self.database_type.clone, name, template=template)

    def _claim_number(self, template: str | None, *, keep: bool = False) -> str:
        """Take numbers until one is free; those that are not stay taken, so nobody tries again."""
        count = self.database_type.numbered_databases
        refusal: LdbError | None = None
        while (number := self.shell.take_number(count, keep=keep)) is not None:
            name = str(number)
            try:
                self._create(name, template)
            except CommandFailed as error:
                if error.status != IN_USE:
                    raise
                refusal = error
                continue
            if not keep:
                self._run_later(self.database_type.drop, name)
            return name
        raise InvalidRequest(
            self.instance.name,
            f"none of its {count} databases is free",
            evidence=str(refusal or "all are in use by processes of pytest-ldb"),
            remedy="Use fewer workers, or start the server with more databases.",
        )

    def _check(self, name: str) -> None:
        longest = self.database_type.longest_database_name
        if len(name.encode()) > longest:
            raise InvalidRequest(
                name,
                f"as the name of a database it has {len(name.encode())} bytes, and "
                f"{self.database_type.name} takes {longest}",
                remedy="Give the xdist workers shorter ids (--tx ID).",
            )

    def _run(self, command: tuple[str, ...], database: str, **more: str) -> None:
        if command:
            self.shell.run(self._rendered(command, database, more), timeout_s=COMMAND_TIMEOUT_S)

    def _run_later(self, command: tuple[str, ...], database: str) -> None:
        if command:
            self.shell.later(self._rendered(command, database, {}))

    def _rendered(
        self, command: tuple[str, ...], database: str, more: Mapping[str, str]
    ) -> list[str]:
        values = {**self.values, "database": database, **more}
        return [render(argument, values) for argument in command]
