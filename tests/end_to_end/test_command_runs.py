"""The command pytest-ldb on servers of test runs, and on stale resources."""

from __future__ import annotations

import os
import signal
from datetime import datetime, timedelta, timezone

import pytest

from pytest_ldb.model.credentials import state_directory
from pytest_ldb.model.request import LABEL
from pytest_ldb.testing.processes import wait_until

from .command import User
from .conftest import GONE_WITHIN_S, Project, docker

TEST = """
import os, time
def test_one(ldb_redis, record):
    record()
    time.sleep(float(os.environ.get("SLEEP", "0")))
def test_two(ldb_redis, record):
    record()
    time.sleep(float(os.environ.get("SLEEP", "0")))
"""
LONG_AGO = (datetime.now(timezone.utc) - timedelta(days=1)).isoformat()
REDIS = os.environ.get("LDB_REDIS_IMAGE", "")


@pytest.fixture
def shop(project: Project, user: User) -> Project:
    """A project of that user."""
    project.write("test_redis.py", TEST)
    project.environment["XDG_STATE_HOME"] = str(user.home)
    return project


def test_kept_servers_can_be_listed_used_and_deleted(shop: Project, user: User) -> None:
    shop.run("--ldb-keep").passed(2)
    (kept,) = user.json("list")
    assert (kept["purpose"], kept["processes"], kept["in_memory"]) == ("kept", 0, True)
    assert kept["project"].startswith("shop-")
    (row,) = user.run("list").well().rows
    assert (row[5], row[7]) == (kept["project"], "kept")
    assert user.run("shell", "redis", "PING").well().output == "PONG\n"
    stopped = user.run("stop", "redis").well()
    assert "its data was in memory, and is lost" in stopped.errors
    user.run("start", "redis").well()
    shop.run("--ldb-keep").passed(2)
    (again,) = user.json("list")
    assert again["id"] == kept["id"]
    user.run("delete", "--all").well()
    assert user.containers() == []


@pytest.mark.parametrize("keep", [["--ldb-keep"], []], ids=["kept", "of a run"])
def test_server_in_use_is_reported_and_not_deleted(
    shop: Project, user: User, keep: list[str]
) -> None:
    shop.environment["SLEEP"] = "60"
    process = shop.start("-n2", *keep)
    wait_until(lambda: len(shop.records()) == 2, 60.0, "the tests have not started")
    (used,) = user.json("list")
    assert used["processes"] == 2
    assert used["purpose"] == ("kept" if keep else "run")
    assert user.run("list").well().rows[0][7] == f"{used['purpose']}, 2 processes"
    for command in ("stop", "restart", "delete"):
        done = user.run(command, used["name"]).refused()
        assert f"{used['name']}: 2 processes use this server." in done.errors
        assert "--force" in done.errors
    assert "2 processes" in user.run("delete", "--all").refused().errors
    assert user.run("prune").well().output == ""
    assert user.json("status", used["name"])["processes"] == 2
    if keep:
        os.killpg(process.pid, signal.SIGKILL)
        wait_until(
            lambda: user.json("list")[0]["processes"] == 0, 10.0, "the server is still in use"
        )
    else:
        user.run("stop", "--force", used["name"]).well()
        wait_until(lambda: not user.containers(), 10.0, "the server still exists")


def test_list_does_not_affect_the_server_of_a_run(shop: Project, user: User) -> None:
    shop.environment["SLEEP"] = "2"
    process = shop.start()
    shop.wait_for_record()
    looks = 0
    while process.poll() is None:
        listed = user.run("list", "--json").well()
        looks += "running" in listed.output
    output, _ = process.communicate()
    assert looks > 1
    assert "2 passed" in output
    wait_until(lambda: user.json("list") == [], GONE_WITHIN_S, "the server is still there")


def test_prune_removes_stale_resources_only(shop: Project, user: User) -> None:
    shop.run("--ldb-keep").passed(2)
    (kept,) = user.json("list")
    own = user.create("redis", f"--name={user.mark}")
    gone = user.create("redis", f"--name=gone-{user.mark}")
    user.run("delete", gone).well()
    left = f"ldb-left-{user.mark}"
    labels = _labels(kept["container"])
    labels |= {f"{LABEL}kept": "false", f"{LABEL}created": LONG_AGO, f"{LABEL}name": left[4:]}
    options = [f"--label={name}={value}" for name, value in labels.items()]
    docker("create", "--name", left, *options, REDIS)

    (found,) = user.json("prune", "--dry-run")
    assert found == {"what": "container", "name": left, "why": "its run has ended"}
    would = user.run("prune", "--dry-run", "--volumes").well()
    assert would.errors == "2 would be removed\n"
    assert user.run("doctor").output.count("stale\tnote") == 2
    assert left in user.containers()
    assert user.run("prune").well().rows == [["container", left, "its run has ended"]]
    assert user.run("prune", "--volumes").well().rows[0][:2] == ["volume", f"ldb-{gone}"]
    assert user.run("prune", "--volumes").well().output == ""
    assert {one["name"] for one in user.json("list")} == {kept["name"], own}
    assert user.volumes() == [f"ldb-{own}"]


def test_cached_images_are_listed_and_deleted_even_in_use(shop: Project, user: User) -> None:
    shop.write("test_redis.py", "def test(ldb_postgres): pass\n")
    shop.environment["LDB_CACHE"] = "always"
    cache = user.home / state_directory().name / "cache"
    try:
        shop.run().passed(1)
        wait_until(lambda: any(cache.glob("*.json")), 60.0, "no image was cached")
        (one,) = user.json("cache")
        assert (one["type"], one["failure"]) == ("postgres", "")
        assert one["size_bytes"] > 0
        (row,) = user.run("cache").well().rows
        assert (row[0], row[1], row[3], row[5]) == (one["key"], "postgres", "today", "ok")
        assert "STATE" in user.on_terminal("cache").end().well().output
        shop.run("--ldb-keep").passed(1)
        assert user.run("cache", "--delete").well().errors == "1 deleted\n"
        assert user.json("cache") == []
        assert user.run("prune").well().output == "", "a server uses its image"
        user.run("delete", "--all").well()
        (image,) = user.json("prune")
        assert image["what"] == "image"
    finally:
        user.clean_up()
        mine = f"label={LABEL}user={user.mark}"
        for left in docker("images", "--quiet", "--no-trunc", "--filter", mine).split():
            docker("rmi", "--force", left)


def test_doctor_succeeds_and_leaves_nothing(user: User) -> None:
    done = user.run("doctor").well()
    topics = [row[0] for row in done.rows]
    for topic in ("versions", "engine", "address", "memory", "image", "publishing", "commit"):
        assert topic in topics
    assert {row[1] for row in done.rows if row[0] not in ("stale", "disk")} <= {"ok", "note"}
    assert "\x1b[32mok" in user.on_terminal("doctor").end().well().output
    assert user.containers() == user.volumes() == []
    assert docker("images", "--quiet", "--filter", f"label={LABEL}doctor") == ""


def _labels(container: str) -> dict[str, str]:
    form = '{{range $name, $value := .Config.Labels}}{{$name}}={{$value}}{{"\\n"}}{{end}}'
    lines = docker("inspect", "--format", form, container).splitlines()
    return dict(line.split("=", 1) for line in lines if line)
