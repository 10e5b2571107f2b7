from pathlib import Path

import psycopg
import pytest

from pytest_ldb import Setup

HERE = Path(__file__).parent
MIGRATIONS = HERE / "migrations"


def migrate(database):
    with psycopg.connect(database.url) as connection:
        for migration in sorted(MIGRATIONS.glob("*.sql")):
            connection.execute(migration.read_text())


@pytest.fixture(scope="session")
def ldb_postgres_setup():
    return Setup(run=migrate, depends_on=[MIGRATIONS])


@pytest.fixture(scope="session")
def ldb_mysql_setup():
    return [HERE / "shop.sql"]
