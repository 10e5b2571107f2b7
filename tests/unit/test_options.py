"""Sources of option values: command line, environment, ini."""

from __future__ import annotations

import os
from typing import Any

import pytest

from pytest_ldb.model.settings import Settings
from pytest_ldb.plugin.options import OPTIONS, read_options
from pytest_ldb.plugin.state import BUILTIN


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # Only this plugin is needed.
    monkeypatch.setenv("PYTEST_PLUGINS", "pytest_ldb.plugin.hooks")
    for name in os.environ:
        if name.startswith("LDB_"):
            monkeypatch.delenv(name)


def decided(pytester: pytest.Pytester, *arguments: str, ini: str = "") -> Settings:
    if ini:
        pytester.makeini(f"[pytest]\n{ini}")
    settings, _ = read_options(pytester.parseconfigure(*arguments), BUILTIN)
    return settings


def test_defaults_apply_without_options(pytester: pytest.Pytester) -> None:
    assert decided(pytester) == Settings()


VALUES = [
    ("keep", "keep", "true", True, "false", False),
    ("recreate", "recreate", "true", True, "false", False),
    ("durable", "durable", "true", True, "false", False),
    ("pull", "pull", "always", "always", "never", "never"),
    ("timeout", "timeout_s", "5", 5.0, "2.5", 2.5),
    ("no_engine", "no_engine", "skip", "skip", "error", "error"),
    ("image_prefix", "image_prefix", "mirror", "mirror", "", ""),
    ("bind", "bind", "0.0.0.0", "0.0.0.0", "127.0.0.1", "127.0.0.1"),
    ("report", "report", "one.json", "one.json", "", ""),
]


@pytest.mark.parametrize(("name", "field", "weak", "_", "strong", "value"), VALUES)
def test_environment_overrides_ini(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    field: str,
    weak: str,
    _: Any,
    strong: str,
    value: Any,
) -> None:
    monkeypatch.setenv(f"LDB_{name.upper()}", strong)
    assert getattr(decided(pytester, ini=f"ldb_{name} = {weak}"), field) == value


@pytest.mark.parametrize(("name", "field", "weak", "value", "_", "__"), VALUES)
def test_ini_overrides_the_default(
    pytester: pytest.Pytester, name: str, field: str, weak: str, value: Any, _: str, __: Any
) -> None:
    assert getattr(decided(pytester, ini=f"ldb_{name} = {weak}"), field) == value


@pytest.mark.parametrize(("name", "field", "weak", "_", "strong", "value"), VALUES)
def test_command_line_overrides_the_environment(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    field: str,
    weak: str,
    _: Any,
    strong: str,
    value: Any,
) -> None:
    monkeypatch.setenv(f"LDB_{name.upper()}", weak)
    flag = f"--ldb-{name.replace('_', '-')}"
    switch = {"true": flag, "false": flag.replace("--ldb", "--no-ldb")}
    arguments = [switch[strong]] if strong in switch else [flag, strong]
    assert getattr(decided(pytester, *arguments), field) == value


@pytest.mark.parametrize("word", ["1", "true", "YES", "On"])
def test_true_words(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("LDB_KEEP", word)
    assert decided(pytester).keep is True


@pytest.mark.parametrize("word", ["0", "False", "no", "off", ""])
def test_false_words_count_as_given(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.setenv("LDB_KEEP", word)
    assert decided(pytester, ini="ldb_keep = true").keep is False


def test_images_are_merged_by_type(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LDB_IMAGE", "mysql=env:2,mongodb=env:3")
    monkeypatch.setenv("LDB_MYSQL_IMAGE", "own:2")
    monkeypatch.setenv("LDB_POSTGRES_IMAGE", "own:1")
    monkeypatch.setenv("LDB_REDIS_IMAGE", "")
    ini = "ldb_image =\n    postgres=ini:1\n    mongodb=ini:3\n\n    redis = ini:4\n"
    arguments = ["--ldb-image", "postgres=line:0", "--ldb-image=postgres=line:1"]
    assert decided(pytester, *arguments, ini=ini).images == {
        "postgres": "line:1",
        "mysql": "own:2",
        "mongodb": "env:3",
        "redis": "ini:4",
    }


def test_images_can_be_given_by_alias(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LDB_IMAGE", "PostgreSQL=env:1,mongo=env:3")
    monkeypatch.setenv("LDB_MONGODB_IMAGE", "own:3")
    images = decided(pytester, "--ldb-image=pg=line:1", ini="ldb_image = postgres=ini:1").images
    assert images == {"postgres": "line:1", "mongodb": "own:3"}


def test_images_can_be_given_by_the_alias_of_a_project_type(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeconftest(
        """
        from dataclasses import replace
        from pytest_ldb import REDIS

        def pytest_ldb_database_types():
            return [replace(REDIS, name="valkey", aliases=("vk",))]
        """
    )
    result = pytester.runpytest_inprocess("--ldb-image=vk=valkey:9")
    result.stdout.fnmatch_lines(["ldb: images valkey=valkey:9, *"])


def test_type_variable_overrides_the_common_variable(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LDB_IMAGE", "mysql=env:2")
    monkeypatch.setenv("LDB_MYSQL_IMAGE", "own:2")
    assert decided(pytester).images == {"mysql": "own:2"}


@pytest.mark.parametrize("text", ["mysql=a, redis=b", "mysql=a,redis=b,", " mysql=a\n\nredis=b "])
def test_image_list_formats(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("LDB_IMAGE", text)
    assert decided(pytester).images == {"mysql": "a", "redis": "b"}


def test_external_urls_come_from_the_environment(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LDB_POSTGRES_URL", "postgresql://db")
    monkeypatch.setenv("LDB_REDIS_URL", "")
    monkeypatch.setenv("LDB_ORACLE_URL", "oracle://db")
    assert decided(pytester).urls == {"postgres": "postgresql://db"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--ldb-pull=often"],
            "--ldb-pull: 'often' is wrong, it takes one of missing, always, never.",
        ),
        (
            ["--ldb-no-engine=pass"],
            "--ldb-no-engine: 'pass' is wrong, it takes one of error, skip.",
        ),
        (["--ldb-timeout=soon"], "--ldb-timeout: 'soon' is wrong, it takes a number of seconds *"),
        (["--ldb-timeout=0"], "--ldb-timeout: '0' is wrong, * greater than 0."),
        (["--ldb-timeout=-1"], "--ldb-timeout: '-1' is wrong, *"),
        (["--ldb-timeout=nan"], "--ldb-timeout: 'nan' is wrong, *"),
        (["--ldb-timeout=inf"], "--ldb-timeout: 'inf' is wrong, *"),
        (["--ldb-image=mysql"], "--ldb-image: 'mysql' is wrong, it takes NAME=REFERENCE, *"),
        (["--ldb-image==x"], "--ldb-image: '=x' is wrong, *"),
        (["--ldb-image=mysql="], "--ldb-image: 'mysql=' is wrong, *"),
        (
            ["--ldb-image=oracle=x"],
            "--ldb-image: there is no database type 'oracle'. *: postgres, mysql, mongodb, redis.",
        ),
    ],
)
def test_invalid_value_error_names_its_source(
    pytester: pytest.Pytester, arguments: list[str], message: str
) -> None:
    result = pytester.runpytest_inprocess(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])
    assert len(result.stderr.str().strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("variable", "ini", "message"),
    [
        ("maybe", "", "LDB_KEEP: 'maybe' is wrong, it takes true or false."),
        (None, "ldb_keep = maybe", "ini ldb_keep: 'maybe' is wrong, it takes true or false."),
        ("true", "ldb_keep = maybe", "ini ldb_keep: 'maybe' is wrong, it takes true or false."),
    ],
)
def test_invalid_value_is_an_error_from_every_source(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    variable: str | None,
    ini: str,
    message: str,
) -> None:
    if variable is not None:
        monkeypatch.setenv("LDB_KEEP", variable)
    pytester.makeini(f"[pytest]\n{ini}")
    result = pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


@pytest.mark.parametrize("arguments", [["--ldb-bind="], ["--ldb-bind", "localhost"]])
def test_empty_bind_address_is_refused(pytester: pytest.Pytester, arguments: list[str]) -> None:
    """An engine treats an empty address as all interfaces."""
    result = pytester.runpytest_inprocess(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --ldb-bind: * is wrong, it takes an IP address*"])


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_help_names_option_variable_and_ini(pytester: pytest.Pytester, option: Any) -> None:
    text = " ".join(pytester.runpytest_inprocess("--help").stdout.str().split())
    assert option.flag in text
    assert f"Environment: {option.variable}, ini: {option.ini}." in text
    assert not option.help.startswith(option.help[0].lower())
    assert not option.help.endswith(".")
