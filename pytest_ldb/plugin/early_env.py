"""Set environment variables (``--ldb-env``) before conftest files and settings are imported.

Fixtures run too late for values that a project reads at import time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from ..databases import all_types
from ..model.database import Database
from ..model.database_type import DatabaseType
from ..model.errors import InvalidRequest, LdbError
from ..model.instance import Address, Credentials, Instance, type_named
from ..util import clock
from .fixtures import skips
from .options import RUNS_NO_TEST, read_environment, read_options
from .state import RUN, RunPlugin, count_engine_hooks, types_by_name
from .xdist import announce_place

if TYPE_CHECKING:
    from .session import Session

ATTRIBUTES = ("url", "host", "port", "user", "password", "database", "name")
CALLED = "sqlalchemy_url"
"""The only attribute that takes a driver."""

COLLECTS_NOTHING = ("help", "version", "markers", "cacheshow")
"""pytest's options with which no test is collected."""

NOT_STARTED = "not-started"
UNREACHABLE = Address("127.0.0.1", 1)
"""The address in runs that start no server: connections to it are refused."""

_BRACES = re.compile(r"\{(.*?)\}")
_PART = re.compile(r"(\w+)\.(\w+)(?:\((\w+)\))?")


class _Early:
    """Reads pytest's configuration before conftest files are loaded."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def getoption(self, name: str) -> Any:
        return getattr(self._config.known_args_namespace, name, None)

    def getini(self, name: str) -> Any:
        return self._config.getini(name)


class GivenVariables:
    """The environment variables of ``--ldb-env``, which must have their values when tests run.

    Otherwise tests would run on whatever database the other value names, perhaps the developer's.

    Args:
        values: The variables.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._error: LdbError | None = None
        self._is_checked = False

    def check(self, environment: Mapping[str, str] = os.environ) -> None:
        """Check the variables before the first test; tests may change them.

        Raises:
            InvalidRequest: One has another value; every later call raises the same error.
        """
        if not self._is_checked:
            self._is_checked = True
            changed = [n for n, value in self._values.items() if environment.get(n) != value]
            self._error = _overwritten(changed) if changed else None
        if self._error is not None:
            raise self._error


def _overwritten(names: Sequence[str]) -> LdbError:
    # The values are not shown: they may contain passwords.
    changed = (
        f"variables {', '.join(names)} have other values than they were given"
        if len(names) > 1
        else f"variable {names[0]} has another value than it was given"
    )
    return InvalidRequest(
        "--ldb-env",
        f"the environment {changed}, so tests might use another database",
        remedy="Remove it from what has changed it (the option `env` of pytest-env, "
        "`load_dotenv(override=True)`, a conftest.py), or from --ldb-env.",
    )


def fill(config: pytest.Config, added: Sequence[DatabaseType]) -> GivenVariables:
    """Set the environment variables of ``--ldb-env`` until the end of the run.

    Args:
        config: pytest's configuration, of which only what :class:`_Early` reads is available.
        added: The database types that plugins add.

    Returns:
        The variables, to be checked before the first test.

    Raises:
        pytest.UsageError: An expression is invalid, or a server could not be started.
    """
    early, types = _Early(config), all_types(added)
    runs = not any(early.getoption(option) for option in (*COLLECTS_NOTHING, *RUNS_NO_TEST))
    expressions = read_environment(early)
    database_types = types_in(expressions, types)
    if runs:
        settings, given = read_options(early, types_by_name(added), all_are_known=False)
        run = config.stash[RUN] = RunPlugin(config, settings, given, added)
        announce_place(config, run.place)
        databases_by_type = _obtained(run.session(), database_types)
    else:
        databases_by_type = {
            database_type.name: absent(database_type) for database_type in database_types
        }
    try:
        values = {n: valued(text, databases_by_type, types) for n, text in expressions.items()}
    except LdbError as error:
        raise pytest.UsageError(f"--ldb-env: {error}") from None
    _set(config, values)
    return GivenVariables(values)


def check_late(run: RunPlugin, added: Iterable[DatabaseType]) -> None:
    """Check the types and engines that conftest files add after servers have been started.

    Raises:
        pytest.UsageError: A conftest file replaces a type or an engine that is already in use.
    """
    types = all_types(added)
    for name, server in run.session().servers.items():
        if server.lease.database_type not in types:
            raise pytest.UsageError(
                f"--ldb-env: a conftest.py redeclares the database type {name!r}, but its server "
                "is already running. Declare the type in a plugin, or give it another name."
            )
    if count_engine_hooks(run.config) != run.engine_hooks:
        raise pytest.UsageError(
            "--ldb-env: pytest_ldb_engine is implemented in a conftest.py, which is too late. "
            "Move it to a plugin."
        )


def types_in(
    expressions: Mapping[str, str], types: Sequence[DatabaseType]
) -> Sequence[DatabaseType]:
    """Return the database types that the expressions name.

    Raises:
        pytest.UsageError: An expression is invalid; the message lists the valid names.
    """
    named = {}
    for variable, text in expressions.items():
        parts = _BRACES.findall(_template(text))
        for part in parts:
            database_type = _type_in(part, f"--ldb-env: {variable}={text}", types)
            named[database_type.name] = database_type
    return list(named.values())


def valued(text: str, by_type: Mapping[str, Database], types: Sequence[DatabaseType]) -> str:
    """Return the value of an expression that :func:`types_in` has checked."""

    def value(match: re.Match[str]) -> str:
        name, attribute, driver = _PART.fullmatch(match[1]).groups()  # type: ignore[union-attr]
        database = by_type[type_named(name, types).name]
        if attribute == CALLED:
            return database.sqlalchemy_url(driver)
        return str(getattr(database, attribute))

    return _BRACES.sub(value, _template(text))


def absent(database_type: DatabaseType) -> Database:
    """Return a placeholder database, for runs that start no server."""
    instance = Instance(
        id=UUID(int=0),
        name=NOT_STARTED,
        database_type=database_type.name,
        image=database_type.image,
        credentials=Credentials(database_type.server.user, NOT_STARTED),
        created_at=clock.now(),
        address=UNREACHABLE,
    )
    return Database(instance, database_type.server.initial_database, database_type)


def beside(database: str, suffixes: Iterable[str]) -> list[str]:
    """Return the names of the databases that test runners derive from a database.

    Django adds the prefix ``test_`` to the name, pytest-django adds suffixes.
    """
    names = [f"test_{database}"]
    for suffix in filter(None, suffixes):
        names += [f"{name}_{suffix}" for name in names]
    return names


def _template(text: str) -> str:
    return text if "{" in text else f"{{{text}}}"


def _type_in(part: str, subject: str, types: Sequence[DatabaseType]) -> DatabaseType:
    match = _PART.fullmatch(part)
    if match is None:
        raise pytest.UsageError(
            f"{subject}: it takes TYPE.ATTRIBUTE, for example postgres.url, or a text with such "
            "expressions in braces."
        )
    name, attribute, driver = match.groups()
    database_type = next((known for known in types if known.answers_to(name)), None)
    if database_type is None:
        raise pytest.UsageError(
            f"{subject}: there is no database type {name!r}. There are: "
            f"{', '.join(known.name for known in types)}. Types of a conftest.py cannot be used."
        )
    if attribute not in (ATTRIBUTES if driver is None else [CALLED]):
        raise pytest.UsageError(
            f"{subject}: there is no attribute {part.partition('.')[2]!r}. There are: "
            f"{', '.join(ATTRIBUTES)}, {CALLED}(DRIVER)."
        )
    return database_type


def _obtained(session: Session, database_types: Sequence[DatabaseType]) -> dict[str, Database]:
    try:
        session.begin(database_type.name for database_type in database_types)
        return {
            database_type.name: _named(session, database_type) for database_type in database_types
        }
    except LdbError as error:
        run = session.run
        if not skips(error, run.settings):
            raise pytest.UsageError(str(error)) from None
        if not run.place.worker:
            run.say(f"--ldb-env: no server is started. {error}")
        return {database_type.name: absent(database_type) for database_type in database_types}


def _named(session: Session, database_type: DatabaseType) -> Database:
    """Return this process's database; those that test runners derive from it are dropped too."""
    server = session.server(database_type.name)
    database = server.make_early()
    suffixes = (os.environ.get("TOX_PARALLEL_ENV", ""), session.run.place.worker)
    server.beside = server.databases.also_drop(beside(database.database, suffixes))
    return database


def _set(config: pytest.Config, values: Mapping[str, str]) -> None:
    before = {name: os.environ.get(name) for name in values}

    def put_back() -> None:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value

    config.add_cleanup(put_back)
    os.environ.update(values)
