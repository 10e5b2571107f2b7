"""A run inside a container that has the engine's socket mounted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Project, docker

ROOT = Path(__file__).parents[2]

DOCKERFILE = """
FROM {base}
RUN apt-get update -qq \\
 && apt-get install -yqq --no-install-recommends python3-minimal libpython3-stdlib
"""

TEST = """
import redis
def test(ldb_redis):
    with redis.Redis(**ldb_redis.connect_args("redis")) as client:
        assert client.ping()
    print(f"at {ldb_redis.host}:{ldb_redis.port}")
"""


@pytest.fixture(scope="module")
def image() -> str:
    """An image with Python, built from the Redis image, which is based on Debian."""
    tag = "localhost/pytest-ldb/python:3"
    recipe = DOCKERFILE.format(base=os.environ["LDB_REDIS_IMAGE"])
    docker("build", "--quiet", "--network=host", f"--tag={tag}", "-", given=recipe)
    return tag


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plugin and its dependencies, installed for the Python version of the image."""
    folder = tmp_path_factory.mktemp("packages")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder)]
    subprocess.run([*command, str(ROOT), "redis"], check=True)
    return folder


@pytest.fixture(params=["bridge", "host", "own"])
def network(request: pytest.FixtureRequest) -> Iterator[str]:
    """The network of the container in which the run is."""
    if request.param != "own":
        yield request.param
        return
    name = f"pytest-ldb-{os.getpid()}"
    docker("network", "create", name)
    yield name
    while name in docker("network", "ls", "--format", "{{.Name}}").split():
        subprocess.run(["docker", "network", "rm", name], capture_output=True, check=False)


def test_servers_are_reachable_from_a_container(
    project: Project, image: str, packages: Path, network: str
) -> None:
    project.write("test_it.py", TEST)
    output = docker(
        *("run", "--rm", "--network", network, "--workdir", str(project.root)),
        *("--volume", "/var/run/docker.sock:/var/run/docker.sock"),
        *("--volume", f"{packages}:{packages}:ro", "--env", f"PYTHONPATH={packages}"),
        *("--volume", f"{project.root}:{project.root}", "--env", "LDB_REDIS_IMAGE"),
        *("--entrypoint", "python3", image, "-m", "pytest", "-s", "-p", "no:cacheprovider"),
    )
    assert "1 passed" in output, output
    project.wait_until_gone()
    assert ("at 127.0.0.1:" in output) == (network == "host")
