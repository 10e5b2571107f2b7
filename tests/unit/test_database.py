"""What a test receives, in the words of the usual drivers."""

from __future__ import annotations

from dataclasses import replace
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

all_types = pytest.mark.parametrize("kind", BUILTIN, ids=lambda kind: kind.name)


def database(
    kind: DatabaseType, *, password: str = "s3cr't", host: str = "127.0.0.1", name: str = "shop"
) -> Database:
    credentials = Credentials(kind.server.user, password)
    return Database(instance(credentials=credentials, address=Address(host, 4711)), name, kind)


@all_types
@given(password=st.text(min_size=1), name=st.text(min_size=1))
def test_any_password_survives_the_url(kind: DatabaseType, password: str, name: str) -> None:
    for url in _urls(database(kind, password=password, name=name)):
        parts = urlsplit(url)
        assert unquote(parts.password or "") == password
        assert unquote(parts.path.removeprefix("/")) == name
        assert (parts.hostname, parts.port) == ("127.0.0.1", 4711)
        assert unquote(parts.username or "") == kind.server.user


@all_types
@given(password=st.text(min_size=9, alphabet="abcdefghijklm"))
def test_nothing_shows_the_password(kind: DatabaseType, password: str) -> None:
    one = database(kind, password=password, name="7")
    shown = [one, one.url, one.password, one.keywords, one.environment, one.instance]
    if kind.addresses.libpq:
        shown.append(one.libpq)
    if kind.addresses.dialect:
        shown.append(one.sqlalchemy_url("driver"))
    assert password not in repr(shown)
    assert password in one.url


def test_urls_are_written_as_drivers_expect() -> None:
    assert [str(database(kind, password="p@/:w").url) for kind in BUILTIN] == [
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
    assert one.keywords["host"] == one.environment["PGHOST"] == "::1"


def test_sqlalchemy_names_dialect_and_driver() -> None:
    assert str(database(POSTGRES).sqlalchemy_url("asyncpg")) == (
        "postgresql+asyncpg://postgres:s3cr%27t@127.0.0.1:4711/shop"
    )
    assert database(MYSQL).sqlalchemy_url("pymysql").startswith("mysql+pymysql://root:")


def test_keywords_are_those_of_the_driver() -> None:
    common = {"host": "127.0.0.1", "port": 4711, "password": "s3cr't"}
    assert database(POSTGRES).keywords == {**common, "user": "postgres", "database": "shop"}
    assert database(POSTGRES).libpq == {**common, "user": "postgres", "dbname": "shop"}
    assert database(MYSQL).keywords == {**common, "user": "root", "database": "shop"}
    assert database(MONGODB).keywords == {**common, "username": "root", "authSource": "admin"}
    assert database(REDIS, name="7").keywords == {**common, "username": "default", "db": 7}


def test_a_name_stays_text_whatever_a_driver_calls_it() -> None:
    keywords = {"db": "{database}", "tcp_port": "{port}"}
    kind = replace(MYSQL, addresses=replace(MYSQL.addresses, keywords=keywords))
    assert database(kind).keywords == {"db": "shop", "tcp_port": 4711}


def test_the_environment_is_that_of_the_clients() -> None:
    assert database(POSTGRES).environment == {
        "PGHOST": "127.0.0.1",
        "PGPORT": "4711",
        "PGUSER": "postgres",
        "PGPASSWORD": "s3cr't",
        "PGDATABASE": "shop",
    }
    assert database(REDIS, name="7").environment == {
        "REDIS_URL": "redis://default:s3cr%27t@127.0.0.1:4711/7"
    }


def test_what_a_database_does_not_know_is_an_error() -> None:
    with pytest.raises(InvalidRequest, match="redis: SQLAlchemy does not know this kind"):
        database(REDIS).sqlalchemy_url("redis")
    with pytest.raises(InvalidRequest, match=r"mysql: libpq does not know .*\n.*Use \.url"):
        _ = database(MYSQL).libpq


def test_a_server_that_does_not_run_has_no_address() -> None:
    stopped = replace(database(POSTGRES), instance=instance(name="shop-1", address=None))
    assert repr(stopped) == "<Database 'shop' on 'shop-1', which does not run>"
    with pytest.raises(NotRunning, match=r"it does not run, .*\n?Start it"):
        _ = stopped.url


def _urls(one: Database) -> list[str]:
    urls = [one.url]
    if one.database_type.addresses.dialect:
        urls.append(one.sqlalchemy_url("driver"))
    templates = one.database_type.addresses.env
    return urls + [text for name, text in one.environment.items() if "://" in templates[name]]
