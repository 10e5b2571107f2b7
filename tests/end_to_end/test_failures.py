"""Errors are reported as subject, fact, evidence and remedy, without a traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import Project

TYPES = """
import dataclasses
from pytest_ldb import POSTGRES, REDIS

def pytest_ldb_database_types(config):
    return [
        dataclasses.replace(POSTGRES, command=("-c", "nonsense=1")),
        dataclasses.replace(POSTGRES, name="small", image=POSTGRES_IMAGE, data_mib=20),
        dataclasses.replace(POSTGRES, name="tiny", image=POSTGRES_IMAGE, memory_mib=24),
        dataclasses.replace(REDIS, name="deaf", image=REDIS_IMAGE, port=1234),
        dataclasses.replace(REDIS, name="absent", image="registry.invalid/nowhere:1"),
    ]
"""


@pytest.fixture(autouse=True)
def _types(project: Project) -> None:
    images = [
        f"{name}_IMAGE = {os.environ[f'LDB_{name}_IMAGE']!r}" for name in ("POSTGRES", "REDIS")
    ]
    project.write("conftest.py", "\n".join(images) + TYPES)
    for name in ("postgres", "small", "tiny", "deaf", "absent", "redis"):
        project.write(f"test_{name}.py", f"def test(ldb_{name}): pass\n")


def failure(project: Project, *arguments: str) -> str:
    """Run, expect an error without a traceback and no leftovers, and return the output."""
    run = project.run(*arguments)
    assert run.status == 1, run.output
    assert "1 error" in run.output, run.output
    assert "Traceback" not in run.output, run.output
    project.wait_until_gone()
    return run.output


def test_server_crash_at_start_is_reported_within_seconds(project: Project) -> None:
    began = time.monotonic()
    output = failure(project, "test_postgres.py")
    assert time.monotonic() - began < 10  # a loose bound: no waiting for the deadline of 60 s
    assert "postgres: the server ended with exit code 1." in output
    assert 'FATAL:  unrecognized configuration parameter "nonsense"' in output


def test_crash_is_reported_on_each_worker(project: Project) -> None:
    run = project.run("-n2", "test_postgres.py", "test_redis.py")
    assert 'unrecognized configuration parameter "nonsense"' in run.output
    assert "1 passed" in run.output
    project.wait_until_gone()


def test_full_disk_is_named(project: Project) -> None:
    output = failure(project, "test_small.py")
    assert "small: the server ended with exit code 1, its disk is full." in output
    assert "No space left on device" in output
    assert "data_mib" in output


def test_out_of_memory_is_named(project: Project) -> None:
    output = failure(project, "test_tiny.py")
    assert "tiny: the server ended with exit code" in output
    assert "out of memory" in output
    assert "memory_mib" in output


def test_start_timeout_shows_the_log(project: Project) -> None:
    output = failure(project, "test_deaf.py", "--ldb-timeout=1.5")
    assert "deaf: the server runs, but was not ready after 1.5 s" in output
    assert "Ready to accept connections" in output
    assert "--ldb-timeout" in output


def test_missing_image_with_pull_never(project: Project) -> None:
    output = failure(project, "test_absent.py", "--ldb-pull=never")
    assert "registry.invalid/nowhere:1: the engine does not have it." in output
    assert "--ldb-image" in output


def test_missing_image_that_cannot_be_pulled(project: Project) -> None:
    output = failure(project, "test_absent.py")
    assert "registry.invalid/nowhere:1: the image could not be pulled." in output
    assert "registry.invalid" in output


@pytest.mark.parametrize("arguments", [[], ["--ldb-keep"]], ids=["run", "kept"])
def test_image_of_another_program(project: Project, wrong_image: str, arguments: list[str]) -> None:
    output = failure(project, "test_redis.py", f"--ldb-image=redis={wrong_image}", *arguments)
    assert "-redis-" in output
    assert ": its command cannot be run.\n" in output
    assert "/ldb/absent" in output
    assert "check that it is one of this database type" in output


@pytest.mark.parametrize("url", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:9"])
def test_unreachable_engine(project: Project, url: str) -> None:
    project.environment["DOCKER_HOST"] = url
    output = failure(project, "test_redis.py")
    assert f"the container engine at {url}: no container engine answers." in output
    assert "Start Docker, or point DOCKER_HOST at an engine that runs." in output


def test_missing_skip_skips_tests_that_need_an_engine(project: Project) -> None:
    project.environment["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
    run = project.run("test_redis.py", "--ldb-no-engine=skip", "-rs")
    assert run.status == 0
    assert "1 skipped" in run.output
    assert "no container engine answers" in run.output


@pytest.mark.skipif(os.getuid() != 0, reason="needs a second user")
def test_permission_denied_on_the_socket(tmp_path: Path) -> None:
    """Run as another user, in a forked process without root privileges."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        Path(path).chmod(0o600)
        script = (
            "import os\n"
            "from pytest_ldb.engines.docker.engine import DockerEngine\n"
            "from pytest_ldb.model.errors import EngineForbidden\n"
            "os.setgid(65534); os.setuid(65534)\n"
            "try: DockerEngine().find('x')\n"
            "except EngineForbidden as error: print(error)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "DOCKER_HOST": f"unix://{path}"},
            capture_output=True,
            text=True,
            check=True,
        )
    assert "this user has no permission to use it." in done.stdout
    assert "usually `docker`" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ldb-timeout=0"], "--ldb-timeout: '0' is wrong, it takes a number of seconds greater"),
        (["--ldb-timeout=soon"], "--ldb-timeout: 'soon' is wrong"),
        (
            ["--ldb-pull=often"],
            "--ldb-pull: 'often' is wrong, it takes one of missing, always, never",
        ),
        (["--ldb-image=redis"], "--ldb-image: 'redis' is wrong, it takes NAME=REFERENCE"),
        (["--ldb-image=oracle=x"], "--ldb-image: there is no database type 'oracle'. There are:"),
        (["-o", "ldb_keep=perhaps"], "ini ldb_keep: 'perhaps' is wrong, it takes true or false"),
    ],
)
def test_invalid_option_is_a_usage_error(
    project: Project, arguments: list[str], message: str
) -> None:
    run = project.run(*arguments)
    assert run.status == 4, run.output
    assert f"ERROR: {message}" in run.output


def test_invalid_variable_is_a_usage_error(project: Project) -> None:
    project.environment["LDB_DURABLE"] = "mostly"
    run = project.run()
    assert run.status == 4
    assert "ERROR: LDB_DURABLE: 'mostly' is wrong, it takes true or false." in run.output


def test_too_long_database_name_error_names_the_worker(project: Project) -> None:
    worker = "w" * 60
    project.write("conftest.py", "")
    project.write("test_long.py", "def test(ldb_postgres_db): pass\n")
    run = project.run("--tx", f"popen//id={worker}", "--dist=load", "test_long.py")
    assert run.status == 1
    assert "the limit for postgres is 63" in run.output
    assert "--tx ID" in run.output
    project.wait_until_gone()
