"""What start.py compares: small projects whose first test uses a server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workshop import Environment

from pytest_ldb.databases import BUILTIN

CHECKOUT = Path(__file__).parents[2]
IMAGES = {
    database_type.name: os.environ.get(f"LDB_{database_type.name.upper()}_IMAGE")
    or database_type.image
    for database_type in BUILTIN
}
DATABASES = tuple(IMAGES)
REMEMBERED = tuple(database_type.name for database_type in BUILTIN if database_type.server.cached)
"""The types with a cache; other types start as fast without one."""


@dataclass(frozen=True, kw_only=True)
class Starter(Environment):
    """A project whose fixtures start servers.

    Args:
        fixture: The fixture that its tests use; ``{}`` is the name of a database.
        databases: Which it can start.
        conftest: The fixtures.
        note: What a reader must know to compare it.
    """

    fixture: str
    databases: tuple[str, ...] = DATABASES
    conftest: str = ""
    note: str = ""

    def write(self, folder: Path, databases: Sequence[str], tests: int = 1) -> None:
        """Write the project; its tests use these databases, if there are any."""
        folder.mkdir(parents=True)
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "conftest.py").write_text(_COMMON + self.conftest)
        fixtures = ", ".join(self.fixture.format(name) for name in databases)
        (folder / "test_start.py").write_text(_TEST.format(fixtures=fixtures, tests=tests))

    def plugins_for(self, databases: Sequence[str]) -> list[str]:
        """Return the plugins that these databases need."""
        every = (plugin.format(name) for plugin in self.plugins for name in databases or ("",))
        return list(dict.fromkeys(every))


_TEST = """
import start_marks

def test_0({fixtures}):
    start_marks.first()
    start_marks.left()

globals().update({{f"test_{{number}}": test_0 for number in range(1, {tests})}})
"""

_COMMON = f"""
import os
import pytest

IMAGES = {IMAGES!r}
LABELS = {{os.environ["BENCH_LABEL"]: ""}}
"""

# As users get it: not the checkout itself, which would be imported from another place.
OURS = Starter(name="pytest-ldb", fixture="ldb_{}", plugins=("ldb",), install=str(CHECKOUT))

TESTCONTAINERS = Starter(
    name="testcontainers",
    fixture="{}",
    plugins=(),
    install="testcontainers pymongo redis",
    note="without Ryuk; it takes MongoDB for ready while its image still initialises it",
    conftest="""
def started(container):
    with container as server:
        yield server

@pytest.fixture(scope="session")
def postgres():
    from testcontainers.community.postgres import PostgresContainer
    yield from started(PostgresContainer(IMAGES["postgres"], labels=LABELS))

@pytest.fixture(scope="session")
def mysql():
    from testcontainers.community.mysql import MySqlContainer
    yield from started(MySqlContainer(IMAGES["mysql"], labels=LABELS))

@pytest.fixture(scope="session")
def mongodb():
    from testcontainers.community.mongodb import MongoDbContainer
    yield from started(MongoDbContainer(IMAGES["mongodb"], labels=LABELS))

@pytest.fixture(scope="session")
def redis():
    from testcontainers.community.redis import RedisContainer
    yield from started(RedisContainer(IMAGES["redis"], labels=LABELS))
""",
)

PYTEST_DATABASES = Starter(
    name="pytest-databases",
    fixture="{}_service",
    plugins=("pytest_databases", "pytest_databases.docker.{}"),
    install="pytest-databases pymongo redis",
    conftest="""
@pytest.fixture(scope="session")
def postgres_image():
    return IMAGES["postgres"]

@pytest.fixture(scope="session")
def mongodb_image():
    return IMAGES["mongodb"]

@pytest.fixture(scope="session")
def redis_image():
    return IMAGES["redis"]

# Its own fixtures for MySQL name one image each, so this is one of them with another image.
@pytest.fixture(scope="session")
def mysql_service(docker_service, xdist_mysql_isolation_level, platform, mysql_user,
                  mysql_password, mysql_root_password, mysql_database):
    from pytest_databases.docker.mysql import _provide_mysql_service
    with _provide_mysql_service(
        docker_service, IMAGES["mysql"], "mysql", xdist_mysql_isolation_level, platform,
        mysql_user, mysql_password, mysql_root_password, mysql_database,
    ) as service:
        yield service
""",
)

PYTEST_PG = Starter(
    name="pytest-pg",
    fixture="pg",
    databases=("postgres",),
    plugins=("pytest_pg",),
    install="pytest-pg",
    note="data in memory, no fsync, no password",
    conftest="""
from pytest_pg import run_pg

@pytest.fixture(scope="session")
def pg():
    with run_pg(IMAGES["postgres"]) as server:
        yield server
""",
)

PYTEST_TESTCONTAINERS = Starter(
    name="pytest-testcontainers",
    fixture="tc_psql",
    databases=("postgres",),
    plugins=("testcontainers",),
    install="pytest-testcontainers",
    note="without Ryuk",
    conftest="""
from pytest_testcontainers import make_postgres

@pytest.fixture(scope="session")
def tc_psql():
    with make_postgres(IMAGES["postgres"], labels=LABELS) as server:
        yield server
""",
)

PYTEST_MOCK_RESOURCES = Starter(
    name="pytest-mock-resources",
    fixture="database",
    databases=("postgres",),
    plugins=("pytest_mock_resources",),
    install="pytest-mock-resources[docker]",
    note="the fixture is an engine of SQLAlchemy on a database of the test's own",
    conftest="""
from pytest_mock_resources import PostgresConfig, create_postgres_fixture

database = create_postgres_fixture()

@pytest.fixture(scope="session")
def pmr_postgres_config():
    return PostgresConfig(
        image=IMAGES["postgres"], host="localhost", container_args={"labels": LABELS}
    )
""",
)

PEERS = (
    TESTCONTAINERS,
    PYTEST_DATABASES,
    PYTEST_PG,
    PYTEST_TESTCONTAINERS,
    PYTEST_MOCK_RESOURCES,
)
UNLABELLED = ("pytest_databases_", "pytest-pg-")
"""Name prefixes of containers that cannot be labelled."""
