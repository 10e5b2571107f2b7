"""Choice of the engine: DOCKER_HOST, else the current Docker context, else the default socket."""

from __future__ import annotations

import json
import subprocess

import pytest

from .conftest import Project

TEST = "def test(ldb_redis): assert ldb_redis.host == '127.0.0.1'\n"


def use_context(project: Project, url: str) -> None:
    """Make a Docker context current in a configuration directory of the project."""
    folder = project.root / "docker"
    project.environment["DOCKER_CONFIG"] = str(folder)
    project.environment["DOCKER_HOST"] = ""
    for command in (["create", "mine", "--docker", f"host={url}"], ["use", "mine"]):
        subprocess.run(
            ["docker", "--config", str(folder), "context", *command],
            check=True,
            capture_output=True,
        )


def engine() -> str:
    """Return the address of the engine that the tests use."""
    shown = subprocess.run(
        ["docker", "context", "inspect"], check=True, capture_output=True, text=True
    ).stdout
    return str(json.loads(shown)[0]["Endpoints"]["docker"]["Host"])


def test_current_context_is_used(project: Project) -> None:
    use_context(project, engine())
    project.write("test_it.py", TEST)
    project.run().passed(1)


def test_unreachable_context_is_named(project: Project) -> None:
    use_context(project, "unix:///nowhere/of-a-context.sock")
    project.write("test_it.py", TEST)
    assert "unix:///nowhere/of-a-context.sock: no container engine answers" in project.run().output


def test_docker_host_overrides_the_context(project: Project) -> None:
    use_context(project, "unix:///nowhere/of-a-context.sock")
    project.environment["DOCKER_HOST"] = engine()
    project.write("test_it.py", TEST)
    project.run().passed(1)


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_pull_is_reported_on_the_terminal(project: Project, workers: str) -> None:
    project.write("test_it.py", TEST)
    run = project.run(workers, "--ldb-image=redis=registry.invalid/redis:1")
    assert "ldb: pulling registry.invalid/redis:1" in run.output
