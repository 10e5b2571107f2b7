"""Expressions for environment variables and their values."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

import pytest

from pytest_ldb import POSTGRES, REDIS
from pytest_ldb.databases import BUILTIN
from pytest_ldb.model.database import Database
from pytest_ldb.model.errors import InvalidRequest
from pytest_ldb.plugin.early_env import GivenVariables, absent, beside, types_in, valued
from pytest_ldb.plugin.options import read_environment
from pytest_ldb.plugin.xdist import ANNOUNCED, find_place

BY_TYPE = {"postgres": absent(POSTGRES), "redis": absent(REDIS)}


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LDB_ENV", raising=False)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("postgres.url", "postgresql://postgres:not-started@127.0.0.1:1/ldb"),
        ("pg.url", "postgresql://postgres:not-started@127.0.0.1:1/ldb"),
        ("postgres.host", "127.0.0.1"),
        ("postgres.port", "1"),
        ("postgres.user", "postgres"),
        ("postgres.password", "not-started"),
        ("postgres.database", "ldb"),
        (
            "postgres.sqlalchemy_url(psycopg)",
            "postgresql+psycopg://postgres:not-started@127.0.0.1:1/ldb",
        ),
        (
            "{postgres.host}:{postgres.port} and {redis.url}",
            "127.0.0.1:1 and redis://default:not-started@127.0.0.1:1/0",
        ),
    ],
)
def test_expression_is_evaluated(expression: str, value: str) -> None:
    assert types_in({"X": expression}, BUILTIN)
    assert valued(expression, BY_TYPE, BUILTIN) == value


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("postgres", "it takes TYPE.ATTRIBUTE"),
        ("postgres.url.x", "it takes TYPE.ATTRIBUTE"),
        ("postgresql://{host}", "it takes TYPE.ATTRIBUTE"),
        ("{postgres.__class__.x}", "it takes TYPE.ATTRIBUTE"),
        ("oracle.url", "There are: postgres, mysql, mongodb, redis. Types of a conftest.py"),
        (
            "postgres.uri",
            "There are: url, host, port, user, password, database, name, sqlalchemy_url",
        ),
        ("postgres.snapshot", "there is no attribute 'snapshot'"),
        ("postgres.__class__", "there is no attribute '__class__'"),
        ("postgres.sqlalchemy_url", "there is no attribute 'sqlalchemy_url'"),
        ("postgres.sqlalchemy_url()", "it takes TYPE.ATTRIBUTE"),
        ("postgres.url(psycopg)", r"there is no attribute 'url\(psycopg\)'"),
    ],
)
def test_invalid_expression_error_lists_alternatives(expression: str, said: str) -> None:
    with pytest.raises(pytest.UsageError, match=said) as caught:
        types_in({"DATABASE_URL": expression}, BUILTIN)
    assert f"--ldb-env: DATABASE_URL={expression}" in str(caught.value)


def test_types_in_expressions_are_unique() -> None:
    expressions = {"A": "pg.url", "B": "postgres.port", "C": "{redis.host}{pg.host}"}
    assert list(types_in(expressions, BUILTIN)) == [POSTGRES, REDIS]
    assert types_in({"A": "a {} text".replace("{}", "{redis.url}")}, BUILTIN) == [REDIS]


def test_placeholder_address_has_the_same_form() -> None:
    server = replace(POSTGRES.server, initial_database="first")
    database_type = replace(POSTGRES, name="other", server=server)
    database: Database = absent(database_type)
    assert (database.database, database.user) == ("first", "postgres")


def test_django_test_database_names() -> None:
    assert beside("shop", ("", "")) == ["test_shop"]
    assert beside("shop", ("", "gw0")) == ["test_shop", "test_shop_gw0"]
    names = ["test_shop", "test_shop_py312", "test_shop_gw0", "test_shop_py312_gw0"]
    assert beside("shop", ("py312", "gw0")) == names


@pytest.mark.parametrize(
    "text",
    [
        "ldb_env =\n A = postgres.url\n B=redis.url",
        "ldb_env = A=postgres.url, B = redis.url",
    ],
)
def test_variables_are_read_from_the_ini_file(pytester: pytest.Pytester, text: str) -> None:
    pytester.makeini(f"[pytest]\n{text}")
    given = read_environment(pytester.parseconfig("--collect-only"))
    assert given == {"A": "postgres.url", "B": "redis.url"}


def config(**command_line: Any) -> Any:
    class Config:
        def getoption(self, name: str) -> Any:
            return command_line.get(name)

        def getini(self, name: str) -> Any:
            return ["A = redis.url", "B = redis.host"]

    return Config()


def test_first_definition_of_a_variable_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LDB_ENV", "B=postgres.host,C=mysql://x,y/{mysql.user}")
    given = read_environment(config(ldb_env=["C=mongodb.url"]))
    assert given == {"A": "redis.url", "B": "postgres.host", "C": "mongodb.url"}
    given = read_environment(config())
    assert given["C"] == "mysql://x,y/{mysql.user}"


@pytest.mark.parametrize("text", ["A", "=postgres.url", "A=", "A B=postgres.url"])
def test_variable_requires_name_and_expression(text: str) -> None:
    with pytest.raises(pytest.UsageError, match="it takes NAME=EXPRESSION"):
        read_environment(config(ldb_env=[text]))


@pytest.mark.parametrize(("is_child", "worker"), [(True, "gw1"), (False, "")])
def test_worker_run_id_is_known_before_xdist_configures(
    monkeypatch: pytest.MonkeyPatch, is_child: bool, worker: str
) -> None:
    class Config:
        """A configuration without the attributes that xdist adds."""

        stash = pytest.Stash()

    controller = os.getppid() if is_child else os.getppid() + 1
    told = {"run": "0123abcd", "controller": controller, "home": {"HOME": "/home/me"}}
    monkeypatch.setenv(ANNOUNCED, json.dumps(told))
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw1")
    place = find_place(Config())  # type: ignore[arg-type]
    assert place.worker == worker
    assert (place.run == "0123abcd") == (place.home == told["home"]) == is_child


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"A": "1", "B": "2", "C": "3"}, ""),
        ({"A": "1", "B": "mine"}, "variable B has another value"),
        ({"A": "1"}, "variable B has another value"),
        ({}, "variables A, B have other values"),
    ],
)
def test_changed_variables_are_an_error(environment: dict[str, str], said: str) -> None:
    given = GivenVariables({"A": "1", "B": "2"})
    if not said:
        given.check(environment)
        given.check({})  # Tests may change them.
        return
    for later in (environment, {"A": "1", "B": "2"}):
        with pytest.raises(InvalidRequest, match=said) as caught:
            given.check(later)
    assert "mine" not in str(caught.value)


@pytest.mark.process
@pytest.mark.parametrize("workers", ["0", "2"])
def test_no_test_runs_with_a_changed_variable(pytester: pytest.Pytester, workers: str) -> None:
    pytester.makeini("[pytest]\nldb_env = A = redis.url\nldb_no_engine = skip")
    pytester.makeconftest("import os; os.environ['A'] = 'redis://the.developer/0'")
    pytester.makepyfile("def test_one(): assert 0\ndef test_two(): assert 0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", f"unix://{pytester.path}/absent.sock")
        result = pytester.runpytest_subprocess("-n", workers)
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*--ldb-env: the environment variable A has another value*"])
