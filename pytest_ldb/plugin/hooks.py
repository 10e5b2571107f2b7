"""The hooks that pytest calls, in the order in which it calls them. Wiring only.

What a run that needs no database does not need is imported on use.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from . import hookspecs
from .fixtures import BEGAN, FAILED, fixture_module, used_types
from .options import RUNS_NO_TEST, add_options, environment_is_wanted, read_options

if TYPE_CHECKING:
    from ..engines.docker.preopened import PreopenedShells
    from ..engines.protocol import Engine
    from ..model.database_type import DatabaseType
    from .session import Session

SESSION = pytest.StashKey["Session"]()
NAMES = pytest.StashKey[Iterable[str]]()
BEGIN = pytest.StashKey[Callable[[], "Session"]]()
KEEP = pytest.StashKey[bool]()
GIVEN = pytest.StashKey[dict[str, Any]]()
EARLY: pytest.StashKey[PreopenedShells] = pytest.StashKey()

BUILTIN = ("postgres", "mysql", "mongodb", "redis")
"""The names of `databases.BUILTIN`, known without importing those."""


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    # A wrapper comes before pytest-django imports the settings, in whatever order they are loaded.
    if environment_is_wanted(early_config):
        from .early_env import fill

        added = _added_types(early_config)
        fill(early_config, added, lambda decided: _session(early_config, decided, added))
    return (yield)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    added = _added_types(config)
    names = tuple(dict.fromkeys((*BUILTIN, *(database_type.name for database_type in added))))
    decided = read_options(config, names)

    def session() -> Session:
        return _session(config, decided, added)

    if SESSION in config.stash:
        from .early_env import adopt

        adopt(config, config.stash[SESSION], decided, added)
    config.stash[NAMES], config.stash[BEGIN] = names, session
    config.stash[KEEP] = decided.get("keep", False)
    config.stash[GIVEN] = {name: value for name, value in decided.items() if value not in ("", {})}
    config.pluginmanager.register(fixture_module(names, session), "ldb-fixtures")


def pytest_plugin_registered(plugin: object, manager: pytest.PytestPluginManager) -> None:
    late = manager.hasplugin("ldb-fixtures") and hasattr(plugin, "pytest_ldb_database_types")
    if late:
        warnings.warn(
            pytest.PytestConfigWarning(
                f"{getattr(plugin, '__file__', plugin)}: pytest_ldb_database_types comes too late "
                "here, its types are not used. Move it to the conftest.py of the root directory."
            ),
            stacklevel=1,
        )


def pytest_report_header(config: pytest.Config) -> str | None:
    given = config.stash[GIVEN]
    if not given and config.getoption("verbose") <= 0:
        return None
    from .terminal import header

    chosen = len(config.hook.pytest_ldb_engine.get_hookimpls()) > 1
    return header(given, chosen_engine=chosen)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    from .xdist import tell_worker

    tell_worker(node)


@pytest.hookimpl(trylast=True)
def pytest_ldb_engine(config: pytest.Config) -> Engine:
    from ..engines.docker.socket_engine import SocketEngine
    from ..engines.docker.transport.discovery import local_engine

    url = local_engine()
    if url is not None:
        return SocketEngine(url, config.stash.get(EARLY, None))
    from ..engines.docker.transport.sdk_import import sdk_engine

    return sdk_engine()


def pytest_collection_finish(session: pytest.Session) -> None:
    config = session.config
    used = used_types(session.items, config.stash[NAMES])
    if used and _runs_tests(session):
        from .xdist import share_of

        names = share_of(config, used)
        if config.stash[KEEP]:
            _open_early(config, names)
        config.stash[BEGIN]().begin(names)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    if nextitem is None and SESSION in item.config.stash:
        item.config.stash[SESSION].expect_no_more()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "setup":
        item.stash[BEGAN] = call.start
    if report.failed and SESSION in item.config.stash:
        from .failure_logs import show_logs
        from .masking import mask_report
        from .terminal import show_databases

        item.stash[FAILED] = True
        session = item.config.stash[SESSION]
        show_databases(item, report, session)
        show_logs(item, report, session)
        mask_report(report, session.secrets)
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int | pytest.ExitCode) -> None:
    config = session.config
    if SESSION in config.stash:
        from .usage import LAST_MOMENT_S, used_servers
        from .xdist import tell_controller

        ours = config.stash[SESSION]
        others_wait = ours.worker and exitstatus != pytest.ExitCode.INTERRUPTED
        used = used_servers(ours, LAST_MOMENT_S if others_wait else 0.0)
        tell_controller(config, used, ours.order)
    if "report" in config.stash[GIVEN]:
        _write_report(config)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    from .xdist import hear_worker

    hear_worker(node)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if SESSION in terminalreporter.config.stash or terminalreporter.config.pluginmanager.hasplugin(
        "dsession"
    ):
        from .terminal import show_summary

        show_summary(terminalreporter)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Do what can wait until nobody waits."""
    if SESSION in config.stash or config.pluginmanager.hasplugin("dsession"):
        from .xdist import orders

        for order in orders(config):
            from ..lifecycle.cache_builder import begin

            begin(order)


def _added_types(config: pytest.Config) -> Sequence[DatabaseType]:
    """Return the types of projects and plugins; of several with one name the first counts."""
    hook = config.hook.pytest_ldb_database_types
    if not hook.get_hookimpls():
        return []
    from ..databases import all_types
    from ..model.errors import InvalidRequest

    types: dict[str, DatabaseType] = {}
    try:
        for answer in hook(config=config):
            for database_type in _types_in(answer):
                types.setdefault(database_type.name, database_type)
        all_types(types.values())
    except InvalidRequest as error:
        raise pytest.UsageError(str(error)) from None
    return list(types.values())


def _types_in(answer: Any) -> Sequence[DatabaseType]:
    from ..model.database_type import DatabaseType

    database_types = list(answer) if isinstance(answer, Iterable) else [answer]
    for database_type in database_types:
        if not isinstance(database_type, DatabaseType):
            raise pytest.UsageError(
                "pytest_ldb_database_types returned something that is not a DatabaseType: "
                f"{database_type!r}. Return a list of them."
            )
    return database_types


def _runs_tests(session: pytest.Session) -> bool:
    """Whether the tests that were collected are going to be run."""
    asked = session.config.getoption
    broken = session.testsfailed and not asked("continue_on_collection_errors")
    return not broken and not any(asked(option) for option in RUNS_NO_TEST)


def _write_report(config: pytest.Config) -> None:
    from .json_report import write_report
    from .terminal import printer
    from .usage import added_up
    from .xdist import place_of, told_by_all

    if not place_of(config).worker:
        path = config.invocation_params.dir / config.stash[GIVEN]["report"]
        if problem := write_report(path, added_up(told_by_all(config))):
            printer(config)(f"--ldb-report: {problem}")


def _open_early(config: pytest.Config, names: Iterable[str]) -> None:
    """Begin to attach to the kept servers of the run before, while all the rest is imported."""
    from ..engines.docker.preopened import PreopenedShells
    from ..engines.docker.transport.discovery import local_engine, socket_of
    from ..lifecycle.attach_cache import AttachCache
    from ..model.credentials import UserIdentity, state_directory

    state = state_directory()
    attach_cache = AttachCache(state, config.rootpath, UserIdentity.load(state))
    wanted = dict(filter(None, map(attach_cache.environment, names)))
    url = local_engine() if wanted else None
    if url is not None:
        config.stash[EARLY] = PreopenedShells(socket_of(url), wanted)
        config.add_cleanup(config.stash[EARLY].close)


def _session(
    config: pytest.Config, decided: dict[str, Any], added: Iterable[DatabaseType]
) -> Session:
    if SESSION not in config.stash:
        config.stash[SESSION] = _begin(config, decided, added)
    return config.stash[SESSION]


def _begin(
    config: pytest.Config, decided: dict[str, Any], added: Iterable[DatabaseType]
) -> Session:
    """Begin this process's part in the run.

    A worker's leases end with its process: xdist ends that after the last test of the whole run.
    """
    from ..databases import all_types
    from ..model.credentials import state_directory
    from ..model.settings import Settings
    from .session import Session
    from .terminal import printer
    from .xdist import place_of, when_controller_is_gone

    place = place_of(config)
    session = Session(
        settings=Settings(**decided),
        types=all_types(added),
        root=config.rootpath,
        run=place.run,
        worker=place.worker,
        make_engine=lambda: config.hook.pytest_ldb_engine(config=config),
        state=state_directory(),
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
