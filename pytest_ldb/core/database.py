"""What a test receives: a database, and its address in the words of the usual drivers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from .errors import InvalidRequest, hidden
from .model import Address, Instance, Secret
from .types import DatabaseType, render

__tracebackhide__ = hidden


@dataclass(frozen=True)
class Database:
    """A database on a real server. It holds data, never connections.

    Args:
        instance: The server.
        database: The name of the database; for Redis its number.
        database_type: What is known about its kind.
    """

    instance: Instance
    database: str
    database_type: DatabaseType

    def __repr__(self) -> str:
        if self.instance.address is None:
            return f"<Database {self.database!r} on {self.instance.name!r}, which does not run>"
        return f"<Database {self.url!r}>"

    @property
    def address(self) -> Address:
        """Where the server listens."""
        if self.instance.address is None:
            raise InvalidRequest(
                self.instance.name, "it does not run, so it has no address", remedy="Start it."
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
        """A user who may do everything on the server."""
        return self.instance.credentials.user

    @property
    def password(self) -> str:
        """That user's password; its repr is a mask."""
        return self.instance.credentials.password

    @property
    def url(self) -> str:
        """The address with everything needed to connect; its repr hides the password."""
        return self._url(self.database_type.url)

    def sqlalchemy_url(self, driver: str) -> str:
        """Return the address for ``sqlalchemy.create_engine`` with the driver that you name.

        Args:
            driver: As SQLAlchemy spells it, for example ``psycopg``, ``asyncpg``, ``pymysql``.

        Raises:
            InvalidRequest: SQLAlchemy does not support this database.
        """
        if not self.database_type.dialect:
            raise self._unsupported("SQLAlchemy")
        _, _, rest = self.database_type.url.partition("://")
        return self._url(f"{self.database_type.dialect}+{driver}://{rest}")

    @property
    def keywords(self) -> dict[str, Any]:
        """Keyword arguments for the usual drivers: ``asyncpg.connect(**database.keywords)``."""
        return self._arguments(self.database_type.driver_keywords)

    @property
    def libpq(self) -> dict[str, Any]:
        """Keywords of libpq: ``psycopg.connect(**database.libpq)``.

        Raises:
            InvalidRequest: The database does not speak PostgreSQL's protocol.
        """
        if not self.database_type.libpq_keywords:
            raise self._unsupported("libpq")
        return self._arguments(self.database_type.libpq_keywords)

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables for other programs (``PGHOST``, …), to pass to ``subprocess``."""
        return self._filled(self.database_type.variables)

    def _filled(self, templates: Mapping[str, str]) -> dict[str, str]:
        return {name: self._fill(template) for name, template in templates.items()}

    def _fill(self, template: str) -> str:
        if "://" in template:
            return self._url(template)
        text = render(template, self._values)
        return Secret(text) if "{password}" in template else text

    def _arguments(self, templates: Mapping[str, str]) -> dict[str, Any]:
        numbers = ["{port}", "{database}" if self.database_type.numbered_databases else ""]
        filled = self._filled(templates)
        return {name: int(v) if templates[name] in numbers else v for name, v in filled.items()}

    def _url(self, template: str) -> Secret:
        values = {name: quote(value, safe="") for name, value in self._values.items()}
        values["host"] = f"[{self.host}]" if ":" in self.host else self.host
        return Secret(render(template, values), render(template, {**values, "password": "***"}))

    @property
    def _values(self) -> dict[str, str]:
        return {
            "user": self.user,
            "password": str(self.password),
            "host": self.host,
            "port": str(self.port),
            "database": self.database,
            "template": self.database_type.initial_database,
        }

    def _unsupported(self, what: str) -> InvalidRequest:
        return InvalidRequest(
            self.database_type.name,
            f"{what} does not know this kind of database",
            remedy="Use .url, or .keywords for its own driver.",
        )
