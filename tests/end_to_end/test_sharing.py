"""All workers of a run share one server; separate runs share none."""

from __future__ import annotations

import os

import pytest

from .conftest import MakeProject, Project, docker

ROUNDS = 2
"""Number of repetitions of the runs of several projects."""

ALL_FOUR = """
import pymongo, pymysql, psycopg, pytest, redis

@pytest.mark.parametrize("n", range(4))
def test_postgres(ldb_postgres, record, n):
    with psycopg.connect(ldb_postgres.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    record(id=str(ldb_postgres.instance.id), type="postgres", database=ldb_postgres.database)

@pytest.mark.parametrize("n", range(4))
def test_mysql(ldb_mysql, record, n):
    arguments = ldb_mysql.connect_args("pymysql")
    with pymysql.connect(**arguments) as connection, connection.cursor() as cursor:
        assert cursor.execute("SELECT 1") == 1
    record(id=str(ldb_mysql.instance.id), type="mysql", database=ldb_mysql.database)

@pytest.mark.parametrize("n", range(4))
def test_mongodb(ldb_mongodb, record, n):
    with pymongo.MongoClient(ldb_mongodb.url) as client:
        client.get_default_database().things.insert_one({"n": n})
    record(id=str(ldb_mongodb.instance.id), type="mongodb", database=ldb_mongodb.database)

@pytest.mark.parametrize("n", range(4))
def test_redis(ldb_redis, record, n):
    with redis.Redis(**ldb_redis.connect_args("redis")) as client:
        assert client.ping()
    record(id=str(ldb_redis.instance.id), type="redis", database=ldb_redis.database)
"""

ONE_REDIS = """
import os, pathlib, pytest, redis, time

@pytest.mark.parametrize("n", range(4))
def test_redis(ldb_redis, record, n):
    with redis.Redis(**ldb_redis.connect_args("redis")) as client:
        client.set("n", n)
        time.sleep(0.1)
        assert client.get("n") == str(n).encode()
    record(id=str(ldb_redis.instance.id), database=ldb_redis.database)
"""


def test_four_workers_share_one_server_of_each_type(project: Project) -> None:
    project.write("test_all.py", ALL_FOUR)
    project.run("-n4").passed(16)
    project.wait_until_gone()
    records = project.records()
    assert len({(record["type"], record["id"]) for record in records}) == 4
    places = {(record["type"], record["database"], record["pid"]) for record in records}
    assert len({place[:2] for place in places}) == len(places), "two workers shared a database"


def test_without_xdist_the_process_is_its_own_controller(project: Project) -> None:
    project.write("test_redis.py", ONE_REDIS)
    project.run("-p", "no:xdist").passed(4)
    project.wait_until_gone()
    assert len({record["id"] for record in project.records()}) == 1


def test_server_survives_a_killed_worker(project: Project) -> None:
    project.write(
        "test_kill.py",
        ONE_REDIS
        + """
def test_killed(ldb_redis):
    os.kill(os.getpid(), 9)

@pytest.mark.parametrize("n", range(4, 16))
def test_more(ldb_redis, record, n):
    pathlib.Path(os.environ["PYTEST_XDIST_WORKER"]).touch()
    while not pathlib.Path("gw2").exists():  # It takes the place of the killed worker.
        time.sleep(0.01)
    record(id=str(ldb_redis.instance.id), database=ldb_redis.database)
""",
    )
    run = project.run("-n2")
    project.wait_until_gone()
    assert "16 passed" in run.output, run.output
    assert "1 failed" in run.output, run.output
    assert len({record["id"] for record in project.records()}) == 1
    assert len({record["pid"] for record in project.records()}) == 3


@pytest.mark.soak
def test_projects_and_checkouts_are_isolated(make_project: MakeProject) -> None:
    projects = [make_project(name) for name in ("first/shop", "second/shop", "bank")]
    for project in projects:
        project.write("test_redis.py", ONE_REDIS)
    for _ in range(ROUNDS):
        runs = [project.start("-n2") for project in projects]
        for run in runs:
            output, _ = run.communicate(timeout=120)
            assert run.returncode == 0, output
    servers = [{record["id"] for record in project.records()} for project in projects]
    assert not set.intersection(*servers)
    for project in projects:
        project.wait_until_gone()


def test_concurrent_runs_in_one_checkout_have_separate_servers(project: Project) -> None:
    project.write("test_redis.py", ONE_REDIS)
    runs = [project.start("-n2"), project.start("-n2")]
    for run in runs:
        output, _ = run.communicate(timeout=120)
        assert run.returncode == 0, output
    assert len({record["id"] for record in project.records()}) == 2
    project.wait_until_gone()


def test_foreign_container_of_the_same_name_is_an_error_and_kept(project: Project) -> None:
    """The name of a kept server is the same in every run, so another program may have it."""
    project.write("test_redis.py", ONE_REDIS)
    project.run("--ldb-keep").passed(4)
    (name,) = project.containers()
    docker("rm", "--force", "--volumes", name)
    docker("create", "--name", name, os.environ["LDB_REDIS_IMAGE"])
    try:
        run = project.run("--ldb-keep")
        assert run.status == 1
        assert f"{name}: a container that this version of pytest-ldb did not create" in run.output
        assert f"docker rm --force --volumes {name}" in run.output
        assert name in docker("ps", "--all", "--format", "{{.Names}}")
    finally:
        docker("rm", "--force", "--volumes", name)


def test_worker_that_finishes_early_does_not_stop_the_server(project: Project) -> None:
    """With --dist=loadfile one worker finishes while the other has just started."""
    project.write("test_a.py", "import redis\ndef test_a(ldb_redis, record): record(a='1')\n")
    project.write(
        "test_b.py",
        """
import time
def test_before(record):
    time.sleep(1.5)
def test_b(ldb_redis, record):
    record(id=str(ldb_redis.instance.id))
""",
    )
    process = project.start("-n2", "--dist=loadfile")
    project.wait_for_record("record-*-test_a.json")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert output.count("created in") == 1, output
    assert "attached" not in output, output
    project.wait_until_gone()
