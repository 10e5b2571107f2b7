"""Loads files into a database with the database's own client."""

from __future__ import annotations

from pathlib import Path

from ..lifecycle.lease import Lease
from ..model.database import Database
from ..model.errors import InvalidRequest, hidden

__tracebackhide__ = hidden


def load(lease: Lease, database: Database, file: Path) -> None:
    """Run the statements in a file with the database's own client.

    Raises:
        InvalidRequest: The type does not define ``load``.
        CommandFailed: A statement failed.
    """
    operations = lease.database_type.operations
    if not operations.load:
        raise InvalidRequest(
            lease.database_type.name,
            f"{file.name} cannot be loaded: this database type does not define `load`",
            remedy="Set `operations.load` of the DatabaseType.",
        )
    path = lease.shell.put(file.name, file.read_bytes())
    lease.commands.run(operations.load, database.database, file=path)
