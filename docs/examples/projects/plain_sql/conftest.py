from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def ldb_postgres_setup():
    return [HERE / "postgres.sql"]


@pytest.fixture(scope="session")
def ldb_mysql_setup():
    return [HERE / "mysql.sql"]
