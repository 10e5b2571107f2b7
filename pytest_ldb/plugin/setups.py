"""The fixtures of database types as pytest sees them: checks, and failures that are told once.

Imported when the first of them is set up, or when a test fails.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from weakref import WeakSet

import pytest

from ..isolation.setup_call import text_of
from ..model.errors import LdbError
from ..model.identity import plain_form
from .state import FAILURES, RUN, Failure, RunPlugin

_CIRCLE = (
    "{setup}: it asks for {asked}, which waits for the setup. Return a callable that takes a "
    "Database; it is called with the one to fill."
)

_SHOWN: WeakSet[LdbError] = WeakSet()


@plain_form.register
def _(request: pytest.FixtureRequest) -> object:
    """Describe the request of a setup fixture by its parameter and by whom it is for."""
    return [str(request.fixturename), getattr(request, "param", None), request.node.nodeid]


def prepare(fixturedef: pytest.FixtureDef[object], run: RunPlugin) -> None:
    """Check an overriding setup fixture, and make pytest compare setups.

    ``ldb_<name>`` has session scope, but a folder or a module may override ``ldb_<name>_setup``.
    pytest sets up a fixture again if its cache key changes, as it does for parameters. So another
    setup gives another database, also to the fixtures that depend on it.
    """
    fixture = fixturedef.argname
    setup = getattr(fixturedef.func, "setup", None)
    if isinstance(setup, str) and fixturedef.scope == "session":
        fixturedef.cache_key = partial(_given, fixture, setup)  # type: ignore[method-assign]
    name = next((name for name in run.names if fixture == f"ldb_{name}_setup"), None)
    if name is None:
        return
    # Values of `pytest.mark.parametrize` are in functions of pytest, and have this scope.
    is_direct = getattr(fixturedef.func, "__module__", "").startswith("_pytest.")
    if fixturedef.scope == "function" and not is_direct:
        message = (
            f"{fixture}: it has the scope of a function, but the setup runs once for all tests. "
            'Write @pytest.fixture(scope="session").'
        )
        raise pytest.fail.Exception(message, pytrace=False)
    if run.begun is not None and name in run.begun.servers:
        run.begun.servers[name].forget_setups()


def _given(fixture: str, setup: str, request: pytest.FixtureRequest) -> object:
    """Return what the setup fixture has returned."""
    asking: Any = request
    while asking is not None:
        if asking.fixturename == setup:
            raise pytest.fail.Exception(_CIRCLE.format(setup=setup, asked=fixture), pytrace=False)
        asking = getattr(asking, "_parent_request", None)
    return request.getfixturevalue(setup)


@contextmanager
def remembering_failures(
    config: pytest.Config, fixturedef: pytest.FixtureDef[object]
) -> Iterator[None]:
    """Remember the exception of a fixture, for :func:`shortened`."""
    __tracebackhide__ = True
    fixture = fixturedef.argname
    try:
        yield
    except BaseException as error:
        if fixturedef.cached_result is None:
            # pytest runs these only if it has a result, and wants none when it tries again.
            fixturedef._finalizers.clear()  # noqa: SLF001
        if isinstance(error, SystemExit):
            message = f"{fixture}: it called sys.exit({error.code!r}). Let it return or raise."
            raise pytest.fail.Exception(message, pytrace=False) from None
        line = getattr(error, "again", None) or (
            f"{fixture}: it has failed before: {text_of(error, lines=1)}. "
            "The first test that used it shows the error."
        )
        failures = config.stash.setdefault(FAILURES, {})
        failures.setdefault(id(error), Failure(error, line))
        raise


def sentence(error: LdbError) -> BaseException:
    """Return a failure with the full text of an error, and with a line if it was shown before."""
    line = f"{error.subject}: {error.fact}. The first test that failed with it has the details."
    failure = pytest.fail.Exception(line if error in _SHOWN else str(error), pytrace=False)
    failure.again = line  # type: ignore[attr-defined]
    _SHOWN.add(error)
    return failure


def shortened(
    config: pytest.Config, excinfo: pytest.ExceptionInfo[BaseException]
) -> pytest.ExceptionInfo[BaseException]:
    """Return what to report instead of an exception; the same if it is new."""
    error, message = excinfo.value, ""
    failure = config.stash.get(FAILURES, {}).get(id(error))
    if isinstance(error, pytest.skip.Exception):
        return excinfo
    if isinstance(error, pytest.FixtureLookupError):
        message = _circle(error, config.stash[RUN].names)
    elif failure:
        message = failure.line if failure.was_shown else ""
        failure.was_shown = True
    if not message:
        return excinfo
    try:
        raise pytest.fail.Exception(message, pytrace=False)
    except pytest.fail.Exception:
        return pytest.ExceptionInfo.from_current()


def _circle(error: pytest.FixtureLookupError, names: Collection[str]) -> str:
    """Return what to say of a setup fixture that asks for a database that it fills, if it does."""
    stack = [fixturedef.argname for fixturedef in error.fixturestack]
    for name in names if error.argname in stack else ():
        if (setup := f"ldb_{name}_setup") in stack:
            return _CIRCLE.format(setup=setup, asked=error.argname)
    return ""
