"""Real databases for tests: a test names a fixture and gets a server in a container.

The map of this folder:

* ``plugin`` the hooks that pytest calls; ``hookspecs`` those that others may implement;
  ``options``, ``fixtures``, ``reporting``; ``workers``, the only file that knows xdist
* ``session`` this process's part in a run
* ``core`` the lifecycle of servers, free of pytest and of Docker
* ``databases`` one declaration for each database
* ``runtimes`` where containers live; ``docker`` is the only file that imports the Docker SDK
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .core.database import Database, Snapshot
    from .core.errors import LdbError
    from .core.lifecycle import Lifecycle
    from .core.model import Address, Credentials, Instance, InstanceStatus
    from .core.setups import Setup
    from .core.types import DatabaseType, Exchange
    from .databases import MONGODB, MYSQL, POSTGRES, REDIS

_HOMES = {
    "Address": "core.model",
    "Credentials": "core.model",
    "Database": "core.database",
    "DatabaseType": "core.types",
    "Exchange": "core.types",
    "Instance": "core.model",
    "InstanceStatus": "core.model",
    "LdbError": "core.errors",
    "Lifecycle": "core.lifecycle",
    "MONGODB": "databases",
    "MYSQL": "databases",
    "POSTGRES": "databases",
    "REDIS": "databases",
    "Setup": "core.setups",
    "Snapshot": "core.database",
}

__all__ = [
    "MONGODB",
    "MYSQL",
    "POSTGRES",
    "REDIS",
    "Address",
    "Credentials",
    "Database",
    "DatabaseType",
    "Exchange",
    "Instance",
    "InstanceStatus",
    "LdbError",
    "Lifecycle",
    "Setup",
    "Snapshot",
]


def __getattr__(name: str) -> object:
    """Import public names on use: pytest imports this package in every run, used or not."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
