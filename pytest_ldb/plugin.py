"""The hooks that pytest calls, in the order in which it calls them. Wiring only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pytest

from . import hookspecs
from .options import add_options

if TYPE_CHECKING:
    from .core.runtime import Runtime
    from .core.settings import Settings
    from .core.types import DatabaseType
    from .session import Session
    from .workers import Place

SESSION = pytest.StashKey["Session"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    from .fixtures import fixture_module
    from .options import read_settings
    from .workers import find_place, hand_over

    types = _types(config)
    settings = read_settings(config, [kind.name for kind in types])
    place = find_place(config)
    hand_over(config, place)

    def session() -> Session:
        if SESSION not in config.stash:
            config.stash[SESSION] = _begin(config, settings, types, place)
        return config.stash[SESSION]

    config.pluginmanager.register(fixture_module(types, session), "ldb-fixtures")


def pytest_sessionfinish(session: pytest.Session) -> None:
    from .reporting import used_servers
    from .workers import hand_back

    if SESSION in session.config.stash:
        hand_back(session.config, used_servers(session.config.stash[SESSION]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    from .reporting import summary_lines, used_servers
    from .workers import handed_back

    config = terminalreporter.config
    own = used_servers(config.stash[SESSION]) if SESSION in config.stash else []
    lines = summary_lines([*own, *handed_back(config)])
    if lines:
        terminalreporter.section("ldb")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.hookimpl(trylast=True)
def pytest_ldb_database_types() -> Iterable[DatabaseType]:
    from .databases import BUILTIN

    return BUILTIN


@pytest.hookimpl(trylast=True)
def pytest_ldb_runtime() -> Runtime:
    from .runtimes.docker import DockerRuntime

    return DockerRuntime()


def _types(config: pytest.Config) -> list[DatabaseType]:
    """Return the types by name; of several with one name the first answer counts."""
    answers = config.hook.pytest_ldb_database_types(config=config)
    types: dict[str, DatabaseType] = {}
    for kind in (kind for answer in answers for kind in answer):
        types.setdefault(kind.name, kind)
    return list(types.values())


def _begin(
    config: pytest.Config, settings: Settings, types: Sequence[DatabaseType], place: Place
) -> Session:
    """Begin this process's part in the run.

    A worker's leases end with its process: xdist ends that after the last test of the whole run.
    """
    from platformdirs import user_state_path

    from .core.request import Scope
    from .reporting import printer
    from .session import Session
    from .workers import when_controller_is_gone

    session = Session(
        settings=settings,
        types=types,
        scope=Scope.of(config.rootpath, place.run),
        worker=place.worker,
        make_runtime=lambda: config.hook.pytest_ldb_runtime(config=config),
        state=user_state_path("pytest-ldb"),
        say=printer(config),
        on_ready=lambda instance: config.hook.pytest_ldb_instance_ready(
            config=config, instance=instance
        ),
    )
    config.add_cleanup(session.close_lifecycle)
    if not place.worker:
        config.add_cleanup(session.close)
    when_controller_is_gone(place, session.abandon)
    return session
