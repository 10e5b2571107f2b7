"""Ordinary user code for type checkers. It is not run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pymongo
import pytest
import redis
import sqlalchemy
from typing_extensions import assert_type

from pytest_ldb import (
    MONGODB,
    MYSQL,
    POSTGRES,
    REDIS,
    Address,
    Addresses,
    ClientProgram,
    Credentials,
    Database,
    DatabaseType,
    Exchange,
    Instance,
    InstanceStatus,
    LdbError,
    Lifecycle,
    LogFormat,
    Operations,
    Reset,
    Server,
    ServerProgram,
    Setup,
)
from pytest_ldb.engines.docker.engine import DockerEngine
from pytest_ldb.engines.protocol import Engine
from pytest_ldb.testing import DatabaseTypeContract, EngineContract
from pytest_ldb.testing.fake.engine import FakeEngine

VALKEY = DatabaseType(
    name="valkey",
    image="valkey/valkey:8",
    port=6379,
    ready=Exchange(send=b"PING\r\n", ready=rb"\+PONG"),
    server=ServerProgram(user="default", numbered_databases=16),
    client=ClientProgram(argv=("valkey-cli",), mark="ECHO {mark}"),
    operations=Operations(drop=("valkey-cli", "-n", "{database}", "FLUSHDB")),
    reset=Reset(),
    log=LogFormat(entry=r"\d+:\w "),
    addresses=Addresses(
        url="redis://{host}:{port}/{database}",
        drivers={"redis": {"host": "{host}", "port": "{port}", "db": "{database}"}},
        env={"VALKEY_PORT": "{port}"},
    ),
)


def pytest_ldb_database_types() -> Iterable[DatabaseType]:
    yield replace(
        POSTGRES,
        image="postgis/postgis:17-3.5",
        command=("-c", "shared_preload_libraries=pg_stat_statements"),
        environment={**POSTGRES.environment, "TZ": "UTC"},
        init_scripts=(Path(__file__).with_name("schema.sql"),),
        memory_mib=2048,
    )
    yield VALKEY


def pytest_ldb_engine(config: pytest.Config) -> Engine | None:
    return FakeEngine(config.rootpath / "fake") if os.environ.get("FAKE") else DockerEngine()


def pytest_ldb_instance_ready(config: pytest.Config, instance: Instance) -> None:
    config.rootpath.joinpath("server.json").write_text(instance.to_json())


@pytest.fixture(scope="session")
def migrated(ldb_postgres: Database) -> Database:
    environment = {**os.environ, **ldb_postgres.env}
    subprocess.run(["alembic", "upgrade", "head"], env=environment, check=True)
    return ldb_postgres


@pytest.fixture(scope="session")
def ldb_mysql_setup() -> list[Path]:
    return [Path("schema.sql"), Path("seed.sql")]


@pytest.fixture(scope="session")
def ldb_postgres_setup() -> Setup:
    def migrate(database: Database) -> None:
        subprocess.run(["alembic", "upgrade", "head"], env=database.env, check=True)

    return Setup(run=migrate, depends_on=[Path("migrations"), "alembic.ini"])


def test_drivers(migrated: Database, ldb_redis: Database, ldb_mongodb: Database) -> None:
    with psycopg.connect(migrated.url) as connection:
        connection.execute("SELECT 1")
    with psycopg.connect(**migrated.connect_args("psycopg")) as connection:
        connection.execute("SELECT 1")
    sqlalchemy.create_engine(migrated.sqlalchemy_url("psycopg")).dispose()
    redis.Redis(**ldb_redis.connect_args("redis")).close()
    redis.Redis.from_url(ldb_redis.url).close()
    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(ldb_mongodb.url)
    client.close()


def test_a_database(ldb_mysql: Database) -> None:
    assert_type(ldb_mysql.instance, Instance)
    assert_type(ldb_mysql.database_type, DatabaseType)
    assert_type(ldb_mysql.address, Address)
    assert_type(ldb_mysql.host, str)
    assert_type(ldb_mysql.port, int)
    assert_type(ldb_mysql.user, str)
    assert_type(ldb_mysql.password, str)
    assert_type(ldb_mysql.database, str)
    assert_type(ldb_mysql.name, str)
    assert_type(ldb_mysql.url, str)
    assert_type(ldb_mysql.sqlalchemy_url("pymysql"), str)
    assert_type(ldb_mysql.connect_args("pymysql"), dict[str, Any])
    assert_type(ldb_mysql.env, dict[str, str])
    _ = repr(ldb_mysql) + str(hash(ldb_mysql.host))


def test_an_instance(ldb_redis: Database) -> None:
    instance = ldb_redis.instance
    assert_type(instance.id, UUID)
    assert_type(instance.status, InstanceStatus)
    assert_type(instance.address, Address | None)
    assert_type(instance.credentials, Credentials)
    assert_type(instance.to_json(), str)
    assert_type(Instance.from_json("{}", [REDIS, MYSQL, MONGODB]), Instance)


def test_the_seven_commands(ldb: Lifecycle) -> None:
    server = ldb.create("postgres", image="postgres:17")
    server = ldb.start(ldb.stop(ldb.create(VALKEY)))
    server = ldb.restart(server.name)
    assert ldb.status(server) is InstanceStatus.RUNNING
    assert server.status.value == "running"
    assert_type(ldb.list(), tuple[Instance, ...])
    assert_type(ldb.database(server), Database)
    try:
        ldb.delete(server)
    except LdbError as error:
        assert_type(
            (error.subject, error.fact, error.evidence, error.remedy), tuple[str, str, str, str]
        )


def test_a_server(ldb: Lifecycle) -> None:
    with ldb.server("redis", image="redis:8", command=["--maxmemory", "1mb"]) as server:
        assert_type(server, Server)
        server.stop()
        server.start()
        server.restart()
        assert_type(server.url, str)
        assert_type(server.database, Database)
        assert_type(server.instance, Instance)
    ldb.server(VALKEY, command="valkey-server --save ''").delete()


class TestMyRuntime(EngineContract):
    image = "redis:8"

    @pytest.fixture(scope="class")
    @classmethod
    def make_engine(cls) -> Callable[[], Engine]:
        return DockerEngine

    def pause(self, engine: Any, container: str) -> None:
        subprocess.run(["docker", "pause", container], check=True)


class TestValkey(DatabaseTypeContract):
    database_type = VALKEY
    refused = redis.AuthenticationError

    def add(self, database: Database, name: str) -> None:
        redis.Redis.from_url(database.url).set(name, "value")

    def things(self, database: Database) -> set[str]:
        return {key.decode() for key in redis.Redis.from_url(database.url).scan_iter()}
