"""MySQL, with PyMySQL."""

import pymysql
import pytest


@pytest.fixture
def cursor(ldb_mysql):
    arguments = ldb_mysql.connect_args("pymysql")
    with pymysql.connect(**arguments) as connection, connection.cursor() as cursor:
        yield cursor


def test_the_database_is_this_workers_own(cursor, ldb_mysql):
    cursor.execute("SELECT DATABASE()")

    assert cursor.fetchone() == (ldb_mysql.database,)


def test_rows_come_back(cursor):
    cursor.execute("CREATE TEMPORARY TABLE users (name VARCHAR(20))")
    cursor.execute("INSERT INTO users VALUES ('ada')")
    cursor.execute("SELECT name FROM users")

    assert cursor.fetchall() == (("ada",),)
