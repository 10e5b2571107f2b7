"""PostgreSQL with pgvector, for pytest-ldb."""

from dataclasses import replace

from pytest_ldb import POSTGRES

PGVECTOR = replace(POSTGRES, name="pgvector", image="pgvector/pgvector:pg18")


def pytest_ldb_database_types():
    return [PGVECTOR]
