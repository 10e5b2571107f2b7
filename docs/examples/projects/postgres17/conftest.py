from dataclasses import replace

from pytest_ldb import POSTGRES


def pytest_ldb_database_types():
    return [replace(POSTGRES, name="postgres17", image="postgres:17")]
