"""The report of a failing test has the server log of its duration."""

from __future__ import annotations

import re

import pytest

from .conftest import Project

TESTS = """
import psycopg
import pytest

def wrong(database, name):
    with psycopg.connect(database.url) as connection:
        connection.execute(f"SELECT 1\\n FROM {name}")

@pytest.mark.parametrize("n", range(20))
def test_shared(ldb_postgres, n):
    if n % 2:
        wrong(ldb_postgres, f"shared_{n}_")
    with pytest.raises(psycopg.Error):
        wrong(ldb_postgres, f"shared_{n}_")

@pytest.mark.parametrize("n", range(20))
def test_fresh(ldb_postgres_db, n):
    if n % 2:
        wrong(ldb_postgres_db, f"fresh_{n}_")
    with pytest.raises(psycopg.Error):
        wrong(ldb_postgres_db, f"fresh_{n}_")
"""


def reports(output: str) -> dict[str, str]:
    """Return the report of each failing test."""
    parts = re.split(r"^_+ (?:ERROR at \w+ of )?(\S+) _+$", output, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def log(report: str, title: str = "postgres") -> str:
    """Return the section with the server log, or an empty string."""
    found = re.search(rf"(?ms)^-+ \S*{title}\S* log -+\n(.*?)(?=^-+ |\Z)", report)
    return found[1] if found else ""


@pytest.mark.parametrize("arguments", [[], ["-n2"]], ids=["alone", "workers"])
def test_failing_test_shows_the_log_lines_of_its_statements(
    project: Project, arguments: list[str]
) -> None:
    project.write("test_it.py", TESTS)
    run = project.run(*arguments)
    found = reports(run.output)
    assert len(found) == 20, run.output
    for test, report in found.items():
        fixture, number = re.fullmatch(r"test_(\w+)\[(\d+)\]", test).groups()  # type: ignore[union-attr]
        shown = log(report)
        assert f'ERROR:  relation "{fixture}_{number}_" does not exist' in shown, run.output
        assert re.search(
            rf"STATEMENT:  SELECT 1\n\t FROM {fixture}_{number}_$", shown, re.MULTILINE
        )
        assert set(re.findall(r"(?:shared|fresh)_\d+_", shown)) == {f"{fixture}_{number}_"}
    project.wait_until_gone()


def test_failing_fixture_shows_the_log(project: Project) -> None:
    project.write(
        "test_it.py",
        """
        import psycopg, pytest
        @pytest.fixture
        def tables(ldb_postgres):
            with psycopg.connect(ldb_postgres.url) as connection:
                connection.execute("CREATE TABLE a b int")
        def test_it(tables): pass
        """.replace("\n        ", "\n"),
    )
    output = project.run().output
    shown = log(reports(output)["test_it"])
    assert 'ERROR:  syntax error at or near "b"' in shown, output
    assert "---- databases ----" in output


def test_log_of_a_crashed_server_is_shown(project: Project) -> None:
    project.write(
        "test_it.py",
        """
        import contextlib, psycopg, time
        def test_it(ldb_postgres):
            with contextlib.suppress(psycopg.Error):
                with psycopg.connect(ldb_postgres.url) as connection:
                    connection.execute("COPY (SELECT 1) TO PROGRAM 'kill -QUIT 1'")
            time.sleep(1)
            assert 0
        """.replace("\n        ", "\n"),
    )
    output = project.run().output
    shown = log(reports(output)["test_it"])
    assert "LOG:  received immediate shutdown request" in shown, output
    assert "The server ended with exit code 0." in shown


def test_mongodb_log_shows_slow_operations_without_connections(project: Project) -> None:
    project.write(
        "test_it.py",
        """
        import pymongo
        def test_it(ldb_mongodb, ldb_mongodb_db):
            with pymongo.MongoClient(ldb_mongodb.url) as client:
                for name in (ldb_mongodb.database, "unrelated"):
                    things = client[name]["things"]
                    things.insert_one({})
                    list(things.find({"$where": "sleep(150) || true"}))
            assert 0
        """.replace("\n        ", "\n"),
    )
    output = project.run().output
    shown = log(reports(output)["test_it"], "mongodb")
    assert '"msg":"Slow query"' in shown, output
    assert "unrelated" not in shown
    assert "Connection accepted" not in shown


def test_passwords_are_masked_in_logs(project: Project) -> None:
    project.write(
        "test_it.py",
        """
        import psycopg
        def test_it(ldb_postgres):
            with psycopg.connect(ldb_postgres.url) as connection:
                connection.execute(f"SELECT '{ldb_postgres.password}' FROM absent")
        """.replace("\n        ", "\n"),
    )
    output = project.run().output
    assert "STATEMENT:  SELECT '********' FROM absent" in output


def test_log_of_a_standalone_server_is_shown(project: Project) -> None:
    project.write(
        "test_it.py",
        """
        import pytest
        @pytest.fixture(scope="module")
        def server(ldb):
            return ldb.create("redis")
        @pytest.fixture(scope="module")
        def following(ldb):
            with ldb.server("redis") as server:
                yield server
        def test_fixture(ldb, server):
            ldb.restart(server)
            assert 0
        def test_object(following):
            following.restart()
            assert 0
        def test_object_again(following):
            following.restart()
            assert 0
        def test_body(ldb):
            ldb.create("redis")
            assert 0
        def test_other(ldb):
            assert 0
        """.replace("\n        ", "\n"),
    )
    output = project.run().output
    found = reports(output)
    assert "Ready to accept connections" in log(found["test_fixture"], "redis"), output
    assert "Ready to accept connections" in log(found["test_object_again"], "redis"), output
    assert "Ready to accept connections" in log(found["test_body"], "redis")
    assert log(found["test_other"], "redis") == ""


def test_unreadable_log_is_reported_in_one_line(project: Project) -> None:
    project.write(
        "test_it.py",
        """
        def test_it(ldb):
            server = ldb.create("redis")
            ldb.delete(server)
            assert 0
        def test_passes(ldb_redis): pass
        """.replace("\n        ", "\n"),
    )
    run = project.run()
    assert "1 failed, 1 passed" in run.output
    assert "The log is not available. " in log(reports(run.output)["test_it"], "redis"), run.output
