"""Two ways to create a database without a queue, in turns, on one server and template.

fresh.py copies this as a test beside the conftest.py of ``ours``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from pytest_ldb import Database

HERE = Path(__file__).parent
TIMES = "on-demand.json"
PAIRS = "pairs"

Make = Callable[[str], object]


def ours_now(config: pytest.Config, setup: object) -> tuple[Make, str]:
    """Return a function that creates a database, and its template, from the plugin's internals."""
    from pytest_ldb.isolation.templates import Templates
    from pytest_ldb.model.setup import Setup
    from pytest_ldb.plugin.state import RUN

    run = config.stash[RUN]
    databases = run.session().server("postgres").databases
    given = Setup.of(setup)
    assert given is not None
    template = Templates(databases, run.place.run, run.say).obtain(given)
    return lambda name: databases.create(name, template), template


def test_in_turns(
    pytestconfig: pytest.Config, ldb_postgres: Database, ldb_postgres_setup: object
) -> None:
    ours, template = ours_now(pytestconfig, ldb_postgres_setup)
    where = ldb_postgres.connect_args("psycopg") | {"dbname": "postgres"}
    with psycopg.connect(**where, autocommit=True) as admin:

        def hand(name: str) -> None:
            create = SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
            admin.execute(create.format(Identifier(name), Identifier(template)))

        times = in_turns({"ours": ours, "hand": hand}, admin, int((HERE / PAIRS).read_text()))
    (HERE / TIMES).write_text(json.dumps(times))


def in_turns(
    makers: dict[str, Make], admin: psycopg.Connection, pairs: int
) -> dict[str, list[float]]:
    """Return the durations in seconds; the first pair warms up, the order alternates."""
    times: dict[str, list[float]] = {name: [] for name in makers}
    for pair in range(pairs + 1):
        order = list(makers) if pair % 2 else list(reversed(makers))
        for maker in order:
            name = f"{maker}_{pair}"
            began = time.perf_counter()
            makers[maker](name)
            times[maker].append(time.perf_counter() - began)
            admin.execute(SQL("DROP DATABASE {}").format(Identifier(name)))
    return {name: values[1:] for name, values in times.items()}
