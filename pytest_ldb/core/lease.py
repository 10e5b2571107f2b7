"""A server that this process uses, and the databases it makes there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .database import Database
from .errors import CommandFailed, InvalidRequest, LdbError, hidden
from .model import Instance
from .shell import Shell
from .types import DatabaseType, render

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
        values: What the placeholders of commands mean to that shell.
        outlives_run: Whether databases must be dropped, since the server does not go.
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
    start_s: float = 0.0
    ready_s: float = 0.0

    def create_database(self, name: str) -> Database:
        """Create a database that is gone when this process, or the server, is gone.

        Args:
            name: Its name; where databases have numbers, a free one is taken instead.

        Raises:
            InvalidRequest: The name is too long for the server.
            CommandFailed: The server refused.
        """
        if self.database_type.numbered_databases:
            name = self._claim_number()
        else:
            self._check(name)
            if self.outlives_run:
                self._run_later(self.database_type.drop, name)
            self._run(self._creation, name)
        return Database(self.instance, name, self.database_type)

    @property
    def _creation(self) -> tuple[str, ...]:
        filled = self.database_type.init_scripts and self.origin != "external"
        return self.database_type.clone if filled else self.database_type.create

    def _claim_number(self) -> str:
        """Take numbers until one is free; those that are not stay taken, so nobody tries again."""
        count = self.database_type.numbered_databases
        refusal: LdbError | None = None
        while (number := self.shell.take_number(count)) is not None:
            name = str(number)
            try:
                self._run(self.database_type.create, name)
            except CommandFailed as error:
                if error.status != IN_USE:
                    raise
                refusal = error
                continue
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

    def _run(self, command: tuple[str, ...], database: str) -> None:
        if command:
            self.shell.run(self._rendered(command, database))

    def _run_later(self, command: tuple[str, ...], database: str) -> None:
        if command:
            self.shell.later(self._rendered(command, database))

    def _rendered(self, command: tuple[str, ...], database: str) -> list[str]:
        values = {**self.values, "database": database}
        return [render(argument, values) for argument in command]
