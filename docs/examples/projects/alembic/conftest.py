from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from pytest_ldb import Setup

HERE = Path(__file__).parent


def migrate(database):
    config = Config(HERE / "alembic.ini")
    url = database.sqlalchemy_url("psycopg")
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    command.upgrade(config, "head")


@pytest.fixture(scope="session")
def ldb_postgres_setup():
    return Setup(run=migrate, depends_on=[HERE / "alembic.ini", HERE / "migrations"])


@pytest.fixture
def session(ldb_postgres_db):
    engine = create_engine(ldb_postgres_db.sqlalchemy_url("psycopg"))
    with Session(engine) as session:
        yield session
    engine.dispose()
