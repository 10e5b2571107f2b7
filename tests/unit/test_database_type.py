"""Declarations: their templates, and the words that prove a server ready."""

from __future__ import annotations

import struct
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ldb.databases import BUILTIN, MONGODB, MYSQL, POSTGRES, REDIS
from pytest_ldb.model.database_type import DatabaseType, render
from pytest_ldb.model.errors import InvalidRequest
from pytest_ldb.plugin.hooks import BUILTIN as BUILTIN_NAMES

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
}


def test_the_plugin_knows_the_names_of_the_types_that_there_are() -> None:
    assert tuple(kind.name for kind in BUILTIN) == BUILTIN_NAMES


@pytest.mark.parametrize("name", ["", "My DB", "my-db", "Postgres", "1st", "_x", "käse"])
def test_a_name_must_make_a_fixture_and_a_variable(name: str) -> None:
    with pytest.raises(InvalidRequest, match="its name must be lower-case letters"):
        replace(POSTGRES, name=name)


@pytest.mark.parametrize("field", ["command", "arguments", "tuning", "aliases", "init_scripts"])
def test_a_text_is_not_a_list_of_texts(field: str) -> None:
    changes: dict[str, Any] = {field: "fill.sql"}
    with pytest.raises(InvalidRequest, match=f"{field} must be a tuple, with a comma"):
        replace(POSTGRES, **changes)


def test_init_scripts_may_be_named_by_text() -> None:
    scripts: Any = ("a/fill.sql", Path("b.sql"))
    assert replace(POSTGRES, init_scripts=scripts).init_scripts == (
        Path("a/fill.sql"),
        Path("b.sql"),
    )


def test_init_scripts_of_one_name_would_hide_each_other() -> None:
    with pytest.raises(InvalidRequest, match=r"two init scripts are called fill\.sql"):
        replace(POSTGRES, init_scripts=(Path("a/fill.sql"), Path("b/fill.sql")))


def test_init_scripts_need_an_image_that_runs_them() -> None:
    with pytest.raises(InvalidRequest, match=r"'redis': its image runs no init scripts"):
        replace(REDIS, init_scripts=(Path("x"),))


def test_render_fills_placeholders_and_leaves_other_braces() -> None:
    template = 'x = { a: 1, "b": {} }; {user}:{password}@{host}:{port}/{database} {other} {{user}}'
    assert render(template, VALUES) == (
        'x = { a: 1, "b": {} }; the-user:the-password@the-host:4711/the-database {other} {the-user}'
    )


@given(st.fixed_dictionaries(dict.fromkeys(VALUES, st.text())))
def test_what_is_filled_in_is_never_a_template_itself(values: dict[str, str]) -> None:
    template = "|".join(f"{{{name}}}" for name in VALUES)
    assert render(template, values) == "|".join(values[name] for name in VALUES)


@pytest.mark.parametrize("kind", BUILTIN, ids=lambda kind: kind.name)
def test_every_template_of_every_type_can_be_filled(kind: DatabaseType) -> None:
    for text in _texts(kind):
        rendered = render(text, VALUES)
        assert not any(f"{{{name}}}" in rendered for name in VALUES)


@pytest.mark.parametrize("kind", BUILTIN, ids=lambda kind: kind.name)
def test_no_command_shows_the_password_to_other_processes(kind: DatabaseType) -> None:
    for command in (kind.create, kind.clone, kind.drop, kind.client, kind.load, kind.export):
        assert not any("{password}" in argument for argument in command)


def test_statements_need_a_client() -> None:
    with pytest.raises(InvalidRequest, match="create is a string, which is for a client"):
        replace(POSTGRES, client=())


def _mongodb_answer(ok: float) -> bytes:
    document = b"\x08isWritablePrimary\0\x01" + b"\x01ok\0" + struct.pack("<d", ok) + b"\0"
    return struct.pack("<iiiii", 16, 1, 0, 2013, 0) + b"\0" + document


@pytest.mark.parametrize(
    ("kind", "answer"),
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
def test_a_server_that_is_ready_proves_it(kind: DatabaseType, answer: bytes) -> None:
    assert kind.ready.proves(answer)
    assert kind.ready.proves(answer + b"more")


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        *((kind, b"") for kind in BUILTIN),
        (POSTGRES, b"E\0\0\0\x60SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"),
        (POSTGRES, b"xR"),
        (MYSQL, b"\x10\0\0\0\xff\x10\x04Too many connections"),
        (MYSQL, b"I\0\0"),
        (MONGODB, _mongodb_answer(0.0)),
        (REDIS, b"-LOADING Redis is loading the dataset in memory\r\n"),
        (REDIS, b"-DENIED Redis is running in protected mode\r\n"),
    ],
)
def test_a_server_that_is_not_ready_proves_nothing(kind: DatabaseType, answer: bytes) -> None:
    assert not kind.ready.proves(answer)


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, DatabaseType):
        return [text for field in fields(value) for text in _texts(getattr(value, field.name))]
    if isinstance(value, tuple):
        return [text for part in value for text in _texts(part)]
    if isinstance(value, dict):
        return [text for part in value.values() for text in _texts(part)]
    return []
