from dataclasses import replace

from pytest_ldb import REDIS

VALKEY = replace(REDIS, name="valkey", image="valkey/valkey:9", program="valkey-server")


def pytest_ldb_database_types():
    return [VALKEY]
