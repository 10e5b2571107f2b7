from dataclasses import replace
from pathlib import Path

from pytest_ldb import POSTGRES

HERE = Path(__file__).parent


def pytest_ldb_database_types():
    return [replace(POSTGRES, init_scripts=(HERE / "schema.sql",))]
