"""The hooks that projects and other plugins may implement."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ..engines.protocol import Engine
    from ..model.database_type import DatabaseType
    from ..model.instance import Instance


@pytest.hookspec
def pytest_ldb_database_types(config: pytest.Config) -> Iterable[DatabaseType]:  # type: ignore[empty-body]
    """Return database types to add, or to put in the place of others of the same name.

    A project's ``conftest.py`` beats a plugin, which beats pytest-ldb. Called once, before
    collection, so it works in ``conftest.py`` files that pytest loads at its start: the root
    directory's and those of the paths on its command line or in ``testpaths``.
    """


@pytest.hookspec(firstresult=True)
def pytest_ldb_engine(config: pytest.Config) -> Engine | None:
    """Return where containers live; if no hook does, the Docker engine is used.

    Called when the first server is needed.
    """


@pytest.hookspec
def pytest_ldb_instance_ready(config: pytest.Config, instance: Instance) -> None:
    """Called in each process when it has obtained a server that is ready, before any test uses it.

    What this raises fails the tests that wanted the server.
    """
