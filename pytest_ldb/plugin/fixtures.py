"""The fixtures of each database type, and the fixture `ldb`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from inspect import Parameter, Signature
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ..lifecycle.commands import Lifecycle
    from ..model.database import Database
    from ..model.errors import LdbError
    from ..model.settings import Settings
    from .session import Session

_MANUAL = """A {name} database per worker, shared by its tests; `ldb_{name}_db` is per test.

Return a `pytest_ldb.Database`: `.url`, `.host`, `.port`, `.user`, `.password`, `.database`,
`.instance`, and for drivers `.connect_args(driver)`, `.sqlalchemy_url(driver)`, `.env`.
One real server is shared by the whole run, all xdist workers included, and with it its users,
roles and settings. It starts when collection ends, on first use at the latest. It is removed when
the run ends, even if the run is killed; with --ldb-keep the next run uses it again.
"""

_FRESH_MANUAL = """A {name} database per test, always fresh; `ldb_{name}` is per worker.

Return a `pytest_ldb.Database` on the same server as `ldb_{name}`. It contains the data of
`ldb_{name}_setup` and no data of other tests. After the test it is dropped and its open
connections are closed; where that is faster it is reset instead, and the reset is verified.
After a failed test it is kept until the end of the run, unless space runs short.
Users, roles and settings belong to the server, which all tests share.
"""

_SETUP_MANUAL = """Setup of the databases of `ldb_{name}` and `ldb_{name}_db`; override it.

Return a callable that takes a `pytest_ldb.Database`, or a list of files, or a `pytest_ldb.Setup`.
It runs once per run, for all workers, on a template; all databases are copies of the template.
"""

FAILED: pytest.StashKey[dict[str, Database]] = pytest.StashKey()
"""The databases of this attempt to run a test by their names, if a phase of it has failed."""

RELEASES = pytest.StashKey[list[Callable[[], None]]]()
"""Release the databases that were kept for this test, if it is run again."""

BEGAN = pytest.StashKey[float]()
"""Start time of the setup of this test, in seconds since 1970."""

HANDED_OUT: pytest.StashKey[dict[str, Database]] = pytest.StashKey()
"""The databases of a test or of the session, by the name of the fixture that returned them."""


def fixture_module(names: Iterable[str], begin: Callable[[], Session]) -> ModuleType:
    """Return a plugin with the fixtures of each database type, and `ldb`."""
    module = ModuleType(f"{__name__}.of_this_run")
    for name in names:
        setattr(module, f"ldb_{name}", _database_fixture(name, begin))
        setattr(module, f"ldb_{name}_db", _fresh_fixture(name, begin))
        setattr(module, f"ldb_{name}_setup", _setup_fixture(name))
    module.ldb = _lifecycle_fixture(begin)  # type: ignore[attr-defined]
    return module


def _database_fixture(name: str, begin: Callable[[], Session]) -> object:
    def database(request: pytest.FixtureRequest, **setup: object) -> Database:
        __tracebackhide__ = True
        session = begin()
        with failing_in_a_sentence(session):
            database = session.database(name, next(iter(setup.values())))
        return _handed_out(request, database)

    database.__doc__ = _MANUAL.format(name=name)
    _take(f"ldb_{name}_setup", database)
    return pytest.fixture(scope="session", name=f"ldb_{name}")(database)


def _fresh_fixture(name: str, begin: Callable[[], Session]) -> object:
    def fresh(request: pytest.FixtureRequest, **setup: object) -> Iterator[Database]:
        __tracebackhide__ = True
        session = begin()
        with failing_in_a_sentence(session):
            users = partial(_users, request, f"ldb_{name}_db")
            pool = session.fresh(name, next(iter(setup.values())), users)
            database = _handed_out(request, pool.take())
        yield database
        if FAILED in request.node.stash:
            pool.keep(database)
            request.node.stash.setdefault(RELEASES, []).append(partial(pool.release, database))
        else:
            pool.give_back(database)

    fresh.__doc__ = _FRESH_MANUAL.format(name=name)
    _take(f"ldb_{name}_setup", fresh)
    return pytest.fixture(name=f"ldb_{name}_db")(fresh)


def _take(setup: str, function: Callable[..., object]) -> None:
    """Give a fixture function an argument of this name, so that pytest sees the dependency."""
    names = {"request": Parameter.POSITIONAL_OR_KEYWORD, setup: Parameter.KEYWORD_ONLY}
    parameters = [Parameter(name, kind) for name, kind in names.items()]
    vars(function).update(__signature__=Signature(parameters), setup=setup)


def databases_of(item: pytest.Item, early: Iterable[Database]) -> list[Database]:
    """Return the databases that a test uses, even if a fixture that depends on them failed.

    Args:
        item: The test.
        early: The databases of ``--ldb-env``; any test may use them.
    """
    from ..model.database import Database

    fixtures = getattr(item, "fixturenames", ())
    nothing: dict[str, Database] = {}
    values: list[object] = [
        database
        for node in (item.session, item)
        for fixture, database in node.stash.get(HANDED_OUT, nothing).items()
        if fixture in fixtures
    ]
    values += [*getattr(item, "funcargs", {}).values(), *early]
    databases = [value for value in values if isinstance(value, Database)]
    return list({repr(database): database for database in databases}.values())


def _handed_out(request: pytest.FixtureRequest, database: Database) -> Database:
    fixture = str(request.fixturename)
    handed_out = request.node.stash.setdefault(HANDED_OUT, {})
    handed_out[fixture] = database
    request.addfinalizer(partial(handed_out.pop, fixture, None))
    return database


def used_types(items: Iterable[pytest.Item], names: Iterable[str]) -> list[str]:
    """Return the database types whose fixtures these tests use; skipped tests do not count."""
    fixtures = {f"ldb_{name}{suffix}": name for name in names for suffix in ("", "_db")}
    used: dict[str, None] = {}
    for item in items:
        wanted = {fixtures[f]: None for f in getattr(item, "fixturenames", ()) if f in fixtures}
        if wanted.keys() - used.keys() and not _is_skipped(item):
            used |= wanted
    return list(used)


def uses_databases(item: pytest.Item) -> bool:
    """Whether a test names a fixture of ours, or one that does."""
    return any(name == "ldb" or name.startswith("ldb_") for name in _fixtures(item))


def _fixtures(item: pytest.Item) -> Sequence[str]:
    names: Sequence[str] = getattr(item, "fixturenames", ())
    return names


def _is_skipped(item: pytest.Item) -> bool:
    """Whether marks skip a test; conditions are evaluated as pytest evaluates them."""
    if item.get_closest_marker("skip"):
        return True
    if not item.get_closest_marker("skipif"):
        return False
    try:
        from _pytest.skipping import evaluate_skip_marks

        return evaluate_skip_marks(item) is not None
    except (Exception, pytest.fail.Exception):  # noqa: BLE001 - pytest reports it in the setup
        return False


def _users(request: pytest.FixtureRequest, fixture: str) -> int:
    """Return how many tests use a fixture; all if none names it (`getfixturevalue`)."""
    items = request.session.items
    return sum(fixture in getattr(item, "fixturenames", ()) for item in items) or len(items)


def _setup_fixture(name: str) -> object:
    def setup() -> None:
        return None

    setup.__doc__ = _SETUP_MANUAL.format(name=name)
    return pytest.fixture(scope="session", name=f"ldb_{name}_setup")(setup)


def _lifecycle_fixture(begin: Callable[[], Session]) -> object:
    def ldb() -> Lifecycle:
        """Servers for a single test, which it can stop, restart and break.

        Return a `pytest_ldb.Lifecycle`. `with ldb.server("redis") as server:` gives a server with
        `.url`, `.database`, `.stop()`, `.start()` and `.restart()`, and deletes it. The commands
        are `create(type)`, `start`, `stop`, `restart`, `delete`, `list`, `status`.
        All servers are deleted at the end of the run, even if the run is killed.
        """
        session = begin()
        with failing_in_a_sentence(session):
            return session.lifecycle()

    return pytest.fixture(scope="session")(ldb)


def skips(error: LdbError, settings: Settings) -> bool:
    """Whether an error skips tests, as --ldb-no-engine=skip asks for."""
    from ..model.errors import ContextUnknown, EngineUnavailable

    no_engine = isinstance(error, EngineUnavailable) and not isinstance(error, ContextUnknown)
    return no_engine and settings.no_engine == "skip"


@contextmanager
def failing_in_a_sentence(session: Session) -> Iterator[None]:
    """Fail the test without a traceback on an LdbError, or skip it with --ldb-no-engine=skip."""
    __tracebackhide__ = True
    from ..isolation.setup_call import SetupSkipped
    from ..model.errors import LdbError

    try:
        yield
    except SetupSkipped as error:
        raise pytest.skip.Exception(error.fact) from None
    except LdbError as error:
        if skips(error, session.run.settings):
            raise pytest.skip.Exception(str(error)) from None
        from .setups import sentence

        raise sentence(error) from None
