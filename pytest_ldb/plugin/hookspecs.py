"""Hooks that projects and other plugins can implement."""

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
    """Return database types to add, or to replace types of the same name.

    Types of a project's ``conftest.py`` take precedence over those of plugins, and these over the
    built-in ones. Called once before collection. Only ``conftest.py`` files that pytest loads at
    startup are used: that of the root directory, and those of the paths on the command line or in
    ``testpaths``.
    """


@pytest.hookspec(firstresult=True)
def pytest_ldb_engine(config: pytest.Config) -> Engine | None:
    """Return the engine that runs the containers, or None for the Docker engine.

    Called when the first server is needed; the first result that is not None is used.
    """


@pytest.hookspec
def pytest_ldb_instance_ready(config: pytest.Config, instance: Instance) -> None:
    """Called in each process for each server that is ready, before a test uses it.

    An exception fails all tests that use the server.
    """
