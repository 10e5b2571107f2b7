"""Real databases for tests: a test requests a fixture and gets a server in a container.

Each folder answers one question; imports run from the first to the last, never back:

* ``plugin`` What does pytest see? ``cli`` What does the command do? ``testing`` How do I check a
  database type or an engine of my own?
* ``isolation`` How does a test get a database of its own?
* ``lifecycle`` How is a server created, shared and removed?
* ``engines`` Where does it run? ``engines.docker.transport.sdk`` alone imports docker.
* ``shell`` What runs beside the server? ``databases`` What is known about PostgreSQL, MySQL, …?
* ``model`` Which values travel? ``util`` Small tools that know nothing of databases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .databases import MONGODB, MYSQL, POSTGRES, REDIS
    from .lifecycle.commands import Lifecycle, Server
    from .model.database import Database, Snapshot
    from .model.database_type import (
        Addresses,
        ClientProgram,
        DatabaseType,
        Exchange,
        LogFormat,
        Operations,
        Reset,
        ServerProgram,
    )
    from .model.errors import LdbError
    from .model.instance import Address, Credentials, Instance, InstanceStatus
    from .model.setup import Setup

_HOMES = {
    "Address": "model.instance",
    "Addresses": "model.database_type",
    "ClientProgram": "model.database_type",
    "Credentials": "model.instance",
    "Database": "model.database",
    "DatabaseType": "model.database_type",
    "Exchange": "model.database_type",
    "Instance": "model.instance",
    "InstanceStatus": "model.instance",
    "LdbError": "model.errors",
    "Lifecycle": "lifecycle.commands",
    "LogFormat": "model.database_type",
    "MONGODB": "databases",
    "MYSQL": "databases",
    "Operations": "model.database_type",
    "POSTGRES": "databases",
    "REDIS": "databases",
    "Reset": "model.database_type",
    "Server": "lifecycle.commands",
    "ServerProgram": "model.database_type",
    "Setup": "model.setup",
    "Snapshot": "model.database",
}

__all__ = [
    "MONGODB",
    "MYSQL",
    "POSTGRES",
    "REDIS",
    "Address",
    "Addresses",
    "ClientProgram",
    "Credentials",
    "Database",
    "DatabaseType",
    "Exchange",
    "Instance",
    "InstanceStatus",
    "LdbError",
    "Lifecycle",
    "LogFormat",
    "Operations",
    "Reset",
    "Server",
    "ServerProgram",
    "Setup",
    "Snapshot",
]


def __getattr__(name: str) -> object:
    """Import public names lazily: pytest imports this package in every run, used or not."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    """List the public names too, although they are not imported yet."""
    return sorted({*globals(), *__all__})
