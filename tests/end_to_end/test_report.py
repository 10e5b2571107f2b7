"""The report of a run on the terminal and in a file."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from typing import Any

import pytest

from .conftest import Project

SETUP = """
import psycopg, pytest

@pytest.fixture(scope="session")
def ldb_postgres_setup():
    def fill(database):
        with psycopg.connect(database.url) as connection:
            connection.execute("CREATE TABLE things (x int)")
    return fill
"""

TESTS = """
import pytest

@pytest.mark.parametrize("n", range(10))
def test_it(ldb_postgres_db, n): pass

@pytest.mark.parametrize("n", range(10))
def test_other(ldb_redis, n): pass
"""


@pytest.fixture
def shop(project: Project) -> Project:
    """A project whose tests use two servers."""
    project.write("conftest.py", SETUP)
    project.write("test_it.py", TESTS)
    return project


def reported(project: Project) -> list[dict[str, Any]]:
    servers: list[dict[str, Any]] = json.loads((project.root / "r.json").read_text())["servers"]
    return servers


@pytest.mark.parametrize("workers", [1, 2])
def test_usage_of_all_processes_is_summed(shop: Project, workers: int) -> None:
    run = shop.run("--ldb-report=r.json", f"-n{workers}" if workers > 1 else "-n0")
    run.passed(20)
    postgres, redis = reported(shop)
    assert (postgres["type"], redis["type"]) == ("postgres", "redis")
    assert (postgres["templates"], postgres["fresh_databases"]) == (1, 10)
    assert (redis["templates"], redis["fresh_databases"]) == (0, 0)
    for server in (postgres, redis):
        assert (server["origin"], server["pull_s"]) == ("created", None)
        assert (server["kept"], server["ended_by"]) == (False, None)
        assert server["processes"] == workers
        assert server["start_s"] > 0.05
    assert postgres["ready_s"] > 0.2  # The image initialises the data directory.
    assert 0 < postgres["fresh_wait_median_s"] <= postgres["fresh_wait_longest_s"]
    image, seconds = postgres["image"], r"\d+\.\d\d s"
    told = rf"^postgres: {image} created in {seconds} \(start {seconds}, ready {seconds}\)"
    told += f" for {workers} workers$" if workers > 1 else "$"
    assert re.search(told, run.output, re.MULTILINE), run.output
    told = rf"^  1 template in {seconds}, 10 fresh databases, median wait .*\d m?s$"
    assert re.search(told, run.output, re.MULTILINE), run.output


def test_kept_server_is_reported_with_the_command_to_delete_it(shop: Project) -> None:
    for origin in ("created", "attached"):
        run = shop.run("--ldb-report=r.json", "--ldb-keep", "-n2", "-k", "other")
        (redis,) = reported(shop)
        assert (redis["origin"], redis["kept"]) == (origin, True)
        assert shop.containers() == [redis["container"]]
        assert f"  kept as {redis['container']}, `{redis['ended_by']}` ends it" in run.output
    subprocess.run(shlex.split(redis["ended_by"]), check=True)
    shop.wait_until_gone()


def test_unwritable_report_does_not_fail_the_run(shop: Project) -> None:
    run = shop.run("--ldb-report=absent/r.json", "-n2", "-k", "other")
    run.passed(10)
    path = shop.root / "absent/r.json"
    line = f"ldb: --ldb-report: {path} could not be written: No such file or directory\n"
    assert run.output.count(line) == 1, run.output


def test_slow_initialisation_is_reported_once_and_not_on_attach(project: Project) -> None:
    project.write("test_it.py", "def test_it(ldb_mysql): pass\ndef test_other(ldb_mysql): pass\n")
    junit = project.root / "junit.xml"
    run = project.run("--ldb-keep", "-q", f"--junitxml={junit}", "-n2")
    run.passed(2)
    assert run.output.count("ldb: mysql: initialising, 1 s\n") == 1, run.output
    told = re.findall(r"ldb: mysql: initialising, \d+ s", run.output)
    assert len(told) == len(set(told)) <= 3, run.output
    assert "initialising" not in junit.read_text()
    run = project.run("--ldb-keep", "-q", "-n2")
    run.passed(2)
    assert "initialising" not in run.output
