from dataclasses import replace

from pytest_ldb import POSTGRES


def pytest_ldb_database_types():
    return [replace(POSTGRES, command=("-c", "default_transaction_isolation=serializable"))]
