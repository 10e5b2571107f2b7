"""Statuses, credentials and instances."""

from __future__ import annotations

import json
from datetime import timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ldb.databases import BUILTIN
from pytest_ldb.model.errors import InvalidRequest
from pytest_ldb.model.instance import (
    Address,
    Credentials,
    Instance,
    InstanceStatus,
    type_named,
)

from .conftest import instance

NAMES = [database_type.name for database_type in BUILTIN]


def test_credentials_hide_the_password() -> None:
    credentials = Credentials("me", "hunter2")
    assert "hunter2" not in repr(credentials)
    assert type(credentials.password) is str


def test_instance_hides_the_password() -> None:
    shown = repr(instance(credentials=Credentials("me", "hunter2")))
    assert "hunter2" not in shown
    assert "shop-12345678-postgres-deadbeef" in shown


@pytest.mark.parametrize(
    ("state", "exit_code", "status"),
    [
        ("created", None, "creating"),
        ("running", None, "running"),
        ("running", 0, "running"),
        ("running", 1, "running"),
        ("paused", None, "stopped"),
        ("restarting", 0, "creating"),
        ("restarting", None, "creating"),
        ("restarting", 1, "error"),
        ("removing", None, "stopped"),
        ("removing", 1, "stopped"),
        ("exited", 0, "stopped"),
        ("exited", 130, "stopped"),
        ("exited", 143, "stopped"),
        ("exited", 1, "error"),
        ("exited", 137, "error"),
        ("dead", 0, "error"),
        ("dead", None, "error"),
        ("something new", None, "stopped"),
    ],
)
def test_status_derives_from_state_and_exit_code(
    state: str, exit_code: int | None, status: str
) -> None:
    assert InstanceStatus.of(state, exit_code) is InstanceStatus(status)


def test_stopped_is_the_default_status() -> None:
    data = json.loads(instance().to_json())
    del data["status"]
    assert Instance.from_json(json.dumps(data), BUILTIN).status is InstanceStatus.STOPPED


@given(
    password=st.text(),
    status=st.sampled_from(InstanceStatus),
    address=st.none() | st.builds(Address, st.text(), st.integers(1, 65535)),
    created_at=st.datetimes(timezones=st.just(timezone.utc)),
)
def test_instance_round_trips_through_json(
    password: str, status: InstanceStatus, address: Address | None, created_at: object
) -> None:
    one = instance(
        credentials=Credentials("me", password),
        status=status,
        address=address,
        created_at=created_at,
    )
    again = Instance.from_json(one.to_json(), BUILTIN)
    assert again == one


def test_json_has_the_documented_names() -> None:
    assert json.loads(instance().to_json()) == {
        "id": "6a7e1f6e-7f0b-4f6c-8c0e-0d4cb62e5b0a",
        "name": "shop-12345678-postgres-deadbeef",
        "database_type": "postgres",
        "image": "postgres:18",
        "status": "running",
        "address": {"host": "127.0.0.1", "port": 32768},
        "credentials": {"user": "postgres", "password": "s3cr't"},
        "created_at": "2026-11-23T12:00:00+00:00",
    }


@pytest.mark.parametrize("alias", ["postgres", "postgresql", "PG", "PostgreSQL"])
def test_json_type_can_be_an_alias(alias: str) -> None:
    data = json.loads(instance().to_json()) | {"database_type": alias, "status": "RUNNING"}
    assert Instance.from_json(json.dumps(data), BUILTIN) == instance()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        '"text"',
        "{}",
        *(
            json.dumps(json.loads(instance().to_json()) | change)
            for change in (
                {"id": "not a uuid"},
                {"id": 5},
                {"database_type": "oracle"},
                {"database_type": None},
                {"status": "sleeping"},
                {"status": 5},
                {"address": {"host": "127.0.0.1"}},
                {"address": "127.0.0.1:5432"},
                {"credentials": {"user": "me"}},
                {"credentials": {"user": "me", "password": "x", "more": 1}},
                {"credentials": None},
                {"created_at": "yesterday"},
                {"created_at": 5},
            )
        ),
    ],
)
def test_invalid_json_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Instance.from_json(text, BUILTIN)
    assert caught.value.fact
    assert caught.value.remedy


@pytest.mark.parametrize("missing", ["id", "name", "image", "credentials", "created_at"])
def test_missing_json_value_is_named(missing: str) -> None:
    data = json.loads(instance().to_json())
    del data[missing]
    with pytest.raises(InvalidRequest, match=f"KeyError: '{missing}'"):
        Instance.from_json(json.dumps(data), BUILTIN)


@pytest.mark.parametrize("name", [*NAMES, "pg", "mongo", "MySQL"])
def test_aliases_are_case_insensitive(name: str) -> None:
    assert type_named(name, BUILTIN).answers_to(name)


def test_unknown_type_error_lists_known_types() -> None:
    with pytest.raises(InvalidRequest) as caught:
        type_named("oracle", BUILTIN)
    assert str(caught.value) == (
        "'oracle': no database type has this name.\nThere are: postgres, mysql, mongodb, redis."
    )


def test_names_and_aliases_are_unique() -> None:
    names = [
        name for database_type in BUILTIN for name in (database_type.name, *database_type.aliases)
    ]
    assert len(names) == len(set(names))
