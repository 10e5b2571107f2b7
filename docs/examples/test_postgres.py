"""PostgreSQL, with psycopg."""

import psycopg
import pytest


@pytest.fixture
def connection(ldb_postgres):
    with psycopg.connect(ldb_postgres.url) as connection:
        yield connection
        connection.rollback()


def test_the_server_is_real(connection):
    (version,) = connection.execute("SHOW server_version_num").fetchone()

    assert int(version) >= 140000


def test_a_rollback_keeps_tests_apart(connection):
    connection.execute("CREATE TABLE users (name text UNIQUE)")
    connection.execute("INSERT INTO users VALUES ('ada')")

    assert connection.execute("SELECT name FROM users").fetchall() == [("ada",)]


def test_a_constraint_holds(connection):
    connection.execute("CREATE TABLE users (name text UNIQUE)")
    connection.execute("INSERT INTO users VALUES ('ada')")

    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("INSERT INTO users VALUES ('ada')")
