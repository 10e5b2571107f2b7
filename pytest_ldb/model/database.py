"""What a test receives: a database, and its address in the forms that drivers take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote
from uuid import UUID

from .database_type import DatabaseType, render
from .drivers import spelled
from .errors import InvalidRequest, NotRunning, hidden
from .instance import Address, Instance

__tracebackhide__ = hidden


class Keeper(Protocol):
    """Copies databases on one server."""

    def snapshot(self, database: Database) -> str:
        """Copy a database and return the name of the copy."""

    def restore(self, database: Database, snapshot: str) -> None:
        """Make a database equal to a copy."""


@dataclass(frozen=True)
class Snapshot:
    """The content of a database at one moment; it is dropped together with that database.

    Args:
        instance: The id of the server.
        name: The name of the copy on that server.
    """

    instance: UUID
    name: str


@dataclass(frozen=True)
class Database:
    """A database on a real server. It holds data, never connections.

    Args:
        instance: The server.
        database: The name of the database; for Redis its number.
        database_type: What is known about databases of this type.
    """

    instance: Instance
    database: str
    database_type: DatabaseType
    _keeper: Keeper | None = field(default=None, compare=False, repr=False)

    def snapshot(self) -> Snapshot:
        """Copy the content of the database, so that :meth:`restore` can bring it back.

        The server ends all connections to the database.

        Raises:
            InvalidRequest: This object came from another process, or from the fixture ``ldb``.
            CommandFailed: The server refused.
        """
        return Snapshot(self.instance.id, self._kept_by.snapshot(self))

    def restore(self, snapshot: Snapshot) -> None:
        """Replace the content of the database by that of a snapshot.

        The server ends all connections to the database; its address stays the same. A snapshot can
        be restored any number of times, also into another database of the same server.

        Raises:
            InvalidRequest: The snapshot is of another server, or as for :meth:`snapshot`.
            CommandFailed: The server refused.
        """
        if snapshot.instance != self.instance.id:
            raise InvalidRequest(repr(self), f"{snapshot} is of another server")
        self._kept_by.restore(self, snapshot.name)

    @property
    def _kept_by(self) -> Keeper:
        if self._keeper is None:
            raise InvalidRequest(
                repr(self),
                "snapshots are available only in the process that created the database",
                remedy="Use the object that the fixture returned, in its own process.",
            )
        return self._keeper

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the keeper: only the process that opened its shell can use it."""
        return {**self.__dict__, "_keeper": None}

    def __repr__(self) -> str:
        if self.instance.address is None:
            return f"<Database {self.database!r} on {self.instance.name!r}, which is not running>"
        masked = render(self.database_type.addresses.url, {**self._quoted, "password": "***"})
        return f"<Database {masked!r}>"

    @property
    def address(self) -> Address:
        """Where the server listens.

        Raises:
            NotRunning: The server has no address, as it is not running.
        """
        if self.instance.address is None:
            raise NotRunning(
                self.instance.name,
                "it is not running, so it has no address",
                remedy="Start it.",
            )
        return self.instance.address

    @property
    def host(self) -> str:
        """The server's host, usually 127.0.0.1."""
        return self.address.host

    @property
    def port(self) -> int:
        """The server's port on that host."""
        return self.address.port

    @property
    def user(self) -> str:
        """The server's superuser."""
        return self.instance.credentials.user

    @property
    def password(self) -> str:
        """The superuser's password."""
        return self.instance.credentials.password

    @property
    def name(self) -> str:
        """The same as ``database``."""
        return self.database

    @property
    def url(self) -> str:
        """The address with everything needed to connect, password included."""
        return self._url(self.database_type.addresses.url)

    def sqlalchemy_url(self, driver: str) -> str:
        """Return the address for ``sqlalchemy.create_engine`` with the driver that you name.

        Args:
            driver: As SQLAlchemy spells it, for example ``psycopg``, ``asyncpg``, ``pymysql``.

        Raises:
            InvalidRequest: SQLAlchemy does not support this database.
        """
        if not self.database_type.addresses.dialect:
            raise self._unsupported("SQLAlchemy does not support this database type")
        _, _, rest = self.database_type.addresses.url.partition("://")
        return self._url(f"{self.database_type.addresses.dialect}+{driver}://{rest}")

    def connect_args(self, driver: str) -> dict[str, Any]:
        """Return the keyword arguments that connect a driver to the database.

        ``psycopg.connect(**database.connect_args("psycopg"))``, also for the async functions and
        classes of that driver.

        Args:
            driver: The name under which it is installed or imported, in any case, for example
                ``PyMySQL``, ``mysql-connector-python`` or ``mysql.connector``.

        Raises:
            InvalidRequest: Its arguments are not declared; the message lists the known drivers.
        """
        known = {
            spelled(name): templates
            for name, templates in self.database_type.addresses.drivers.items()
        }
        if spelled(driver) not in known:
            raise self._unsupported(f"no arguments are declared for the driver {driver!r}")
        return {
            argument: self._argument(template)
            for argument, template in known[spelled(driver)].items()
        }

    @property
    def env(self) -> dict[str, str]:
        """Environment variables for other programs (``PGHOST``, …), to pass to ``subprocess``."""
        return {name: self._fill(text) for name, text in self.database_type.addresses.env.items()}

    def _argument(self, template: str) -> str | int:
        if template == "{url}":
            return self.url
        # Drivers refuse these as strings.
        numbers = ["{port}", "{database}" if self.database_type.server.numbered_databases else ""]
        return int(self._fill(template)) if template in numbers else self._fill(template)

    def _fill(self, template: str) -> str:
        return self._url(template) if "://" in template else render(template, self._values)

    def _url(self, template: str) -> str:
        return render(template, self._quoted)

    @property
    def _quoted(self) -> dict[str, str]:
        # An IPv6 address is in brackets in a URL (RFC 3986, section 3.2.2).
        values = {name: quote(value, safe="") for name, value in self._values.items()}
        return {**values, "host": f"[{self.host}]" if ":" in self.host else self.host}

    @property
    def _values(self) -> dict[str, str]:
        return {
            "user": self.user,
            "password": self.password,
            "host": self.host,
            "port": str(self.port),
            "database": self.database,
            "template": self.database_type.server.initial_database,
        }

    def _unsupported(self, fact: str) -> InvalidRequest:
        declared = ", ".join(self.database_type.addresses.drivers) or "no driver"
        return InvalidRequest(
            self.database_type.name,
            fact,
            remedy=f"Use .url. connect_args supports {declared}.",
        )
