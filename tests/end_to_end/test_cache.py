"""Servers that start from the cache, on real databases."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_ldb.lifecycle.cache import REPOSITORY, CachedServer
from pytest_ldb.model.credentials import UserIdentity
from pytest_ldb.testing.processes import wait_until

from .conftest import Project, docker

ALL_THREE = """
import psycopg, pymongo, pymysql

def test_postgres(ldb_postgres):
    with psycopg.connect(ldb_postgres.url) as connection:
        connection.execute("CREATE TABLE x (n int)")

def test_mysql(ldb_mysql):
    arguments = ldb_mysql.connect_args("pymysql")
    with pymysql.connect(**arguments) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE x (n int)")

def test_mongodb(ldb_mongodb):
    with pymongo.MongoClient(ldb_mongodb.url) as client:
        client.get_default_database().things.insert_one({})
"""
POSTGRES = """
import psycopg, pytest

@pytest.mark.parametrize("n", range(2))
def test_postgres(ldb_postgres, n):
    with psycopg.connect(ldb_postgres.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
"""
MADE_WITHIN_S = 60.0


class User:
    """A separate user, so that all cached images of the user belong to the test."""

    def __init__(self, project: Project, home: Path) -> None:
        self.project = project
        self.state = home / "pytest-ldb"

    def run(self, *arguments: str, passed: int) -> list[str]:
        """Run to the end and return the lines of the summary."""
        run = self.project.run(*arguments)
        run.passed(passed)
        return [line for line in run.output.splitlines() if " in " in line and ": " in line]

    def known(self) -> dict[str, CachedServer]:
        """Return the cache records, by type."""
        texts = [path.read_text() for path in (self.state / "cache").glob("*.json")]
        found = [CachedServer(**json.loads(text)) for text in texts]
        return {cached.type: cached for cached in found}

    def wait_for(self, count: int) -> dict[str, CachedServer]:
        """Wait until `count` records exist and no cache builder is running."""
        wait_until(lambda: len(self.known()) == count, MADE_WITHIN_S, "there is no cached image")
        wait_until(lambda: not self.makers(), MADE_WITHIN_S, "the cache builder is still running")
        assert all(cached.image for cached in self.known().values()), self.known()
        return self.known()

    def containers(self) -> list[str]:
        """Return the names of containers in which the cache is built."""
        label = f"label=pytest-ldb.user={self.label}"
        return docker("ps", "--all", "--filter", label, "--format", "{{.Names}}").split()

    def volumes(self) -> set[str]:
        """Return the names of the volumes that those containers use."""
        form = "{{range .Mounts}}{{.Name}} {{end}}"
        names = self.containers()
        return set(docker("inspect", "--format", form, *names).split()) if names else set()

    def images(self) -> list[str]:
        """Return the ids of this user's cached images."""
        label = f"label=pytest-ldb.user={self.label}"
        return docker("images", "--no-trunc", "--quiet", "--filter", label).split()

    def makers(self) -> list[int]:
        """Return the cache builder processes of this user."""
        return [
            int(path.name)
            for path in Path("/proc").iterdir()
            if path.name.isdigit() and self._makes_cache(path)
        ]

    @property
    def label(self) -> str:
        return UserIdentity.load(self.state).mark

    def clean_up(self) -> None:
        """Remove what is left, whatever happened."""
        for process in self.makers():
            os.kill(process, signal.SIGKILL)
        for name in self.containers():
            docker("rm", "--force", "--volumes", name)
        for image in self.images():
            docker("rmi", image)

    def _makes_cache(self, process: Path) -> bool:
        try:
            words = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
        except OSError:
            return False
        return b"cache_builder" in words[0] and str(self.state.parent).encode() in words[1]


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, project: Project) -> Iterator[User]:
    """A user whose cached images are removed after the test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LDB_CACHE", "always")
    user = User(project, tmp_path / "home")
    yield user
    user.clean_up()


def test_second_run_starts_from_the_cache(user: User) -> None:
    user.project.write("test_all.py", ALL_THREE)
    assert [line.split()[2] for line in user.run("-n2", passed=3)] == ["created"] * 3
    assert set(user.wait_for(3)) == {"postgres", "mysql", "mongodb"}
    assert [line.split()[2] for line in user.run("-n2", passed=3)] == ["restored"] * 3
    user.project.wait_until_gone()
    assert user.containers() == []
    assert len(user.images()) == 3


def test_kept_server_starts_from_the_cache(user: User) -> None:
    user.project.write("test_all.py", POSTGRES)
    user.run(passed=2)
    user.wait_for(1)
    (line,) = user.run("--ldb-keep", passed=2)
    assert "restored" in line
    (line,) = user.run("--ldb-keep", passed=2)
    assert "attached" in line


def test_type_with_data_paths_is_cached(user: User) -> None:
    user.project.write(
        "conftest.py",
        """
from dataclasses import replace
from pytest_ldb import POSTGRES

def pytest_ldb_database_types():
    server = replace(POSTGRES.server, data_paths=("/srv/data",))
    environment = {"PGDATA": "/srv/data/here"}
    return [replace(POSTGRES, name="elsewhere", server=server, environment=environment)]
""",
    )
    user.project.write("test_all.py", POSTGRES.replace("ldb_postgres", "ldb_elsewhere"))
    user.project.environment["LDB_ELSEWHERE_IMAGE"] = os.environ["LDB_POSTGRES_IMAGE"]
    (line,) = user.run(passed=2)
    assert "created" in line
    user.wait_for(1)
    (line,) = user.run(passed=2)
    assert "restored" in line


def test_damaged_cache_is_replaced_without_a_failure(user: User) -> None:
    user.project.write("test_all.py", POSTGRES)
    user.run(passed=2)
    (cached,) = user.wait_for(1).values()
    _damage(cached, user)
    (line,) = user.run("-n2", passed=2)
    assert "created" in line
    wait_until(lambda: len(user.known()) == 1, MADE_WITHIN_S, "the damaged image is not replaced")
    (line,) = user.run(passed=2)
    assert "restored" in line


def test_foreign_image_with_the_cache_name_is_not_used(user: User) -> None:
    user.project.write("test_all.py", POSTGRES)
    user.run(passed=2)
    (cached,) = user.wait_for(1).values()
    docker("tag", os.environ["LDB_REDIS_IMAGE"], f"{REPOSITORY}:{cached.key}")
    try:
        (line,) = user.run(passed=2)
        assert "restored" in line
    finally:
        docker("rmi", f"{REPOSITORY}:{cached.key}")


def test_durable_and_cache_never_bypass_the_cache(user: User) -> None:
    user.project.write("test_all.py", POSTGRES)
    user.run(passed=2)
    user.wait_for(1)
    for option in ("--ldb-durable", "--ldb-cache=never"):
        (line,) = user.run(option, passed=2)
        assert "created" in line
    assert len(user.known()) == 1
    assert user.makers() == []


def test_killed_cache_builder_leaves_nothing(user: User) -> None:
    user.project.write("test_all.py", POSTGRES)
    for delay_s in (0.5, 1.9):
        user.run(passed=2)
        wait_until(lambda: bool(user.makers()), 5.0, "no cache builder runs")
        time.sleep(delay_s)
        used = user.volumes()
        for process in user.makers():
            os.kill(process, signal.SIGKILL)
        wait_until(lambda: not user.containers(), 10.0, "the builder's container still exists")
        assert used.isdisjoint(docker("volume", "ls", "--quiet").split())
        for key in [cached.key for cached in user.known().values()]:
            (user.state / "cache" / f"{key}.json").unlink()
    user.run(passed=2)
    user.wait_for(1)
    assert len(user.images()) == 1, "the leftover resources are not removed"


def test_run_does_not_wait_for_the_cache_builder(user: User) -> None:
    user.project.write("test_all.py", POSTGRES)
    user.run(passed=2)
    assert user.makers(), "the cache was built before the end of the run"
    user.wait_for(1)


def _damage(cached: CachedServer, user: User) -> None:
    """Replace the image by one without a file that the server needs. Keep its recorded id."""
    name = f"ldb-damage-{cached.key}"
    remove = (
        "cd /.ldb-cached/0 && tar --delete -f data.tar $(tar -tf data.tar | grep global/pg_control)"
    )
    docker("run", "--name", name, "--entrypoint", "sh", cached.image, "-c", remove)
    entrypoint = docker("inspect", "--format", "{{json .Config.Entrypoint}}", cached.image)
    change = f"ENTRYPOINT {entrypoint.strip()}"
    image = docker("commit", "--change", change, "--change", 'CMD ["postgres"]', name).strip()
    docker("rm", "--force", "--volumes", name)
    file = user.state / "cache" / f"{cached.key}.json"
    told = json.loads(file.read_text())
    file.write_text(json.dumps({**told, "image": image}))
