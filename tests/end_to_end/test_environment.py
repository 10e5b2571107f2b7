"""Environment variables are set before conftest files and settings are imported."""

from __future__ import annotations

import os

import psycopg
import pytest

from pytest_ldb.engines.docker.engine import DockerEngine
from pytest_ldb.lifecycle.container_spec import found_instance
from pytest_ldb.model.credentials import UserIdentity, state_directory
from pytest_ldb.testing.processes import wait_until

from .conftest import RECORDER, Project

URL = "import os\nURL = os.environ['DATABASE_URL']\n"
SAME = """
import psycopg
import pytest
from conftest import URL

@pytest.mark.parametrize("n", range(4))
def test_it(ldb_postgres, record, n):
    assert ldb_postgres.url == URL
    with psycopg.connect(URL) as connection:
        name = connection.execute("SELECT current_database()").fetchone()[0]
    record(url=URL, server=str(ldb_postgres.instance.id), name=name)
"""


@pytest.fixture(autouse=True)
def wanted(project: Project) -> None:
    project.write(
        "pytest.ini", "[pytest]\nfilterwarnings = error\nldb_env = DATABASE_URL = postgres.url\n"
    )
    project.write("conftest.py", RECORDER + URL)


def server(project: Project) -> str:
    """Return the address of a database that always exists on the kept server."""
    (name,) = project.containers()
    container = DockerEngine().find(name)
    assert container is not None
    instance = found_instance(container, UserIdentity.load(state_directory()))
    assert instance.address is not None
    where = f"{instance.address.host}:{instance.address.port}"
    return (
        f"postgresql://{instance.credentials.user}:{instance.credentials.password}@{where}/postgres"
    )


def databases(project: Project) -> set[str]:
    with psycopg.connect(server(project)) as connection:
        query = "SELECT datname FROM pg_database WHERE NOT datistemplate"
        return {row[0] for row in connection.execute(query)}


@pytest.mark.parametrize("arguments", [[], ["-n2"], ["-p", "ldb"]])
def test_fixture_and_environment_give_the_same_database(
    project: Project, arguments: list[str]
) -> None:
    project.write("test_it.py", SAME)
    run = project.run(*arguments)
    run.passed(4)
    found = project.records()
    assert len({record["server"] for record in found}) == 1
    processes = {record["pid"] for record in found}
    assert len({record["url"] for record in found}) == len(processes)
    assert f"for {len(processes)} workers" in run.output or len(processes) == 1
    project.wait_until_gone()


@pytest.mark.parametrize("arguments", [[], ["-n2"]])
def test_setup_fills_the_database_of_the_environment(
    project: Project, arguments: list[str]
) -> None:
    fill = "CREATE TABLE filled AS SELECT 1 AS x"
    project.write(
        "conftest.py",
        f"{RECORDER}{URL}\nimport psycopg\n"
        "@pytest.fixture(scope='session')\ndef ldb_postgres_setup():\n"
        "    def fill(database):\n"
        "        with psycopg.connect(database.url) as connection:\n"
        f"            connection.execute('{fill}')\n"
        "    return fill\n",
    )
    project.write("test_it.py", SAME.replace("current_database()", "x::text FROM filled"))
    project.run(*arguments).passed(4)


@pytest.mark.parametrize(
    "arguments",
    ["--collect-only", "--help", "--version", "--fixtures", "--markers", "--setup-plan -n1"],
)
def test_run_without_tests_starts_no_server(project: Project, arguments: str) -> None:
    project.write("test_it.py", "def test_it(ldb_postgres): pass")
    project.environment["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
    run = project.run(*arguments.split())
    assert run.status == 0, run.output


def test_invalid_expression_ends_the_run(project: Project) -> None:
    project.write("test_it.py", "def test_it(): pass")
    run = project.run("--ldb-env=DATABASE_URL=postgres.uri")
    assert run.status == 4, run.output
    assert "there is no attribute 'uri'. There are: url, host" in run.output
    assert "Traceback" not in run.output


def test_unreachable_engine_ends_the_run(project: Project) -> None:
    project.write("test_it.py", "def test_it(): pass")
    project.environment["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
    for arguments in ([], ["-n2"]):
        run = project.run(*arguments)
        assert run.status == 4, run.output
        assert "no container engine answers" in run.output
        assert "Traceback" not in run.output


@pytest.mark.parametrize("arguments", [[], ["-n2"]])
def test_missing_skip_continues_without_a_server(project: Project, arguments: list[str]) -> None:
    project.write("test_it.py", "def test_a(ldb_postgres): pass\ndef test_b(): pass\n")
    project.environment["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
    run = project.run("--ldb-no-engine=skip", *arguments)
    assert run.status == 0, run.output
    assert "1 passed, 1 skipped" in run.output
    assert run.output.count("--ldb-env: no server is started.") == 1


def test_failing_conftest_leaves_nothing(project: Project) -> None:
    project.write("conftest.py", f"{URL}\nassert URL == 'x'\n")
    project.write("test_it.py", "def test_it(): pass")
    run = project.run()
    assert run.status == 4, run.output
    project.wait_until_gone()


def test_killed_run_leaves_nothing(project: Project) -> None:
    project.write("test_it.py", "import time\ndef test_it(record):\n record()\n time.sleep(60)\n")
    process = project.start("-n2")
    project.wait_for_record()
    process.kill()
    process.wait()
    project.wait_until_gone()


def test_type_overridden_by_a_conftest_is_refused(project: Project) -> None:
    project.write(
        "conftest.py",
        "from dataclasses import replace\nfrom pytest_ldb import POSTGRES\n"
        "def pytest_ldb_database_types():\n"
        "    return [replace(POSTGRES, shm_mib=64), replace(POSTGRES, name='other')]\n",
    )
    project.write("test_it.py", "def test_it(ldb_other): pass")
    run = project.run()
    assert run.status == 4, run.output
    assert "a conftest.py redeclares the database type 'postgres'" in run.output
    project.wait_until_gone()


def test_type_added_by_a_conftest_has_a_fixture(project: Project) -> None:
    project.write(
        "conftest.py",
        "from dataclasses import replace\nfrom pytest_ldb import REDIS\n"
        "def pytest_ldb_database_types():\n    return [replace(REDIS, name='other')]\n",
    )
    project.write("test_it.py", "def test_it(ldb_other): pass")
    project.run(f"--ldb-image=other={os.environ['LDB_REDIS_IMAGE']}").passed(1)


def test_nested_run_is_a_separate_run(project: Project) -> None:
    project.write("test_it.py", SAME)
    project.write(
        "outer/test_outer.py",
        "import subprocess, sys\ndef test_it():\n"
        "    for arguments in ([], ['-n2']):\n"
        "        subprocess.run([sys.executable, '-m', 'pytest', 'test_it.py', *arguments],"
        " check=True)\n",
    )
    project.run("-n1", "outer").passed(1)
    assert len({record["server"] for record in project.records()}) > 1


DJANGO = {
    "settings.py": """
import os
from urllib.parse import urlsplit
url = urlsplit(os.environ["DATABASE_URL"])
DATABASES = {"default": {
    "ENGINE": "django.db.backends.postgresql", "HOST": url.hostname, "PORT": url.port,
    "USER": url.username, "PASSWORD": url.password, "NAME": url.path[1:]}}
INSTALLED_APPS = ["django.contrib.contenttypes"]
""",
    "test_it.py": """
import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection

@pytest.mark.django_db
@pytest.mark.parametrize("n", range(4))
def test_it(n, record):
    assert ContentType.objects.count() == 1
    record(name=connection.settings_dict["NAME"])

@pytest.mark.django_db
def test_fails():
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM absent")
""",
}


@pytest.fixture
def django(project: Project) -> Project:
    for name, text in DJANGO.items():
        project.write(name, text)
    project.environment["DJANGO_SETTINGS_MODULE"] = "settings"
    project.environment["PYTHONPATH"] = os.pathsep.join([".", os.environ.get("PYTHONPATH", "")])
    return project


@pytest.mark.parametrize("arguments", ["-p ldb", "-p django --reuse-db -n2"])
def test_django_leaves_no_database_on_a_kept_server(django: Project, arguments: str) -> None:
    for _ in range(2):
        run = django.run("--ldb-keep", *arguments.split())
        assert "4 passed" in run.output, run.output
        assert 'ERROR:  relation "absent" does not exist' in run.output
        assert "STATEMENT:  SELECT * FROM absent" in run.output
    names = {record["name"] for record in django.records()}
    assert all(name.startswith("test_ldb") for name in names)
    # The initial database is recreated when its process ends.
    wait_until(lambda: databases(django) == {"postgres", "ldb"}, 5.0, "a database is left")
