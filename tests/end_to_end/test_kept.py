"""With --ldb-keep the next run uses the server if the request is equal and it is healthy."""

from __future__ import annotations

import os
import signal

import pytest

from pytest_ldb.testing.processes import wait_until

from .conftest import Project, docker

TEST = """
import redis
def test(ldb_redis, record):
    with redis.Redis(**ldb_redis.connect_args("redis")) as client:
        assert client.dbsize() == 0
        client.set("mine", 1)
    record(id=str(ldb_redis.instance.id), port=str(ldb_redis.port))
"""


@pytest.fixture
def kept(project: Project) -> Project:
    """A project whose server has been kept by a first run."""
    project.write("test_redis.py", TEST)
    project.run("--ldb-keep").passed(1)
    return project


def server(project: Project) -> str:
    """Return the id of the server that the last run used, and delete the record."""
    (path,) = project.root.glob("record-*.json")
    (record,) = project.records()
    path.unlink()
    return record["id"]


def test_next_run_attaches(kept: Project) -> None:
    first = server(kept)
    run = kept.run("--ldb-keep")
    run.passed(1)
    assert server(kept) == first
    assert "attached in" in run.output
    assert f"  kept as {kept.containers()[0]}, `" in run.output


def test_all_workers_of_the_next_run_attach(kept: Project) -> None:
    first = server(kept)
    kept.write("test_more.py", TEST)
    kept.run("--ldb-keep", "-n2").passed(2)
    assert {record["id"] for record in kept.records()} == {first}
    assert len(kept.containers()) == 1


def test_run_without_keep_has_a_separate_server(kept: Project) -> None:
    first = server(kept)
    kept_server = kept.containers()
    kept.run().passed(1)
    assert server(kept) != first
    assert set(kept_server) <= set(kept.containers())


def test_recreate_replaces_the_server_once_for_all_workers(kept: Project) -> None:
    first = server(kept)
    kept.write("test_more.py", TEST)
    run = kept.run("--ldb-keep", "--ldb-recreate", "-n2")
    run.passed(2)
    (second,) = {record["id"] for record in kept.records()}
    assert second != first
    assert run.output.count("replacing the kept server (--ldb-recreate)") == 1
    assert len(kept.containers()) == 1


def test_changed_request_creates_a_server_and_reports_why(kept: Project) -> None:
    first = server(kept)
    run = kept.run("--ldb-keep", "--ldb-durable")
    run.passed(1)
    assert server(kept) != first
    assert "ldb: redis: replacing the kept server:" in run.output
    assert "durable was False, is True" in run.output
    assert len(kept.containers()) == 1


def test_changed_image_of_a_tag_creates_a_server(kept: Project) -> None:
    tag = "localhost/pytest-ldb/moving:1"
    try:
        docker("tag", os.environ["LDB_REDIS_IMAGE"], tag)
        server(kept)
        kept.run("--ldb-keep", f"--ldb-image=redis={tag}").passed(1)
        first = server(kept)
        container = docker("create", tag).strip()
        docker("commit", "--change", "LABEL moved=yes", container, tag)
        docker("rm", "--volumes", container)
        run = kept.run("--ldb-keep", f"--ldb-image=redis={tag}")
        run.passed(1)
        assert server(kept) != first
        assert "replacing the kept server: image id was" in run.output
    finally:
        kept.clean_up()
        docker("rmi", "--force", tag)


@pytest.mark.parametrize("harm", ["pause", "stop", "kill"])
def test_unhealthy_server_is_repaired_or_replaced(kept: Project, harm: str) -> None:
    server(kept)
    docker(harm, *kept.containers())
    run = kept.run("--ldb-keep")
    run.passed(1)
    assert len(kept.containers()) == 1
    replaced = "replacing the kept server (state: exited)" in run.output
    assert replaced == (harm != "pause")


def test_unresponsive_server_is_replaced(kept: Project) -> None:
    first = server(kept)
    process = int(docker("inspect", "--format", "{{.State.Pid}}", *kept.containers()))
    os.kill(process, signal.SIGSTOP)
    run = kept.run("--ldb-keep")
    run.passed(1)
    assert server(kept) != first
    assert "replacing the server (running, but it does not answer)" in run.output
    assert len(kept.containers()) == 1


def test_durable_data_survives_a_stop(kept: Project) -> None:
    """A durable kept server is restarted rather than replaced."""
    kept.clean_up()
    server(kept)
    kept.run("--ldb-keep", "--ldb-durable").passed(1)
    first = server(kept)
    docker("stop", *kept.containers())
    kept.run("--ldb-keep", "--ldb-durable").passed(1)
    assert server(kept) == first


def test_databases_of_a_killed_run_are_dropped(project: Project) -> None:
    project.write(
        "test_postgres.py",
        """
import pytest, time

@pytest.mark.parametrize("n", [1, 2])
def test(ldb_postgres, record, n):
    record(database=ldb_postgres.database)
    time.sleep(30)
""",
    )
    process = project.start("--ldb-keep", "-n2")
    wait_until(lambda: len(project.records()) == 2, 60.0, "a worker has no database")
    (name,) = project.containers()
    assert "ldb_" in databases(name)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)
    for _ in range(100):
        if "ldb_" not in databases(name):
            break
    assert "ldb_" not in databases(name)


def databases(container: str) -> str:
    """Return the names of all databases."""
    query = "SELECT datname FROM pg_database"
    return docker("exec", container, "psql", "-U", "postgres", "-Atc", query)


ONE_THING = """
import os, psycopg, pymysql, time

def test_postgres(ldb_postgres, record):
    with psycopg.connect(ldb_postgres.url) as connection:
        connection.execute("CREATE TABLE thing (n int)")
    record(type="postgres", database=ldb_postgres.database)
    time.sleep(float(os.environ.get("SLEEP", "0")))

def test_mysql(ldb_mysql, record):
    arguments = ldb_mysql.connect_args("pymysql")
    with pymysql.connect(**arguments) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE thing (n int)")
    record(database=ldb_mysql.database)
    time.sleep(float(os.environ.get("SLEEP", "0")))
"""


def test_initial_database_is_reused_empty_by_one_run_at_a_time(
    project: Project,
) -> None:
    project.write("test_things.py", ONE_THING)
    for _ in range(2):
        project.run("--ldb-keep").passed(2)
        assert {record["database"] for record in project.records()} == {"ldb"}
        wait_until(
            lambda: all(map(_is_free, project.containers())), 10.0, "the server is still in use"
        )
    project.environment["SLEEP"] = "60"
    for path in project.root.glob("record-*"):
        path.unlink()
    running = project.start("--ldb-keep")
    project.wait_for_record("record-*test_postgres.json")
    del project.environment["SLEEP"]
    project.run("--ldb-keep").passed(2)
    (other,) = [
        record["database"]
        for record in project.records()
        if "type" in record and record["pid"] != str(running.pid)
    ]
    assert other != "ldb", "the initial database is in use"
    os.killpg(running.pid, 9)
    wait_until(lambda: all(map(_is_free, project.containers())), 10.0, "the server is still in use")
    project.run("--ldb-keep").passed(2)


def test_initial_database_that_cannot_be_renewed_is_not_reused(project: Project) -> None:
    project.write(
        "test_things.py",
        """
import psycopg

def test_postgres(ldb_postgres, record):
    with psycopg.connect(ldb_postgres.url, autocommit=True) as connection:
        if ldb_postgres.database == "ldb":
            connection.execute("ALTER DATABASE ldb IS_TEMPLATE true")  # Cannot be dropped.
    record(database=ldb_postgres.database)
""",
    )
    for _ in range(2):
        project.run("--ldb-keep").passed(1)
    names = {record["database"] for record in project.records()}
    assert "ldb" in names
    assert len(names) == 2


def _is_free(container: str) -> bool:
    return "initial" not in docker("exec", container, "ls", "/dev/shm/ldb").split()
