"""Projects and plugins add and replace types, choose the engine and hook into ready servers."""

from __future__ import annotations

import os

from .conftest import Project

PLUGIN = """
import dataclasses
from pytest_ldb import REDIS

def pytest_ldb_database_types(config):
    return [
        dataclasses.replace(REDIS, image="registry.invalid/plugin:1"),
        dataclasses.replace(REDIS, name="cache", image="registry.invalid/plugin:1"),
    ]
"""


def test_conftest_types_override_plugin_types_override_builtin(project: Project) -> None:
    project.write("their_plugin.py", PLUGIN)
    project.write(
        "conftest.py", PLUGIN.replace("registry.invalid/plugin:1", "registry.invalid/project:1", 1)
    )
    project.write("test_it.py", "def test_1(ldb_redis): pass\ndef test_2(ldb_cache): pass\n")
    project.environment = {"LDB_REDIS_IMAGE": "", "PYTHONPATH": str(project.root)}
    run = project.run("-p", "their_plugin", "--ldb-pull=never")
    assert "registry.invalid/project:1: the engine does not have it" in run.output
    assert "registry.invalid/plugin:1: the engine does not have it" in run.output


def test_new_type_has_a_documented_fixture(project: Project) -> None:
    project.write(
        "conftest.py",
        """
import dataclasses
from pytest_ldb import REDIS

def pytest_ldb_database_types(config):
    yield dataclasses.replace(REDIS, name="cache", image=IMAGE, command=("--maxclients", "77"))

IMAGE = "REDIS_IMAGE"
""".replace("REDIS_IMAGE", os.environ["LDB_REDIS_IMAGE"]),
    )
    project.write(
        "test_it.py",
        """
import redis
def test(ldb_cache, ldb_redis):
    with redis.Redis(**ldb_cache.connect_args("redis")) as client:
        assert client.config_get("maxclients") == {"maxclients": "77"}
    assert ldb_cache.instance != ldb_redis.instance
""",
    )
    project.run().passed(1)
    project.wait_until_gone()
    manual = project.run("--fixtures").output
    assert "ldb_cache [session scope]" in manual
    assert "A cache database per worker, shared by its tests" in manual
    assert "ldb [session scope]" in manual


def test_instance_ready_hook_is_called_once_per_process(project: Project) -> None:
    project.write(
        "conftest.py",
        """
import os, pathlib, socket

def pytest_ldb_instance_ready(config, instance):
    socket.create_connection((instance.address.host, instance.address.port)).close()
    pathlib.Path(f"heard-{os.getpid()}").write_text(instance.name)
""",
    )
    project.write(
        "test_it.py",
        "import pytest, time\n"
        '@pytest.mark.parametrize("n", range(4))\n'
        "def test(ldb_redis, n): time.sleep(0.2)\n",
    )
    project.run("-n2").passed(4)
    heard = [path.read_text() for path in project.root.glob("heard-*")]
    assert len(heard) == 2
    assert len(set(heard)) == 1


def test_error_in_the_instance_ready_hook_fails_the_test(project: Project) -> None:
    project.write(
        "conftest.py",
        "def pytest_ldb_instance_ready(instance): raise ValueError('not as we like it')\n",
    )
    project.write("test_it.py", "def test(ldb_redis): pass\n")
    run = project.run()
    assert "ValueError: not as we like it" in run.output
    project.wait_until_gone()


def test_engine_hook_replaces_the_engine(project: Project) -> None:
    project.write(
        "conftest.py",
        """
import pathlib
from pytest_ldb.testing.fake.engine import FakeEngine

def pytest_ldb_engine(config):
    return FakeEngine(pathlib.Path(__file__).parent / "containers")
""",
    )
    project.write("test_it.py", "def test(ldb_redis): assert ldb_redis.port\n")
    project.environment["DOCKER_HOST"] = "unix:///nowhere.sock"
    run = project.run("--ldb-image=redis=fake")
    assert "no container engine answers" not in run.output


def test_disabled_plugin_adds_no_fixtures_or_options(project: Project) -> None:
    project.write("test_it.py", "def test(ldb_redis): pass\n")
    assert "fixture 'ldb_redis' not found" in project.run("-p", "no:ldb").output
    assert "unrecognized arguments: --ldb-keep" in project.run("-p", "no:ldb", "--ldb-keep").output


def test_option_is_read_from_the_ini_file(project: Project) -> None:
    project.write(
        "pytest.ini",
        "[pytest]\nldb_pull = never\nldb_image = redis=registry.invalid/ini:1\n",
    )
    project.write("test_it.py", "def test(ldb_redis): pass\n")
    project.environment["LDB_REDIS_IMAGE"] = ""
    assert "registry.invalid/ini:1: the engine does not have it" in project.run().output


def test_command_line_overrides_the_environment(project: Project) -> None:
    project.write("test_it.py", "def test(ldb_redis): pass\n")
    run = project.run("--ldb-pull=never", "--ldb-image=redis=registry.invalid/line:1")
    assert "registry.invalid/line:1: the engine does not have it" in run.output


def test_unused_plugin_imports_neither_docker_nor_filelock(project: Project) -> None:
    project.write(
        "test_it.py",
        """
import sys
def test():
    assert "pytest_ldb.plugin.hooks" in sys.modules
    assert not {"docker", "filelock", "requests"} & set(sys.modules)
""",
    )
    project.run("-p", "no:xdist", "-p", "no:hypothesispytest").passed(1)
