"""What fresh.py compares: small projects, each with the same tests on its own fixture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workshop import Environment

TABLES = 20
ROWS = 20


@dataclass(frozen=True, kw_only=True)
class Contestant(Environment):
    """A project.

    Args:
        fixture: The fixture that its tests use.
        conftest: The fixture, and ``count``, which asks a database for the rows of its last table.
        server: Whether it needs an existing server.
        note: What a reader must know to compare it.
    """

    fixture: str
    conftest: str
    server: bool = False
    note: str = ""

    def write(self, folder: Path, *, tests: int, body_s: float) -> None:
        """Write the project; ``tests`` includes those that are not counted."""
        folder.mkdir(parents=True)
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "schema.sql").write_text(";\n".join(statements()) + ";\n")
        (folder / "conftest.py").write_text(_COMMON + self.conftest)
        test = _TEST.format(fixture=self.fixture, tests=tests, body_s=body_s, rows=ROWS)
        (folder / "test_waiting.py").write_text(test)


def statements() -> Iterator[str]:
    """Yield the statements that create the tables, in SQL of PostgreSQL and MySQL."""
    for number in range(TABLES):
        name, parent = f"t{number}", f"t{max(number - 1, 0)}"
        yield (
            f"CREATE TABLE {name} (id integer PRIMARY KEY, email varchar(60) NOT NULL, "
            f"parent integer NOT NULL, FOREIGN KEY (parent) REFERENCES {parent} (id))"
        )
        yield f"CREATE UNIQUE INDEX {name}_email ON {name} (email)"
        rows = (f"({row}, 'user{row}@example.org', {row})" for row in range(1, ROWS + 1))
        yield f"INSERT INTO {name} VALUES {', '.join(rows)}"


# Many names for one function: parameters would be fixtures too, and be measured.
_TEST = """
import time
import fresh_measure
from conftest import count

def test_0({fixture}):
    rows = count({fixture})
    fresh_measure.answered()
    assert rows == {rows}
    time.sleep({body_s})

globals().update({{f"test_{{number}}": test_0 for number in range(1, {tests})}})
"""

_COMMON = f"""
import itertools
import json
import os
import pytest
from pathlib import Path

TABLES = [f"t{{number}}" for number in range({TABLES})]
ROWS = range(1, {ROWS + 1})
SCHEMA = Path(__file__).with_name("schema.sql")
SERVER = json.loads(os.environ.get("BENCH_SERVER", "{{}}"))
"""

_COUNT_ROWS = """
import psycopg

def count_rows(**where):
    with psycopg.connect(**where) as connection:
        return connection.execute("SELECT count(*) FROM t19").fetchone()[0]
"""

OURS = Contestant(
    name="ours",
    fixture="ldb_postgres_db",
    plugins=("ldb",),
    conftest=_COUNT_ROWS
    + """
@pytest.fixture(scope="session")
def ldb_postgres_setup():
    return [SCHEMA]

def count(database):
    return count_rows(**database.connect_args("psycopg"))
""",
)

HAND = Contestant(
    name="hand",
    fixture="database",
    plugins=("ldb",),
    note="written by hand: psycopg, one connection for all CREATE DATABASE … STRATEGY FILE_COPY",
    conftest=_COUNT_ROWS
    + """
@pytest.fixture(scope="session")
def admin(ldb_postgres):
    where = ldb_postgres.connect_args("psycopg") | {"dbname": "postgres"}
    with psycopg.connect(**where, autocommit=True) as connection:
        yield connection

@pytest.fixture(scope="session")
def template(admin, ldb_postgres):
    name = f"template_{os.getpid()}"
    admin.execute(f"CREATE DATABASE {name}")
    with psycopg.connect(**ldb_postgres.connect_args("psycopg") | {"dbname": name}) as connection:
        connection.execute(SCHEMA.read_text())
    return name

@pytest.fixture(scope="session")
def numbers():
    return itertools.count()

@pytest.fixture
def database(admin, template, numbers, ldb_postgres):
    name = f"hand_{os.getpid()}_{next(numbers)}"
    admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    yield ldb_postgres.connect_args("psycopg") | {"dbname": name}
    admin.execute(f"DROP DATABASE {name} WITH (FORCE)")

def count(database):
    return count_rows(**database)
""",
)

PYTEST_POSTGRESQL = Contestant(
    name="pytest-postgresql",
    fixture="database",
    plugins=("pytest_postgresql",),
    install="pytest-postgresql",
    server=True,
    note="postgresql_noproc(load=…) on a server of pytest-ldb; its wait includes connecting",
    conftest="""
from pytest_postgresql import factories

server = factories.postgresql_noproc(**SERVER, load=[SCHEMA])
database = factories.postgresql("server")

def count(connection):
    return connection.execute("SELECT count(*) FROM t19").fetchone()[0]
""",
)

# A separate container, with the arguments, memory and image of a server of pytest-ldb.
PYTEST_TESTCONTAINERS = Contestant(
    name="pytest-testcontainers",
    fixture="database",
    plugins=("testcontainers",),
    install="pytest-testcontainers",
    note="tc_psql_db is empty, so each test fills it, which is waiting too; a server per worker, "
    "with the settings of those of pytest-ldb; without Ryuk",
    conftest=_COUNT_ROWS
    + """
from docker.types import Mount
from pytest_testcontainers import make_postgres

FACTS = json.loads(os.environ["BENCH_FACTS"])

@pytest.fixture(scope="session")
def tc_psql():
    with make_postgres(
        FACTS["image"],
        command=FACTS["command"],
        env=FACTS["environment"],
        labels={os.environ["BENCH_LABEL"]: ""},
        mounts=[Mount(path, None, type="tmpfs") for path in FACTS["memory"]],
        shm_size=FACTS["shm"],
    ) as server:
        yield server

@pytest.fixture
def database(tc_psql_db):
    with psycopg.connect(tc_psql_db.url()) as connection:
        connection.execute(SCHEMA.read_text())
    return tc_psql_db

def count(database):
    return count_rows(conninfo=database.url())
""",
)

# `[docker]`, not `[postgres]`: that one compiles psycopg2, which is not used here.
PYTEST_MOCK_RESOURCES = Contestant(
    name="pytest-mock-resources",
    fixture="database",
    plugins=("pytest_mock_resources",),
    install="pytest-mock-resources[docker]",
    server=True,
    note="static statements, so it copies a template; on a server of pytest-ldb; through "
    "SQLAlchemy on psycopg; its wait includes connecting",
    conftest="""
from pytest_mock_resources import PostgresConfig, StaticStatements, create_postgres_fixture
from sqlalchemy import text

statements = SCHEMA.read_text().rstrip(";\\n").split(";\\n")
database = create_postgres_fixture(StaticStatements(*statements))

@pytest.fixture(scope="session")
def pmr_postgres_config():
    where = {name: value for name, value in SERVER.items() if name != "user"}
    return PostgresConfig(
        **where, username=SERVER["user"], root_database="postgres", drivername="postgresql+psycopg"
    )

def count(engine):
    with engine.connect() as connection:
        return connection.execute(text("SELECT count(*) FROM t19")).scalar()
""",
)

MYSQL = Contestant(
    name="mysql",
    fixture="ldb_mysql_db",
    plugins=("ldb",),
    conftest="""
import pymysql

@pytest.fixture(scope="session")
def ldb_mysql_setup():
    return [SCHEMA]

def count(database):
    arguments = database.connect_args("pymysql")
    with pymysql.connect(**arguments) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM t19")
        return cursor.fetchone()[0]
""",
)

MONGODB = Contestant(
    name="mongodb",
    fixture="ldb_mongodb_db",
    plugins=("ldb",),
    conftest="""
import pymongo

def fill(database):
    with pymongo.MongoClient(database.url) as client:
        for name in TABLES:
            collection = client[database.database][name]
            collection.create_index("email", unique=True)
            collection.insert_many([{"email": f"user{row}@example.org"} for row in ROWS])

@pytest.fixture(scope="session")
def ldb_mongodb_setup():
    return fill

def count(database):
    with pymongo.MongoClient(database.url) as client:
        return client[database.database]["t19"].count_documents({})
""",
)

REDIS = Contestant(
    name="redis",
    fixture="ldb_redis_db",
    plugins=("ldb",),
    conftest="""
import redis

def fill(database):
    with redis.Redis(**database.connect_args("redis")) as client:
        for name in TABLES:
            client.hset(name, mapping={f"user{row}@example.org": row for row in ROWS})

@pytest.fixture(scope="session")
def ldb_redis_setup():
    return fill

def count(database):
    with redis.Redis(**database.connect_args("redis")) as client:
        return client.hlen("t19")
""",
)

ON_POSTGRES = (OURS, HAND, PYTEST_POSTGRESQL, PYTEST_TESTCONTAINERS, PYTEST_MOCK_RESOURCES)
OTHER_TYPES = (MYSQL, MONGODB, REDIS)
CONTESTANTS = {contestant.name: contestant for contestant in (*ON_POSTGRES, *OTHER_TYPES)}
OURS_BY_TYPE = {"postgres": OURS} | {contestant.name: contestant for contestant in OTHER_TYPES}
