"""What an image does by itself, it does as a server of ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Project, docker

SCRIPT = "CREATE TABLE seed (x int); INSERT INTO seed VALUES (1);"
COMMAND = '["postgres", "-c", "shared_preload_libraries=auto_explain", "-c", "work_mem=5MB"]'

SOURCED = "docker_process_sql <<< 'CREATE TABLE sourced (x int);'"

CONFTEST = """
from dataclasses import replace
from pathlib import Path
from pytest_ldb import POSTGRES

def pytest_ldb_database_types():
    script = Path(__file__).parent / "20-sourced.sh"
    return [replace(POSTGRES, init_scripts=[script], command=("-c", "work_mem=6MB"))]
"""

TESTS = """
import psycopg, pytest

def seed(database):
    with psycopg.connect(database.url) as connection:
        return connection.execute("SELECT x FROM seed").fetchall()

@pytest.mark.parametrize("n", range(4))
def test_each_process(ldb_postgres, n):
    assert seed(ldb_postgres) == [(1,)]

@pytest.mark.parametrize("n", range(4))
def test_each_test(ldb_postgres_db, n):
    assert seed(ldb_postgres_db) == [(1,)]
    with psycopg.connect(ldb_postgres_db.url) as connection:
        connection.execute("DELETE FROM seed")

def test_command(ldb_postgres):
    with psycopg.connect(ldb_postgres.url) as connection:
        assert connection.execute("SHOW shared_preload_libraries").fetchone() == ("auto_explain",)
        assert connection.execute("SHOW work_mem").fetchone() == (WORK_MEM,)
"""

SOURCED_TEST = """
def test_sourced(ldb_postgres_db):
    with psycopg.connect(ldb_postgres_db.url) as connection:
        assert connection.execute("SELECT * FROM sourced").fetchall() == []
"""


@pytest.fixture
def image(tmp_path: Path) -> Iterator[str]:
    """An image of PostgreSQL with an init script and a command of its own."""
    tag = f"localhost/pytest-ldb-test/seeded:{os.getpid()}"
    (tmp_path / "10-seed.sql").write_text(SCRIPT)
    (tmp_path / "Dockerfile").write_text(
        f"FROM {os.environ['LDB_POSTGRES_IMAGE']}\n"
        f"COPY 10-seed.sql /docker-entrypoint-initdb.d/\nCMD {COMMAND}\n"
    )
    docker("build", "--quiet", "--force-rm", f"--tag={tag}", str(tmp_path))
    yield tag
    docker("rmi", tag)


def test_databases_hold_what_the_scripts_of_the_image_did(image: str, project: Project) -> None:
    project.write("test_it.py", TESTS.replace("WORK_MEM", repr("5MB")))
    for _ in range(2):
        project.run("-n2", "--ldb-keep", f"--ldb-image=postgres={image}").passed(9)


def test_scripts_of_the_declaration_are_sourced_if_not_executable(
    image: str, project: Project
) -> None:
    project.write("conftest.py", CONFTEST)
    project.write("20-sourced.sh", SOURCED).chmod(0o644)
    tests = TESTS.replace("WORK_MEM", repr("6MB"))
    project.write("test_it.py", tests + SOURCED_TEST)
    project.run(f"--ldb-image=postgres={image}").passed(10)
    project.wait_until_gone()
