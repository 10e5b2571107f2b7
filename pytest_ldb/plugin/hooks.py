"""Implementations of pytest's hooks, in the order in which pytest calls them.

Modules that only runs with a database need are imported inside functions, to keep other runs fast.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Generator, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from ..util import clock  # noqa: F401 - its clocks must be the real ones
from ..util.home import surroundings
from . import hookspecs
from .fixtures import (
    BEGAN,
    FAILED,
    RELEASES,
    databases_of,
    failing_in_a_sentence,
    fixture_module,
    used_types,
    uses_databases,
)
from .options import RUNS_NO_TEST, add_options, environment_is_wanted, read_options
from .state import FAILURES, HOME, RUN, RunPlugin, count_engine_hooks, types_by_name

if TYPE_CHECKING:
    from ..model.database_type import DatabaseType
    from .early_env import GivenVariables

FILES = "pyfakefs.fake_filesystem_unittest"
"""A module that replaces the file system for tests."""

GIVEN: pytest.StashKey[GivenVariables] = pytest.StashKey()
"""The environment variables of ``--ldb-env``."""


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    early_config.stash[HOME] = surroundings()
    # pytest-django imports the settings in this hook; wrappers run first in any load order.
    if environment_is_wanted(early_config):
        from .early_env import fill

        early_config.stash[GIVEN] = fill(early_config, _added_types(early_config))
    return (yield)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    added = _added_types(config)
    settings, given = read_options(config, types_by_name(added))
    run = config.stash.get(RUN, None)
    if run is None:
        run = config.stash[RUN] = RunPlugin(config, settings, given, added)
    else:
        from .early_env import check_late

        check_late(run, added)
        run.decide(settings, given, added)
    config.pluginmanager.register(fixture_module(run.names, run.session), "ldb-fixtures")


def pytest_plugin_registered(plugin: object, manager: pytest.PytestPluginManager) -> None:
    late = manager.hasplugin("ldb-fixtures") and hasattr(plugin, "pytest_ldb_database_types")
    if late:
        warnings.warn(
            pytest.PytestConfigWarning(
                f"{getattr(plugin, '__file__', plugin)}: pytest_ldb_database_types was "
                "registered too late, so its types are ignored. Move it to the conftest.py of the "
                "root directory."
            ),
            stacklevel=1,
        )


def pytest_report_header(config: pytest.Config) -> str | None:
    run = config.stash[RUN]
    if not run.given and config.getoption("verbose") <= 0:
        return None
    from .terminal import header

    chosen = count_engine_hooks(config) > 0
    return header(run.given, chosen_engine=chosen, surroundings=run.place.home)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    from .xdist import tell_worker

    tell_worker(node, node.config.stash[RUN].place)


def pytest_collection_finish(session: pytest.Session) -> None:
    run = session.config.stash[RUN]
    if FILES in sys.modules and any(map(uses_databases, session.items)):
        from ..util.fake_files import keep_files

        keep_files()
    used = used_types(session.items, run.names) if _runs_tests(session) else ()
    if used:
        from .xdist import share_of

        run.session().begin(share_of(run.config, used))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    run = item.config.stash[RUN]
    if nextitem is None and run.begun is not None:
        run.begun.expect_no_more()
    result = yield
    if run.begun is not None and FAILED in item.stash:  # After the last of several attempts.
        run.begun.keep_failed(item.stash[FAILED].values())
    return result


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    __tracebackhide__ = True
    if not fixturedef.argname.startswith("ldb"):
        return (yield)
    from .setups import prepare, remembering_failures

    with remembering_failures(request.config, fixturedef):
        prepare(fixturedef, request.config.stash[RUN])
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    __tracebackhide__ = True
    given = item.config.stash.get(GIVEN, None)
    if given is not None:
        with failing_in_a_sentence(item.config.stash[RUN].session()):
            given.check()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    failed = FAILURES in item.config.stash
    if call.excinfo and (failed or isinstance(call.excinfo.value, pytest.FixtureLookupError)):
        from .setups import shortened

        call.excinfo = shortened(item.config, call.excinfo)
    report = yield
    if call.when == "setup":
        item.stash[BEGAN] = call.start
        if FAILED in item.stash:  # An earlier attempt failed.
            del item.stash[FAILED]
            for release in item.stash.get(RELEASES, []):
                release()
    session = item.config.stash[RUN].begun
    if session is None:
        return report
    if report.failed:
        from .failure_logs import show_logs
        from .terminal import show_databases

        databases = databases_of(item, session.early)
        item.stash.setdefault(FAILED, {}).update({repr(each): each for each in databases})
        if session.parent is not None:  # This process was forked for the test, and ends with it.
            session.keep_failed(databases)
        show_databases(databases, report)
        show_logs(item, report, session)
    if report.longrepr or report.sections:
        from .masking import mask_report

        mask_report(report, session.passwords)
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int | pytest.ExitCode) -> None:
    run = session.config.stash[RUN]
    if run.begun is not None:
        from .usage import LAST_MOMENT_S, used_servers
        from .xdist import tell_controller

        others_wait = run.place.worker and exitstatus != pytest.ExitCode.INTERRUPTED
        tell_controller(run, used_servers(run.begun, LAST_MOMENT_S if others_wait else 0.0))
        if run.place.worker:  # xdist ends workers before `pytest_unconfigure`.
            run.begun.build_cache()
    if run.settings.report and not run.place.worker:
        from .json_report import write_report
        from .usage import added_up

        path = run.config.invocation_params.dir / run.settings.report
        if problem := write_report(path, added_up(run.used)):
            run.say(f"--ldb-report: {problem}")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    from .xdist import hear_worker

    hear_worker(node, node.config.stash[RUN])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    used = terminalreporter.config.stash[RUN].used
    if used:
        from .terminal import show_summary

        show_summary(terminalreporter, used)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Start deferred work once all output has been written."""
    run = config.stash.get(RUN, None)  # None if another plugin failed to configure.
    if run is not None and run.begun is not None and not run.place.worker:
        run.begun.build_cache()


def _added_types(config: pytest.Config) -> Sequence[DatabaseType]:
    """Return the types that the project and plugins add; the first one of each name wins."""
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
    """Whether pytest will run the collected tests."""
    asked = session.config.getoption
    broken = session.testsfailed and not asked("continue_on_collection_errors")
    return not broken and not any(asked(option) for option in RUNS_NO_TEST)
