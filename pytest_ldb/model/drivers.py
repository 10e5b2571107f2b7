"""The names of drivers, as users write them."""

from __future__ import annotations

import re

_OTHER_NAMES = {
    "mysql-connector-python": "mysql-connector",
    "mysqldb": "mysqlclient",
    "psycopg-binary": "psycopg",
    "psycopg2-binary": "psycopg2",
    "psycopg3": "psycopg",
    "redis-py": "redis",
    "valkey-py": "valkey",
}


def spelled(driver: str) -> str:
    """Return one spelling for all names of a driver: its project, its package, in any case."""
    name = re.sub(r"[-_.\s]+", "-", driver.strip().lower())
    return _OTHER_NAMES.get(name, name)
