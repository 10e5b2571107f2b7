import psycopg
import pytest


def test_there_are_no_users_at_first(connection):
    assert connection.execute("SELECT count(*) FROM users").fetchone() == (0,)


def test_a_name_is_taken_once(connection):
    connection.execute("INSERT INTO users VALUES ('ada')")

    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("INSERT INTO users VALUES ('ada')")
