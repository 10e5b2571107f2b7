"""Database type declarations: validation, templates and readiness answers."""

from __future__ import annotations

import runpy
import struct
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ldb.databases import BUILTIN, MONGODB, MYSQL, POSTGRES, REDIS, all_types
from pytest_ldb.model.database_type import (
    ClientProgram,
    DatabaseType,
    Exchange,
    Operations,
    Reset,
    render,
)
from pytest_ldb.model.errors import InvalidRequest
from pytest_ldb.model.type_checks import FIXTURE_ENDINGS
from pytest_ldb.plugin.fixtures import fixture_module
from pytest_ldb.plugin.state import BUILTIN as NAMES

ROOT = Path(__file__).parents[2]
VALUES = {
    "user": "the-user",
    "password": "the-password",
    "host": "the-host",
    "file": "the-file",
    "port": "4711",
    "database": "the-database",
    "template": "the-template",
    "mark": "the-mark",
    "thing": "the-thing",
    "thing_hex": "7468652d7468696e67",
}


def changed(database_type: DatabaseType, group: str, **changes: Any) -> DatabaseType:
    groups: dict[str, Any] = {group: replace(getattr(database_type, group), **changes)}
    return replace(database_type, **groups)


def test_builtin_types_have_names_and_aliases() -> None:
    assert {database_type.name: database_type.aliases for database_type in BUILTIN} == NAMES


@pytest.mark.parametrize("name", ["", "My DB", "my-db", "Postgres", "1st", "_x", "käse"])
def test_type_name_must_be_valid_in_a_fixture_and_a_variable(name: str) -> None:
    with pytest.raises(InvalidRequest, match="its name must be lower-case letters"):
        replace(POSTGRES, name=name)


@pytest.mark.parametrize("name", ["redis_db", "redis_setup"])
def test_type_name_must_not_collide_with_another_fixture(name: str) -> None:
    with pytest.raises(InvalidRequest, match=f"ldb_{name} is a fixture of a database type that"):
        replace(REDIS, name=name)


def test_type_name_is_checked_against_every_fixture() -> None:
    fixtures = {name for name in vars(fixture_module(["x"], pytest.fail)) if "ldb_x" in name}
    assert fixtures == {"ldb_x", *(f"ldb_x{ending}" for ending in FIXTURE_ENDINGS)}


@pytest.mark.parametrize("alias", ["PG", "two words", ""])
def test_alias_is_lower_case(alias: str) -> None:
    with pytest.raises(InvalidRequest, match=f"its alias '{alias}' must be lower-case"):
        replace(POSTGRES, aliases=(alias,))


@pytest.mark.parametrize("aliases", [("postgres",), ("pg", "pg")])
def test_alias_is_unique_in_a_type(aliases: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest, match="is given twice, or is its name"):
        replace(POSTGRES, aliases=aliases)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"name": "pg"}, "pg"),
        ({"aliases": ("mysql",)}, "mysql"),
        ({"aliases": ("my", "mongo")}, "mongo"),
    ],
)
def test_name_refers_to_one_type(changes: dict[str, Any], name: str) -> None:
    other = replace(REDIS, **{"name": "other", **changes})
    with pytest.raises(InvalidRequest, match=f"'{name}' is already a name of the database type"):
        all_types([other])


def test_derived_type_leaves_aliases_to_the_original() -> None:
    other = replace(POSTGRES, name="postgres17", image="postgres:17")
    types = all_types([other])
    assert next(known for known in types if known.answers_to("pg")) == POSTGRES


def test_replacing_type_takes_over_the_aliases() -> None:
    assert all_types([replace(POSTGRES, image="postgres:17")])[0].image == "postgres:17"


@pytest.mark.parametrize("field", ["command", "aliases", "init_scripts"])
def test_string_instead_of_a_sequence_is_an_error(field: str) -> None:
    changes: dict[str, Any] = {field: "fill.sql"}
    with pytest.raises(InvalidRequest, match=f"{field} must be a tuple, with a comma"):
        replace(POSTGRES, **changes)


@pytest.mark.parametrize(
    ("group", "field"),
    [
        *(("server", "arguments"), ("server", "tuning"), ("server", "data_paths")),
        *(("client", "argv"), ("client", "terminal")),
    ],
)
def test_string_instead_of_a_sequence_in_a_group_is_an_error(group: str, field: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"{group}\.{field} must be a tuple, with a comma"):
        changed(POSTGRES, group, **{field: "fill.sql"})


def test_arguments_must_be_strings() -> None:
    with pytest.raises(InvalidRequest, match=r"server\.arguments contains 16, which is not a str"):
        changed(REDIS, "server", arguments=("--databases", 16))


@pytest.mark.parametrize(
    ("group", "field", "value", "word"),
    [
        ("server", "arguments", ("--x={file}",), "file"),
        ("server", "credential_environment", {"A": "{passwort}"}, "passwort"),
        ("client", "argv", ("psql", "{database}"), "database"),
        ("client", "terminal", ("psql", "{template}"), "template"),
        ("client", "environment", {"A": "{mark}"}, "mark"),
        ("operations", "create", "CREATE {template};", "template"),
        ("operations", "drop", ("dropdb", "{file}"), "file"),
        ("reset", "inspect", "inspect {thing}", "thing"),
        ("addresses", "url", "redis://{hots}:{port}", "hots"),
        ("addresses", "env", {"A": "{template}"}, "template"),
        ("addresses", "drivers", {"psycopg": {"a": "{name}"}}, "name"),
        ("addresses", "drivers", {"psycopg": {"a": "x{url}"}}, "url"),
    ],
)
def test_unknown_placeholder_is_an_error(group: str, field: str, value: object, word: str) -> None:
    fact = rf"'postgres': {group}\.{field} contains {{{word}}}, which is not a placeholder there"
    with pytest.raises(InvalidRequest, match=fact) as caught:
        changed(POSTGRES, group, **{field: value})
    assert "{host}" in caught.value.remedy


def test_unknown_placeholder_in_the_command_is_an_error() -> None:
    with pytest.raises(
        InvalidRequest, match=r"command contains {file}, which is not a placeholder there"
    ):
        replace(POSTGRES, command=("--x={file}",))


def test_other_braces_are_left_to_the_client() -> None:
    changed(POSTGRES, "operations", create="CREATE {something} { x: 1 };")


@pytest.mark.parametrize("field", ["entry", "noise"])
def test_invalid_log_pattern_is_an_error(field: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"log\.{field} is not a regular expression: missing"):
        changed(POSTGRES, "log", **{field: "(oops"})


def test_invalid_exchange_pattern_is_an_error() -> None:
    with pytest.raises(InvalidRequest, match=r"ready\.ready is not a regular expression"):
        replace(POSTGRES, ready=Exchange(send=b"", ready=b"*"))


def test_simple_type_takes_15_lines() -> None:
    example = ROOT / "docs/examples/memcached.py"
    (added,) = runpy.run_path(str(example))["pytest_ldb_database_types"]()
    assert all_types([added])[-1] is added
    _, begin, declaration = example.read_text().partition("MEMCACHED = DatabaseType(\n")
    assert len((begin + declaration.partition("\n)\n")[0]).splitlines()) < 15


def test_init_scripts_can_be_given_as_strings() -> None:
    scripts: Any = ("a/fill.sql", Path("b.sql"))
    assert replace(POSTGRES, init_scripts=scripts).init_scripts == (
        Path("a/fill.sql"),
        Path("b.sql"),
    )


def test_init_scripts_of_the_same_name_are_an_error() -> None:
    with pytest.raises(InvalidRequest, match=r"two init scripts are called fill\.sql"):
        replace(POSTGRES, init_scripts=(Path("a/fill.sql"), Path("b/fill.sql")))


def test_init_scripts_require_image_support() -> None:
    with pytest.raises(InvalidRequest, match=r"'redis': its image runs no init scripts"):
        replace(REDIS, init_scripts=(Path("x"),))


def test_render_fills_placeholders_and_leaves_other_braces() -> None:
    template = 'x = { a: 1, "b": {} }; {user}:{password}@{host}:{port}/{database} {other} {{user}}'
    assert render(template, VALUES) == (
        'x = { a: 1, "b": {} }; the-user:the-password@the-host:4711/the-database {other} {the-user}'
    )


@given(st.fixed_dictionaries(dict.fromkeys(VALUES, st.text())))
def test_rendered_values_are_not_rendered_again(values: dict[str, str]) -> None:
    template = "|".join(f"{{{name}}}" for name in VALUES)
    assert render(template, values) == "|".join(values[name] for name in VALUES)


@pytest.mark.parametrize("database_type", BUILTIN, ids=lambda database_type: database_type.name)
def test_every_template_of_every_type_renders(database_type: DatabaseType) -> None:
    for text in _texts(database_type):
        rendered = render(text, VALUES)
        assert not any(f"{{{name}}}" in rendered for name in VALUES)


@pytest.mark.parametrize("database_type", BUILTIN, ids=lambda database_type: database_type.name)
def test_commands_do_not_contain_the_password(database_type: DatabaseType) -> None:
    operations = [getattr(database_type.operations, field.name) for field in fields(Operations)]
    for command in (*operations, database_type.client.argv, database_type.client.terminal):
        assert not any("{password}" in argument for argument in command)


def test_statements_require_a_client() -> None:
    with pytest.raises(
        InvalidRequest, match=r"operations\.create is a string, which needs a client"
    ):
        changed(POSTGRES, "client", argv=())
    with pytest.raises(InvalidRequest, match=r"reset\.inspect is a string, which needs a client"):
        replace(REDIS, client=ClientProgram(), operations=Operations(), reset=Reset(inspect="x"))


def test_client_accepts_an_end_marker() -> None:
    with pytest.raises(InvalidRequest, match=r"client\.mark must contain {mark}"):
        changed(REDIS, "client", mark="PING")


def _mongodb_answer(ok: float) -> bytes:
    document = b"\x08isWritablePrimary\0\x01" + b"\x01ok\0" + struct.pack("<d", ok) + b"\0"
    return struct.pack("<iiiii", 16, 1, 0, 2013, 0) + b"\0" + document


@pytest.mark.parametrize(
    ("database_type", "answer"),
    [
        (POSTGRES, b"R\0\0\0\x17\0\0\0\nSCRAM-SHA-256\0\0"),
        (POSTGRES, b"R\0\0\0\x08\0\0\0\0S\0\0\0"),
        (MYSQL, b"I\0\0\0\x0a9.7.0\0"),
        (MYSQL, b"\x0a\0\0\0\x0a9.7.0\0"),
        (MONGODB, _mongodb_answer(1.0)),
        (REDIS, b"+PONG\r\n"),
        (REDIS, b"-NOAUTH Authentication required.\r\n"),
    ],
)
def test_ready_answer_is_accepted(database_type: DatabaseType, answer: bytes) -> None:
    assert database_type.ready.proves(answer)
    assert database_type.ready.proves(answer + b"more")


@pytest.mark.parametrize(
    ("database_type", "answer"),
    [
        *((database_type, b"") for database_type in BUILTIN),
        (POSTGRES, b"E\0\0\0\x60SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"),
        (POSTGRES, b"xR"),
        (MYSQL, b"\x10\0\0\0\xff\x10\x04Too many connections"),
        (MYSQL, b"I\0\0"),
        (MONGODB, _mongodb_answer(0.0)),
        (REDIS, b"-LOADING Redis is loading the dataset in memory\r\n"),
        (REDIS, b"-DENIED Redis is running in protected mode\r\n"),
    ],
)
def test_other_answer_is_rejected(database_type: DatabaseType, answer: bytes) -> None:
    assert not database_type.ready.proves(answer)


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if is_dataclass(value):
        return [text for field in fields(value) for text in _texts(getattr(value, field.name))]
    if isinstance(value, tuple):
        return [text for part in value for text in _texts(part)]
    if isinstance(value, dict):
        return [text for part in value.values() for text in _texts(part)]
    return []
