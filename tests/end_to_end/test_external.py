"""LDB_<NAME>_URL: an existing server is used and left unchanged."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pymongo
import pymysql
import pytest
import redis

from pytest_ldb import Database, DatabaseType
from pytest_ldb.databases import BUILTIN
from pytest_ldb.engines.docker.engine import DockerEngine
from pytest_ldb.lifecycle.commands import Lifecycle
from pytest_ldb.lifecycle.planner import Planner
from pytest_ldb.model.credentials import UserIdentity
from pytest_ldb.model.request import Scope
from pytest_ldb.model.settings import Settings

from .conftest import Project

CLIENTS = ("psql", "mysql", "redis-cli", "mongosh")
TYPE_NAMES = ("POSTGRES", "MYSQL", "REDIS", "MONGODB")
VARIABLES = (
    "PGHOST",
    "PGPORT",
    "PGUSER",
    "PGPASSWORD",
    "PGDATABASE",
    "MYSQL_PWD",
    "REDISCLI_AUTH",
    "LDB_USER",
    "LDB_PASSWORD",
)

TEST = """
import time
def test(ldb_{name}, record):
    assert ldb_{name}.instance.image == ""
    record(database=ldb_{name}.database, url=str(ldb_{name}.url))
    time.sleep({sleep})
"""

BESIDE = """
import os, psycopg, pymysql
URL, SQL = os.environ["WHERE"], "CREATE DATABASE test_" + os.environ["WHAT"]
def test(ldb_{name}):
    assert ldb_{name}.url == URL
    {make}
"""
MAKE = {
    "postgres": "with psycopg.connect(URL, autocommit=True) as c: c.execute(SQL)",
    "mysql": (
        "with pymysql.connect(**ldb_mysql.connect_args('pymysql')) as c: c.cursor().execute(SQL)"
    ),
}


@pytest.fixture(scope="module")
def lifecycle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lifecycle]:
    """Servers for this module that stand for existing servers of a user."""
    engine = DockerEngine()
    images = {
        database_type.name: os.environ[f"LDB_{database_type.name.upper()}_IMAGE"]
        for database_type in BUILTIN
    }
    identity = UserIdentity(b"secret" * 6)
    scope = Scope.of(tmp_path_factory.mktemp("external"), "external", identity.mark)
    planner = Planner(engine, Settings(images=images), scope, identity, print)
    lifecycle = Lifecycle(planner, BUILTIN)
    yield lifecycle
    lifecycle.close()


@pytest.fixture(scope="module", params=BUILTIN, ids=lambda database_type: database_type.name)
def existing(request: pytest.FixtureRequest, lifecycle: Lifecycle) -> Database:
    """A database with data on an existing server."""
    database_type: DatabaseType = request.param
    database = lifecycle.database(lifecycle.create(database_type))
    if database_type.name == "redis":
        redis.Redis.from_url(database.url).set("theirs", 1)
    return database


@pytest.fixture
def _clients(project: Project) -> None:
    """The client programs that a user has installed; here they run in the images."""
    folder = project.root / "bin"
    folder.mkdir()
    for client, type_name in zip(CLIENTS, TYPE_NAMES, strict=True):
        image, passed = os.environ[f"LDB_{type_name}_IMAGE"], " ".join(f"-e {v}" for v in VARIABLES)
        path = folder / client
        path.write_text(
            f"#!/bin/sh\nexec docker run --rm -i --network host {passed} "
            f'--entrypoint "" {image} {client} "$@"\n'
        )
        path.chmod(0o755)
    project.environment["PATH"] = f"{folder}:{os.environ['PATH']}"


def names(database: Database) -> set[str]:
    """Return the names of all databases on the server; for Redis of those that are not empty."""
    type_name = database.database_type.name
    if type_name == "postgres":
        with psycopg.connect(database.url) as connection:
            rows = connection.execute("SELECT datname FROM pg_database").fetchall()
            return {row[0] for row in rows}
    if type_name == "mysql":
        with (
            pymysql.connect(**database.connect_args("pymysql")) as server,
            server.cursor() as cursor,
        ):
            cursor.execute("SHOW DATABASES")
            return {row[0] for row in cursor.fetchall()}
    if type_name == "mongodb":
        with pymongo.MongoClient[dict[str, object]](database.url) as client:
            return set(client.list_database_names())
    return set(redis.Redis.from_url(database.url).info("keyspace"))


@pytest.mark.usefixtures("_clients")
def test_only_databases_of_the_run_are_created_and_dropped(
    project: Project, existing: Database
) -> None:
    name = existing.database_type.name
    before = names(existing)
    project.environment[f"LDB_{name.upper()}_URL"] = existing.url
    project.environment["DOCKER_HOST"] = ""
    project.write("test_it.py", TEST.format(name=name, sleep=0))
    run = project.run()
    run.passed(1)
    assert f"{name}: existing server, {name} at 127.0.0.1:" in run.output
    (record,) = project.records()
    assert record["database"] != existing.database
    wait_until(lambda: names(existing) == before)
    assert not project.containers()


@pytest.mark.usefixtures("_clients")
def test_environment_databases_and_django_test_databases_are_dropped(
    project: Project, existing: Database
) -> None:
    name = existing.database_type.name
    before = names(existing)
    project.environment[f"LDB_{name.upper()}_URL"] = existing.url
    project.environment["LDB_ENV"] = f"WHERE={name}.url,WHAT={name}.database"
    project.write("test_it.py", BESIDE.format(name=name, make=MAKE.get(name, "pass")))
    project.run().passed(1)
    wait_until(lambda: names(existing) == before)


@pytest.mark.usefixtures("_clients")
def test_killed_run_leaves_no_database(project: Project, existing: Database) -> None:
    name = existing.database_type.name
    before = names(existing)
    project.environment[f"LDB_{name.upper()}_URL"] = existing.url
    project.write("test_it.py", TEST.format(name=name, sleep=30))
    process = project.start("-n2")
    project.wait_for_record()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)
    wait_until(lambda: names(existing) == before)


def test_missing_client_is_named(project: Project, lifecycle: Lifecycle) -> None:
    server = next((i for i in lifecycle.list() if i.database_type == "postgres"), None)
    database = lifecycle.database(server or lifecycle.create("postgres"))
    shells = project.root / "bin"
    shells.mkdir()
    for program in ("sh", "cat", "mkdir", "rm", "rmdir", "mv", "sleep"):
        (shells / program).symlink_to(Path("/bin", program))
    project.environment |= {"LDB_POSTGRES_URL": database.url, "PATH": str(shells)}
    project.write("test_it.py", TEST.format(name="postgres", sleep=0))
    run = project.run()
    assert "LDB_POSTGRES_URL: databases on an existing server need `psql`" in run.output
    assert "Install the client programs of postgres on this machine." in run.output


def test_invalid_url_error_shows_the_format(project: Project) -> None:
    project.environment["LDB_POSTGRES_URL"] = "localhost"
    project.write("test_it.py", TEST.format(name="postgres", sleep=0))
    run = project.run()
    assert "LDB_POSTGRES_URL: its value is not the URL of a server." in run.output
    assert "postgresql://USER:PASSWORD@HOST:PORT/DATABASE" in run.output


def wait_until(condition: object, timeout_s: float = 10.0) -> None:
    """Fail unless the condition becomes true."""
    assert callable(condition)
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
