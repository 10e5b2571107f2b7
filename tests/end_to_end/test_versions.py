"""Images of other versions and vendors work with the built-in types."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_ldb import InstanceStatus
from pytest_ldb.engines.docker.engine import DockerEngine

from .conftest import Project, docker

PREPARE = Path(__file__).parents[1] / "engine" / "prepare.py"

POSTGRES = """
import dataclasses, pathlib, psycopg, pytest
from pytest_ldb import POSTGRES

def pytest_ldb_database_types(config):
    return [dataclasses.replace(POSTGRES, init_scripts=[pathlib.Path("fill.sql")])]
"""

TESTS = """
import psycopg, pytest, redis

@pytest.mark.parametrize("n", range(4))
def test_postgres(ldb_postgres_db, n):
    with psycopg.connect(ldb_postgres_db.url) as connection:
        connection.execute("INSERT INTO filled VALUES (2)")
        assert connection.execute("SELECT sum(x) FROM filled").fetchone() == (3,)

@pytest.mark.parametrize("n", range(4))
def test_redis(ldb_redis_db, n):
    with redis.Redis(**ldb_redis_db.connect_args("redis")) as client:
        assert client.incr("n") == 1
"""


def image(name: str) -> str:
    """Return the reference of an extra image, built or pulled if necessary."""
    prepare = [sys.executable, str(PREPARE), "--env", name]
    printed = subprocess.run(prepare, check=True, capture_output=True, text=True).stdout
    return printed.strip().partition("=")[2]


@pytest.mark.parametrize("version", ["15", "17"])
def test_other_postgres_versions(project: Project, version: str) -> None:
    project.write("fill.sql", "CREATE TABLE filled (x int); INSERT INTO filled VALUES (1);")
    project.write("conftest.py", POSTGRES)
    project.write("test_it.py", TESTS)
    project.run(
        "-n2", f"--ldb-image=postgres={image(f'postgres:{version}')}", "-k", "postgres"
    ).passed(4)
    project.wait_until_gone()


@pytest.mark.parametrize("version", ["7", "8-busybox"])
def test_other_redis_versions_and_shells(project: Project, version: str) -> None:
    project.write("test_it.py", TESTS)
    project.run("-n2", f"--ldb-image=redis={image(f'redis:{version}')}", "-k", "redis").passed(4)
    project.wait_until_gone()


@pytest.fixture
def crashing() -> Iterator[str]:
    """A container with a restart policy that crashes repeatedly."""
    command = ("run", "--detach", "--restart=always", "--entrypoint", "sh")
    name = docker(*command, image("redis:8"), "-c", "exit 1").strip()
    yield name
    docker("rm", "--force", "--volumes", name)


def test_restart_loop_is_an_error(crashing: str) -> None:
    engine, deadline = DockerEngine(), time.monotonic() + 20.0
    while (container := engine.find(crashing)) and container.state != "restarting":
        assert time.monotonic() < deadline
    assert container is not None
    assert InstanceStatus.of(container.state, container.exit_code) is InstanceStatus.ERROR
