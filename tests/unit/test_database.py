"""URLs and connection arguments of a database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ldb.databases import BUILTIN, MONGODB, MYSQL, POSTGRES, REDIS
from pytest_ldb.model.database import Database
from pytest_ldb.model.database_type import DatabaseType
from pytest_ldb.model.errors import InvalidRequest, NotRunning
from pytest_ldb.model.instance import Address, Credentials

from .conftest import instance

all_types = pytest.mark.parametrize(
    "database_type", BUILTIN, ids=lambda database_type: database_type.name
)


def database(
    database_type: DatabaseType,
    *,
    password: str = "s3cr't",
    host: str = "127.0.0.1",
    name: str = "shop",
) -> Database:
    credentials = Credentials(database_type.server.user, password)
    return Database(
        instance(credentials=credentials, address=Address(host, 4711)), name, database_type
    )


def with_addresses(database_type: DatabaseType, **changes: Any) -> DatabaseType:
    return replace(database_type, addresses=replace(database_type.addresses, **changes))


@all_types
@given(password=st.text(min_size=1), name=st.text(min_size=1))
def test_password_round_trips_through_the_url(
    database_type: DatabaseType, password: str, name: str
) -> None:
    for url in _urls(database(database_type, password=password, name=name)):
        parts = urlsplit(url)
        assert unquote(parts.password or "") == password
        assert unquote(parts.path.removeprefix("/")) == name
        assert (parts.hostname, parts.port) == ("127.0.0.1", 4711)
        assert unquote(parts.username or "") == database_type.server.user


@all_types
@given(password=st.text(min_size=9, alphabet="abcdefghijklm"))
def test_reprs_hide_the_password(database_type: DatabaseType, password: str) -> None:
    one = database(database_type, password=password, name="7")
    assert password not in repr([one, one.instance, one.instance.credentials])
    assert password in one.url


@all_types
def test_drivers_receive_plain_strings(database_type: DatabaseType) -> None:
    one = database(database_type, name="7")
    values = [one.url, one.password, one.name, *one.env.values()]
    for driver in database_type.addresses.drivers:
        values += one.connect_args(driver).values()
    if database_type.addresses.dialect:
        values.append(one.sqlalchemy_url("driver"))
    assert {type(value) for value in values} <= {str, int}


def test_urls_have_the_format_of_drivers() -> None:
    assert [str(database(database_type, password="p@/:w").url) for database_type in BUILTIN] == [
        "postgresql://postgres:p%40%2F%3Aw@127.0.0.1:4711/shop",
        "mysql://root:p%40%2F%3Aw@127.0.0.1:4711/shop",
        "mongodb://root:p%40%2F%3Aw@127.0.0.1:4711/shop?authSource=admin",
        "redis://default:p%40%2F%3Aw@127.0.0.1:4711/shop",
    ]


def test_repr_is_the_url_without_the_password() -> None:
    assert repr(database(POSTGRES)) == "<Database 'postgresql://postgres:***@127.0.0.1:4711/shop'>"


def test_ipv6_has_brackets_in_urls_only() -> None:
    one = database(POSTGRES, host="::1")
    assert one.url.endswith("@[::1]:4711/shop")
    assert one.connect_args("asyncpg")["host"] == one.env["PGHOST"] == "::1"


def test_sqlalchemy_url_has_dialect_and_driver() -> None:
    assert str(database(POSTGRES).sqlalchemy_url("asyncpg")) == (
        "postgresql+asyncpg://postgres:s3cr%27t@127.0.0.1:4711/shop"
    )
    assert database(MYSQL).sqlalchemy_url("pymysql").startswith("mysql+pymysql://root:")


LOGIN = {"host": "127.0.0.1", "port": 4711, "password": "s3cr't"}


@pytest.mark.parametrize(
    ("driver", "arguments"),
    [
        ("psycopg", {**LOGIN, "user": "postgres", "dbname": "shop"}),
        ("psycopg2", {**LOGIN, "user": "postgres", "dbname": "shop"}),
        ("asyncpg", {**LOGIN, "user": "postgres", "database": "shop"}),
        ("pg8000", {**LOGIN, "user": "postgres", "database": "shop"}),
    ],
)
def test_connect_args_of_postgres(driver: str, arguments: dict[str, object]) -> None:
    assert database(POSTGRES).connect_args(driver) == arguments


@pytest.mark.parametrize("driver", ["PyMySQL", "mysqlclient", "mysql-connector", "asyncmy"])
def test_connect_args_of_mysql(driver: str) -> None:
    arguments = {**LOGIN, "user": "root", "database": "shop"}
    assert database(MYSQL).connect_args(driver) == arguments


def test_aiomysql_database_argument_is_db() -> None:
    assert database(MYSQL).connect_args("aiomysql") == {**LOGIN, "user": "root", "db": "shop"}


def test_pymongo_receives_the_database_with_the_url() -> None:
    one = database(MONGODB)
    assert one.connect_args("pymongo") == {"host": one.url}


def test_connect_args_follow_a_custom_url() -> None:
    database_type = with_addresses(MONGODB, url="mongodb+srv://{host}/{database}?tls=true")
    assert database(database_type).connect_args("pymongo") == {
        "host": "mongodb+srv://127.0.0.1/shop?tls=true"
    }


@pytest.mark.parametrize("driver", ["redis", "valkey"])
def test_database_number_is_an_integer(driver: str) -> None:
    arguments = {**LOGIN, "username": "default", "db": 7}
    assert database(REDIS, name="7").connect_args(driver) == arguments


@pytest.mark.parametrize(
    ("database_type", "names"),
    [
        (POSTGRES, ["psycopg", "Psycopg", "psycopg3", "psycopg-binary", "psycopg_binary"]),
        (POSTGRES, ["psycopg2", "psycopg2-binary"]),
        (MYSQL, ["PyMySQL", "pymysql", "PYMYSQL"]),
        (MYSQL, ["mysqlclient", "MySQLdb"]),
        (MYSQL, ["mysql-connector", "mysql.connector", "mysql-connector-python"]),
        (MONGODB, ["PyMongo", "pymongo"]),
        (REDIS, ["redis", "redis-py"]),
        (REDIS, ["valkey", "valkey-py"]),
    ],
)
def test_driver_spellings_are_normalised(database_type: DatabaseType, names: list[str]) -> None:
    one = database(database_type, name="7")
    assert all(one.connect_args(name) == one.connect_args(names[0]) for name in names)


def test_declared_driver_spellings_are_normalised() -> None:
    database_type = with_addresses(
        MYSQL, drivers={"Fancy.Driver": {"db": "{database}", "tcp_port": "{port}"}}
    )
    assert database(database_type).connect_args("fancy-driver") == {"db": "shop", "tcp_port": 4711}


def test_unknown_driver_error_lists_known_drivers() -> None:
    with pytest.raises(InvalidRequest) as caught:
        database(POSTGRES).connect_args("pymysql")
    assert str(caught.value) == (
        "postgres: no arguments are declared for the driver 'pymysql'.\n"
        "Use .url. connect_args supports psycopg, psycopg2, asyncpg, pg8000."
    )
    with pytest.raises(InvalidRequest, match="connect_args supports no driver"):
        database(with_addresses(REDIS, drivers={})).connect_args("redis")


def test_name_is_the_database() -> None:
    assert database(POSTGRES).name == database(POSTGRES).database == "shop"


def test_env_holds_client_variables() -> None:
    assert database(POSTGRES).env == {
        "PGHOST": "127.0.0.1",
        "PGPORT": "4711",
        "PGUSER": "postgres",
        "PGPASSWORD": "s3cr't",
        "PGDATABASE": "shop",
    }
    assert database(REDIS, name="7").env == {
        "REDIS_URL": "redis://default:s3cr%27t@127.0.0.1:4711/7"
    }


def test_sqlalchemy_supports_only_types_with_a_dialect() -> None:
    with pytest.raises(InvalidRequest, match="redis: SQLAlchemy does not support this"):
        database(REDIS).sqlalchemy_url("redis")


def test_stopped_server_has_no_address() -> None:
    stopped = replace(database(POSTGRES), instance=instance(name="shop-1", address=None))
    assert repr(stopped) == "<Database 'shop' on 'shop-1', which is not running>"
    with pytest.raises(NotRunning, match=r"it is not running, .*\n?Start it"):
        _ = stopped.url


def _urls(one: Database) -> list[str]:
    urls = [one.url]
    if one.database_type.addresses.dialect:
        urls.append(one.sqlalchemy_url("driver"))
    templates = one.database_type.addresses.env
    return urls + [text for name, text in one.env.items() if "://" in templates[name]]
