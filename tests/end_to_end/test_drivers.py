"""`connect_args` connects real drivers to the requested database."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_ldb import Database
from pytest_ldb.databases import BUILTIN
from pytest_ldb.engines.docker.engine import DockerEngine
from pytest_ldb.isolation.databases import databases_on
from pytest_ldb.model.drivers import spelled
from pytest_ldb.testing.servers import Servers

Driver = Callable[[Any, dict[str, Any]], str]
"""Connects with a driver's package and returns the name of the database that it is connected to."""

POSTGRES = "SELECT current_database()"
MYSQL = "SELECT database()"


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Database]]:
    """Return a database of a type; the tests of this module share one."""
    servers = Servers(DockerEngine(), tmp_path_factory.mktemp("drivers"))
    made: dict[str, Database] = {}

    def database(name: str) -> Database:
        if name not in made:
            (database_type,) = (
                database_type for database_type in BUILTIN if database_type.name == name
            )
            made[name] = databases_on(servers.obtain(database_type)).create(f"ldb_{os.getpid()}")
        return made[name]

    yield database
    servers.close()


def dbapi(query: str) -> Driver:
    """Return a function that asks the database for its name through PEP 249."""

    def ask(package: Any, arguments: dict[str, Any]) -> str:
        connection = package.connect(**arguments)
        try:
            cursor = connection.cursor()
            cursor.execute(query)
            (name,) = cursor.fetchone()
            return str(name)
        finally:
            connection.close()

    return ask


def asyncio_mysql(package: Any, arguments: dict[str, Any]) -> str:
    async def ask() -> str:
        connection = await package.connect(**arguments)
        try:
            async with connection.cursor() as cursor:
                await cursor.execute(MYSQL)
                (name,) = await cursor.fetchone()
                return str(name)
        finally:
            await connection.ensure_closed()

    return asyncio.run(ask())


def asyncio_psycopg(package: Any, arguments: dict[str, Any]) -> str:
    async def ask() -> str:
        async with await package.AsyncConnection.connect(**arguments) as connection:
            cursor = await connection.execute(POSTGRES)
            (name,) = await cursor.fetchone()
            return str(name)

    return asyncio.run(ask())


def asyncpg(package: Any, arguments: dict[str, Any]) -> str:
    async def ask() -> str:
        connection = await package.connect(**arguments)
        try:
            return str(await connection.fetchval(POSTGRES))
        finally:
            await connection.close()

    return asyncio.run(ask())


def pymongo(package: Any, arguments: dict[str, Any]) -> str:
    with package.MongoClient(**arguments) as client:
        database = client.get_default_database()
        database.things.insert_one({"x": 1})
        return str(database.name)


def asyncio_pymongo(package: Any, arguments: dict[str, Any]) -> str:
    async def ask() -> str:
        async with package.AsyncMongoClient(**arguments) as client:
            database = client.get_default_database()
            await database.things.insert_one({"x": 1})
            return str(database.name)

    return asyncio.run(ask())


def redis(class_name: str) -> Driver:
    """Return a function that asks through redis-py or its fork valkey-py."""

    def ask(package: Any, arguments: dict[str, Any]) -> str:
        with getattr(package, class_name)(**arguments) as client:
            return str(client.client_info()["db"])

    return ask


def asyncio_redis(class_name: str) -> Driver:
    """Return a function that asks through the asynchronous client of the same packages."""

    def ask(package: Any, arguments: dict[str, Any]) -> str:
        async def answer() -> str:
            async with getattr(package, class_name)(**arguments) as client:
                return str((await client.client_info())["db"])

        return asyncio.run(answer())

    return ask


DRIVERS = [
    ("postgres", "psycopg", "psycopg", dbapi(POSTGRES)),
    ("postgres", "psycopg", "psycopg", asyncio_psycopg),
    ("postgres", "psycopg2", "psycopg2", dbapi(POSTGRES)),
    ("postgres", "asyncpg", "asyncpg", asyncpg),
    ("postgres", "pg8000", "pg8000", dbapi(POSTGRES)),
    ("mysql", "PyMySQL", "pymysql", dbapi(MYSQL)),
    ("mysql", "mysqlclient", "MySQLdb", dbapi(MYSQL)),
    ("mysql", "mysql-connector", "mysql.connector", dbapi(MYSQL)),
    ("mysql", "aiomysql", "aiomysql", asyncio_mysql),
    ("mysql", "asyncmy", "asyncmy", asyncio_mysql),
    ("mongodb", "PyMongo", "pymongo", pymongo),
    ("mongodb", "PyMongo", "pymongo", asyncio_pymongo),
    ("redis", "redis", "redis", redis("Redis")),
    ("redis", "redis", "redis.asyncio", asyncio_redis("Redis")),
    ("redis", "valkey", "valkey", redis("Valkey")),
    ("redis", "valkey", "valkey.asyncio", asyncio_redis("Valkey")),
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Warnings of the drivers themselves.
@pytest.mark.parametrize(
    ("type_name", "driver", "package", "connected_to"),
    DRIVERS,
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", "driver"),
)
def test_driver_connects(
    databases: Callable[[str], Database],
    type_name: str,
    driver: str,
    package: str,
    connected_to: Driver,
) -> None:
    module = pytest.importorskip(package, exc_type=ImportError)
    database = databases(type_name)
    assert connected_to(module, database.connect_args(driver)) == database.name


@pytest.mark.parametrize("database_type", BUILTIN, ids=lambda database_type: database_type.name)
def test_every_declared_driver_has_a_test(database_type: Any) -> None:
    tested = [driver for type_name, driver, *_ in DRIVERS if type_name == database_type.name]
    assert {spelled(driver) for driver in database_type.addresses.drivers} == {
        spelled(driver) for driver in tested
    }
