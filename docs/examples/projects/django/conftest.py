from contextlib import contextmanager
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connections

from pytest_ldb import Setup

HERE = Path(__file__).parent


@contextmanager
def django_on(database):
    settings = connections["default"].settings_dict
    before = settings.copy()
    connections.close_all()
    settings.update(
        HOST=database.host,
        PORT=database.port,
        USER=database.user,
        PASSWORD=database.password,
        NAME=database.database,
    )
    try:
        yield
    finally:
        connections.close_all()
        settings.update(before)


@pytest.fixture(scope="session")
def ldb_postgres_setup(django_db_blocker):
    def migrate(database):
        with django_db_blocker.unblock(), django_on(database):
            call_command("migrate", verbosity=0)

    return Setup(run=migrate, depends_on=[HERE / "users" / "migrations"])


@pytest.fixture(scope="session")
def django_db_setup(ldb_postgres):
    with django_on(ldb_postgres):
        yield


@pytest.fixture
def fresh_db(request, ldb_postgres_db, django_db_blocker):
    assert not request.node.get_closest_marker("django_db"), "fresh_db takes no mark"
    with django_db_blocker.unblock(), django_on(ldb_postgres_db):
        yield
