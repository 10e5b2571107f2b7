"""A run leaves no container, volume, process or file, however it ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from .conftest import Project, docker

SLOW = """
import time
def test_slow(ldb_redis, ldb_postgres, record):
    record(id=str(ldb_redis.instance.id))
    time.sleep(60)
def test_slow_too(ldb_redis, ldb_postgres, record):
    record(id=str(ldb_redis.instance.id))
    time.sleep(60)
"""

OWN = """
import time
def test_own(ldb, record):
    stopped = ldb.create("redis")
    ldb.stop(stopped)
    running = ldb.create("redis")
    record(id=str(running.id))
    time.sleep(60)
"""


def all_volumes() -> set[str]:
    """Return the names of all volumes."""
    return set(docker("volume", "ls", "--quiet").split())


@pytest.mark.parametrize(
    ("number", "workers"),
    [
        (signal.SIGINT, "-n2"),
        (signal.SIGTERM, "-n2"),
        (signal.SIGKILL, "-n2"),
        (signal.SIGKILL, "-n0"),
    ],
)
def test_signal_to_the_controller_leaves_nothing(
    project: Project, number: signal.Signals, workers: str
) -> None:
    project.write("test_slow.py", SLOW)
    process = project.start(workers)
    project.wait_for_record()
    process.send_signal(number)
    process.wait(timeout=30)
    project.wait_until_gone()


def test_killing_all_processes_leaves_nothing(project: Project) -> None:
    project.write("test_slow.py", SLOW)
    process = project.start("-n2")
    project.wait_for_record()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
    project.wait_until_gone()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_standalone_servers_are_removed_even_if_stopped(
    project: Project, number: signal.Signals
) -> None:
    project.write("test_own.py", OWN)
    process = project.start()
    project.wait_for_record()
    assert len(project.containers()) == 2
    volumes = project.volumes()
    assert len(volumes) == 2
    process.send_signal(number)
    process.wait(timeout=30)
    project.wait_until_gone()
    assert not volumes & all_volumes()


@pytest.mark.parametrize("state", ["created", "starting"])
def test_kill_during_creation_leaves_nothing(project: Project, state: str) -> None:
    """Kill before a shell in the container could notice the end of the run."""
    project.write("test_slow.py", SLOW)
    process = project.start()
    while not project.containers():
        assert process.poll() is None
    if state == "starting":
        while "running" not in docker("inspect", "-f", "{{.State.Status}}", *project.containers()):
            assert process.poll() is None
    process.kill()
    process.wait(timeout=30)
    project.wait_until_gone()


def test_exitfirst_leaves_nothing(project: Project) -> None:
    project.write(
        "test_x.py",
        """
import subprocess
def test_1(ldb_postgres, record):
    container = f"ldb-{ldb_postgres.instance.name}"
    mounts = ["docker", "inspect", "-f", "{{range .Mounts}}{{.Name}} {{end}}", container]
    record(volumes=subprocess.run(mounts, capture_output=True, text=True, check=True).stdout)
    assert 0
def test_2(ldb_redis, record):
    record(never="here")
""",
    )
    run = project.run("-x", "--ldb-durable")
    assert "1 failed" in run.output
    project.wait_until_gone()
    (record,) = project.records()
    volumes = set(record["volumes"].split())
    assert len(volumes) == 1
    assert not volumes & all_volumes()


def test_no_file_in_the_project(project: Project) -> None:
    project.write("test_redis.py", "def test(ldb_redis): pass\n")
    before = files(project.root)
    project.run("-n2").passed(1)
    assert files(project.root) == before


def test_forked_children_do_not_keep_the_server(project: Project) -> None:
    project.write(
        "test_fork.py",
        """
import os, time
def test(ldb_redis, record):
    if os.fork() == 0:
        time.sleep(20)
        os._exit(0)
""",
    )
    process = project.start("-W", "ignore")
    process.wait(timeout=30)
    project.wait_until_gone()


def files(root: Path) -> set[Path]:
    """Return all files below, but for compiled ones."""
    return {path for path in root.rglob("*") if "__pycache__" not in path.parts}
