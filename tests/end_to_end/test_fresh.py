"""A database for each test, filled once for the whole run."""

from __future__ import annotations

import re
import signal
import time

import pytest

from pytest_ldb.testing.processes import wait_until

from .conftest import Project, docker

SETUPS = """
import os, pathlib, time
import psycopg, pymongo, pymysql, pytest, redis

def note(name):
    with open("setups.log", "a") as log:
        log.write(f"{name}\\n")

@pytest.fixture(scope="session")
def ldb_postgres_setup():
    def fill(database):
        note("postgres")
        with psycopg.connect(database.url) as connection:
            connection.execute("CREATE TABLE things AS SELECT 1 AS number")
    return fill

@pytest.fixture(scope="session")
def ldb_mysql_setup():
    return ["things.sql"]

@pytest.fixture(scope="session")
def ldb_mongodb_setup():
    return ["things.js"]

@pytest.fixture(scope="session")
def ldb_redis_setup():
    def fill(database):
        note("redis")
        with redis.Redis(**database.connect_args("redis")) as client:
            client.rpush("things", 1)
    return fill
"""

FAILING_SETUP = """
import pytest

@pytest.fixture(scope="session")
def ldb_redis_setup():
    def fill(database):
        with open("setups.log", "a") as log:
            log.write("x")
        raise ValueError("migration 7 is wrong")
    return fill
"""

TESTS = """
import psycopg, pymongo, pymysql, pytest, redis

@pytest.mark.parametrize("n", range(8))
def test_postgres(ldb_postgres_db, n):
    with psycopg.connect(ldb_postgres_db.url) as connection:
        assert connection.execute("SELECT count(*) FROM things").fetchone() == (1,)
        connection.execute("INSERT INTO things VALUES (2)")

@pytest.mark.parametrize("n", range(8))
def test_mysql(ldb_mysql_db, n):
    arguments = ldb_mysql_db.connect_args("pymysql")
    with pymysql.connect(**arguments) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM things")
        assert cursor.fetchone() == (1,)
        cursor.execute("INSERT INTO things VALUES (2)")
        connection.commit()

@pytest.mark.parametrize("n", range(4))
def test_mongodb(ldb_mongodb_db, n):
    with pymongo.MongoClient(ldb_mongodb_db.url) as client:
        things = client.get_default_database().things
        assert [thing["number"] for thing in things.find()] == [1]
        assert "number_1" in things.index_information()
        things.insert_one({"number": 2})

@pytest.mark.parametrize("n", range(8))
def test_redis(ldb_redis_db, n):
    with redis.Redis(**ldb_redis_db.connect_args("redis")) as client:
        assert client.keys() == [b"things"]
        assert client.lrange("things", 0, -1) == [b"1"]
        client.set("more", n)

def test_setup_fills_the_database_of_the_worker(ldb_postgres, ldb_redis, record):
    with psycopg.connect(ldb_postgres.url) as connection:
        assert connection.execute("SELECT count(*) FROM things").fetchone() == (1,)
    record(server=str(ldb_postgres.instance.id))
"""


@pytest.fixture
def filled(project: Project) -> Project:
    """A project whose databases are filled by every form of setup."""
    with (project.root / "conftest.py").open("a") as conftest:
        conftest.write(SETUPS)
    project.write("things.sql", "CREATE TABLE things (number int); INSERT INTO things VALUES (1);")
    project.write(
        "things.js", "db.things.insertOne({number: 1}); db.things.createIndex({number: 1});"
    )
    return project


def test_each_test_gets_exactly_the_data_of_the_setup(filled: Project) -> None:
    filled.write("test_it.py", TESTS)
    filled.run("-n4").passed(29)
    filled.wait_until_gone()
    assert sorted((filled.root / "setups.log").read_text().split()) == ["postgres", "redis"]


def test_failing_setup_is_reported_with_its_cause_in_every_worker(project: Project) -> None:
    project.write("conftest.py", FAILING_SETUP)
    project.write("test_a.py", "import time\ndef test(ldb_redis_db): pass\n")
    project.write("test_b.py", "import time\ndef test(ldb_redis_db): pass\n")
    run = project.run("-n2")
    assert "2 errors" in run.output, run.output
    assert run.output.count("ValueError: migration 7 is wrong") >= 2
    assert "redis: its setup, ldb_redis_setup, has failed before in this run." in run.output
    assert (project.root / "setups.log").read_text() == "x"
    project.wait_until_gone()


def test_setup_of_a_killed_worker_is_run_by_another(project: Project) -> None:
    project.write(
        "conftest.py",
        """
import os, pathlib, psycopg, pytest

@pytest.fixture(scope="session")
def ldb_postgres_setup():
    def fill(database):
        with psycopg.connect(database.url) as connection:
            connection.execute("CREATE TABLE things AS SELECT 1 AS number")
            connection.commit()
            if not pathlib.Path("killed").exists():
                pathlib.Path("killed").touch()
                os.kill(os.getpid(), 9)
            connection.execute("INSERT INTO things VALUES (2)")
    return fill
""",
    )
    project.write(
        "test_it.py",
        """
import psycopg, pytest
@pytest.mark.parametrize("n", range(4))
def test(ldb_postgres_db, n):
    with psycopg.connect(ldb_postgres_db.url) as connection:
        assert connection.execute("SELECT count(*) FROM things").fetchone() == (2,)
""",
    )
    run = project.run("-n2")
    assert "1 failed, 3 passed" in run.output, run.output
    project.wait_until_gone()


def test_kept_server_keeps_the_template_until_the_setup_changes(filled: Project) -> None:
    filled.write("test_it.py", "def test(ldb_postgres, ldb_postgres_db): pass\n")
    for _ in range(2):
        filled.run("--ldb-keep", "-n2").passed(1)
    assert (filled.root / "setups.log").read_text().split() == ["postgres"]
    conftest = filled.root / "conftest.py"
    conftest.write_text(conftest.read_text().replace("SELECT 1 AS number", "SELECT 3 AS number"))
    filled.run("--ldb-keep").passed(1)
    assert (filled.root / "setups.log").read_text().split() == ["postgres", "postgres"]


def test_failing_test_keeps_and_reports_its_database(filled: Project) -> None:
    filled.write(
        "test_it.py",
        """
import time
def test_bad(ldb_postgres_db, record):
    record(a=ldb_postgres_db.database)
    assert 0
def test_good(ldb_postgres_db, record):
    record(a=ldb_postgres_db.database)
def test_slow(record):
    record(a="")
    time.sleep(30)
""",
    )
    process = filled.start()
    filled.wait_for_record("record-*-test_slow.json")
    bad, good, _ = (record["a"] for record in filled.records())
    query = ("psql", "-U", "postgres", "-Atc", "SELECT datname FROM pg_database")
    databases = docker("exec", *filled.containers(), *query).split()
    assert bad in databases
    assert good not in databases
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert f"/{bad}'>" in output.partition("- databases -")[2]
    filled.wait_until_gone()


def test_open_connections_do_not_prevent_the_drop(filled: Project) -> None:
    filled.write(
        "test_it.py",
        """
import psycopg, pymysql
left = []
def test_postgres(ldb_postgres_db):
    left.append(psycopg.connect(ldb_postgres_db.url))
    left[-1].execute("INSERT INTO things VALUES (2)")
def test_mysql(ldb_mysql_db):
    left.append(pymysql.connect(**ldb_mysql_db.connect_args("pymysql")))
    left[-1].cursor().execute("INSERT INTO things VALUES (2)")
""",
    )
    filled.run("-W", "ignore").passed(2)


def test_invalid_setup_is_named(project: Project) -> None:
    project.write(
        "conftest.py",
        "import pytest\n"
        '@pytest.fixture(scope="session")\n'
        "def ldb_redis_setup(): return 7\n"
        '@pytest.fixture(scope="session")\n'
        'def ldb_postgres_setup(): return ["nowhere.sql"]\n',
    )
    project.write("test_it.py", "def test_1(ldb_redis_db): pass\ndef test_2(ldb_postgres): pass\n")
    run = project.run()
    assert "the setup of a database: 7 cannot fill a database." in run.output
    assert "nowhere.sql: this file cannot be read." in run.output


def test_directories_can_have_different_setups(project: Project) -> None:
    for name in ("one", "other"):
        project.write(
            f"{name}/conftest.py",
            f"""
import psycopg, pytest

@pytest.fixture(scope="session")
def ldb_postgres_setup():
    def fill(database):
        with psycopg.connect(database.url) as connection:
            connection.execute("CREATE TABLE {name} (x int)")
    return fill
""",
        )
        project.write(
            f"{name}/test_{name}.py",
            f"""
import psycopg, pytest
@pytest.mark.parametrize("fixture", ["ldb_postgres_db", "ldb_postgres", "ldb_postgres_db"])
def test(request, fixture):
    database = request.getfixturevalue(fixture)
    with psycopg.connect(database.url) as connection:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        assert connection.execute(query).fetchall() == [("{name}",)]
""",
        )
    project.run("--keep-duplicates", "one", "other", "one/test_one.py").passed(9)


def test_failed_setup_is_explained_once(project: Project) -> None:
    project.write("conftest.py", FAILING_SETUP)
    project.write(
        "test_it.py",
        "def test_1(ldb_redis_db): pass\n"
        "def test_2(ldb_redis_db): pass\n"
        "def test_3(ldb_redis): pass\n",
    )
    output = project.run().output
    assert len(re.findall(r"^E +ValueError: migration 7 is wrong", output, re.MULTILINE)) == 1
    line = "redis: its setup, ldb_redis_setup, has failed before: ValueError: migration 7 is wrong."
    assert output.count(line) == 2
    assert "templates.py" not in output


def test_hanging_setup_is_reported_and_can_be_interrupted(project: Project) -> None:
    project.write(
        "conftest.py",
        """
import psycopg, pytest

@pytest.fixture(scope="session")
def ldb_postgres_setup():
    def fill(database):
        with psycopg.connect(database.url) as one, psycopg.connect(database.url) as other:
            one.execute("CREATE TABLE things (x int)")
            one.commit()
            one.execute("LOCK TABLE things")
            other.execute("LOCK TABLE things")
    return fill
""",
    )
    project.write("test_a.py", "def test(ldb_postgres_db): pass\n")
    project.write("test_b.py", "def test(ldb_postgres_db): pass\ndef test_other(): pass\n")
    run = project.run("-n2", "--timeout=16")
    for line in ("ldb_postgres_setup runs, 1 s", "ldb_postgres_setup runs, 5 s", "waiting for the"):
        assert run.output.count(f"ldb: postgres: {line}") == 1, run.output
    assert "Timeout (>16.0s)" in run.output
    assert "1 passed, 2 errors" in run.output
    project.wait_until_gone()


def test_worker_killed_during_creation_leaves_no_database(filled: Project) -> None:
    filled.write(
        "test_it.py",
        """
import os, time, pytest
@pytest.mark.parametrize("n", range(6))
def test(ldb_postgres_db, ldb_mysql_db, n):
    if n in (1, 3):
        os.kill(os.getpid(), 9)
""",
    )
    run = filled.run("--ldb-keep", "-n2")
    assert "2 failed, 4 passed" in run.output, run.output
    wait_until(
        lambda: all(name.startswith("ldb_t_") or name == "ldb" for name in databases(filled)),
        *(10.0, "databases are left"),
    )
    assert len([name for name in databases(filled) if name.startswith("ldb_t_")]) == 2


def test_unused_templates_are_dropped(filled: Project) -> None:
    filled.write("test_it.py", "def test(ldb_postgres_db, ldb_redis_db, ldb_mysql_db): pass\n")
    conftest = filled.root / "conftest.py"
    for number in (1, 3, 5):
        text = conftest.read_text()
        conftest.write_text(
            text.replace("SELECT", f"SELECT {number} AS n{number},").replace("things.sql", "t.sql")
        )
        filled.write("t.sql", f"CREATE TABLE things (number{number} int);")
        filled.run("--ldb-keep").passed(1)
    assert len([name for name in databases(filled) if name.startswith("ldb_t_")]) == 2


def test_background_error_is_raised_in_the_requesting_test(filled: Project) -> None:
    filled.write(
        "test_it.py",
        """
import time
import psycopg

def rename(database, pattern, change):
    with psycopg.connect(database.url, autocommit=True) as connection:
        query = "SELECT datname FROM pg_database WHERE datname LIKE %s"
        (name,) = connection.execute(query, [pattern]).fetchone()
        connection.execute(f"ALTER DATABASE {name} RENAME TO {change(name)}")
        time.sleep(0.2)

def test_1(ldb_postgres, ldb_postgres_db):
    rename(ldb_postgres, "ldb_t_%", lambda name: f"hidden_{name}")
def test_2(ldb_postgres_db): pass
def test_3(ldb_postgres_db): pass
def test_4(ldb_postgres_db): pass
def test_5(ldb_postgres): rename(ldb_postgres, "hidden_%", lambda name: name[7:])
def test_6(ldb_postgres_db): pass
""",
    )
    run = filled.run("-v")
    assert "test_4 ERROR" in run.output, run.output
    assert 'ERROR:  template database "ldb_t_' in run.output
    assert "test_6 PASSED" in run.output
    filled.wait_until_gone()


def test_space_is_reclaimed_when_it_runs_short(project: Project) -> None:
    with (project.root / "conftest.py").open("a") as conftest:
        conftest.write(
            "from dataclasses import replace\n"
            "from pytest_ldb import POSTGRES\n"
            "def pytest_ldb_database_types(): return [replace(POSTGRES, data_mib=250)]\n"
        )
    project.write(
        "test_it.py",
        """
import psycopg, pytest
@pytest.mark.parametrize("n", range(60))
def test(ldb_postgres_db, n):
    with psycopg.connect(ldb_postgres_db.url) as connection:
        connection.execute("CREATE TABLE things AS SELECT 1 AS number")
    assert n == 3
""",
    )
    run = project.run("--tb=no")
    assert "59 failed, 1 passed" in run.output, run.output
    assert "ldb: postgres: dropping <Database 'postgresql://" in run.output


def databases(project: Project) -> list[str]:
    """Return the names of the databases of pytest-ldb on the kept PostgreSQL and MySQL."""
    names: list[str] = []
    for container in project.containers():
        if "postgres" in container:
            query = ("psql", "-U", "postgres", "-Atc", "SELECT datname FROM pg_database")
            names += docker("exec", container, *query).split()
        if "mysql" in container:
            script = 'mysql -Ne "SHOW DATABASES" -p"$MYSQL_ROOT_PASSWORD" 2>/dev/null'
            names += docker("exec", container, "sh", "-c", script).split()
    return [name for name in names if name.startswith("ldb")]


def test_server_of_a_failing_test_can_be_kept(filled: Project) -> None:
    filled.write(
        "test_it.py",
        """
import psycopg, pytest
def test_bad(ldb_postgres_db, record):
    record(a=ldb_postgres_db.database)
    with psycopg.connect(ldb_postgres_db.url) as connection:
        connection.execute("INSERT INTO things VALUES (4711)")
    assert 0
def test_good(ldb_redis_db): pass
""",
    )
    run = filled.run("--ldb-keep-failed")
    (bad,) = (record["a"] for record in filled.records())
    wait_until(lambda: len(filled.containers()) == 1, 10.0, "other servers are kept too")
    (container,) = filled.containers()
    assert f"  kept for the tests that failed as {container}, `" in run.output
    query = ("psql", "-U", "postgres", "-d", bad, "-Atc", "SELECT max(number) FROM things")
    assert docker("exec", container, *query).strip() == "4711"


def test_database_of_a_failing_test_stays_on_a_kept_server(filled: Project) -> None:
    filled.write(
        "test_it.py",
        "def test_bad(ldb_postgres_db, record):\n"
        "    record(a=ldb_postgres_db.database)\n"
        "    assert 0\n",
    )
    filled.run("--ldb-keep", "--ldb-keep-failed")
    (bad,) = (record["a"] for record in filled.records())
    wait_until(
        lambda: {bad} == {n for n in databases(filled) if n != "ldb" and "ldb_t_" not in n},
        *(10.0, "it is not the only one"),
    )


MANY = """
import psycopg, pymongo, pymysql, pytest, redis

def pytest_generate_tests(metafunc):
    # If none were dropped, those of PostgreSQL alone would take 120 times 8 MiB.
    metafunc.parametrize("n", range(120))

def test_postgres(ldb_postgres_db, n):
    with psycopg.connect(ldb_postgres_db.url) as connection:
        assert connection.execute("SELECT number FROM things").fetchall() == [(1,)]
        connection.execute("INSERT INTO things VALUES (%s)", [n])

def test_mysql(ldb_mysql_db, n):
    arguments = ldb_mysql_db.connect_args("pymysql")
    with pymysql.connect(**arguments) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT number FROM things")
        assert cursor.fetchall() == ((1,),)
        cursor.execute("INSERT INTO things VALUES (%s)", [n])
        connection.commit()

def test_mongodb(ldb_mongodb_db, n):
    with pymongo.MongoClient(ldb_mongodb_db.url) as client:
        things = client.get_default_database().things
        assert [thing["number"] for thing in things.find()] == [1]
        things.insert_one({"number": n})

def test_redis(ldb_redis_db, n):
    with redis.Redis(**ldb_redis_db.connect_args("redis")) as client:
        assert client.keys() == [b"things"]
        assert client.lrange("things", 0, -1) == [b"1"]
        client.rpush("things", n)
"""


@pytest.mark.soak
def test_memory_is_bounded_over_hundreds_of_tests(filled: Project) -> None:
    filled.write("test_it.py", MANY)
    process = filled.start("-n2")
    most: dict[str, float] = {}
    while process.poll() is None:
        time.sleep(1.0)
        for container in filled.containers():
            most[container] = max(most.get(container, 0.0), mebibytes(container))
    output, _ = process.communicate()
    assert "480 passed" in output, output
    filled.wait_until_gone()
    assert len(most) == 4
    # A database of PostgreSQL takes 8 MiB here, and each worker has up to 24 of them.
    assert max(most.values()) < 800, most


def mebibytes(container: str) -> float:
    """Return the size of the container's data in MiB, or 0 if the container is removed."""
    try:
        lines = docker("exec", container, "df", "-mt", "tmpfs").splitlines()
    except AssertionError:
        return 0.0
    return max((float(line.split()[2]) for line in lines[1:]), default=0.0)
