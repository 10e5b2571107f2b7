import pytest
from sqlalchemy import create_engine, text


@pytest.fixture(scope="session")
def engine(ldb_postgres):
    engine = create_engine(ldb_postgres.sqlalchemy_url("psycopg"))
    yield engine
    engine.dispose()


@pytest.fixture
def connection(engine):
    with engine.connect() as connection, connection.begin() as transaction:
        yield connection
        transaction.rollback()


def test_a_query(connection):
    assert connection.execute(text("SELECT 1")).scalar() == 1
