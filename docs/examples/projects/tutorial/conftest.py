import psycopg
import pytest


@pytest.fixture(scope="session")
def database_url(ldb_postgres):
    with psycopg.connect(ldb_postgres.url) as connection:
        connection.execute("CREATE TABLE users (name text UNIQUE)")
    return ldb_postgres.url


@pytest.fixture
def connection(database_url):
    with psycopg.connect(database_url) as connection:
        yield connection
        connection.rollback()
