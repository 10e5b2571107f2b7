"""External servers: parsing of their URLs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from pytest_ldb.databases import BUILTIN, MONGODB, MYSQL, POSTGRES, REDIS
from pytest_ldb.isolation.databases import databases_on
from pytest_ldb.lifecycle.external import external_lease
from pytest_ldb.lifecycle.lease import Lease
from pytest_ldb.model.database import Database
from pytest_ldb.model.database_type import DatabaseType, Operations
from pytest_ldb.model.errors import CommandFailed, InvalidRequest
from pytest_ldb.model.instance import Address, InstanceStatus
from pytest_ldb.shell.shell import Client


class Clients:
    """A local shell that records its commands."""

    def __init__(self, *, missing: bool = False) -> None:
        self.missing = missing
        self.subject = ""
        self.environment: Mapping[str, str] = {}
        self.commands: list[tuple[str, ...]] = []
        self.closed = False

    def __call__(self, subject: str, environment: Mapping[str, str]) -> Any:
        self.subject, self.environment = subject, environment
        return self

    def run(self, argv: Sequence[str], *, timeout_s: float = 0.0) -> str:
        self.commands.append(tuple(argv))
        if self.missing:
            raise CommandFailed("here", "`command` ended with status 127", status=127)
        return ""

    def later(self, argv: Sequence[str]) -> None:
        self.commands.append(("later", *argv))

    def feed(self, client: Client, statements: str, *, timeout_s: float) -> str:
        self.commands.append((client.argv[0], statements))
        return ""

    def feed_later(self, client: Client, statements: str) -> None:
        self.commands.append(("later", client.argv[0], statements))

    def close(self) -> None:
        self.closed = True


def lease_on(database_type: DatabaseType, url: str) -> tuple[Lease, Clients]:
    clients = Clients()
    return external_lease(database_type, url, clients), clients


@pytest.mark.parametrize(
    ("database_type", "url", "user", "password", "address"),
    [
        (POSTGRES, "postgresql://me:pw@db:5433/x", "me", "pw", Address("db", 5433)),
        (POSTGRES, "postgresql://me:p%40%2F@db", "me", "p@/", Address("db", 5432)),
        (POSTGRES, "postgres://db/x", "postgres", "", Address("db", 5432)),
        (MYSQL, "mysql://me%40home@db", "me@home", "", Address("db", 3306)),
        (MONGODB, "mongodb://db:1/?replicaSet=a", "root", "", Address("db", 1)),
        (REDIS, "redis://:pw@[::1]:7000/3", "default", "pw", Address("::1", 7000)),
        (REDIS, "rediss://db", "default", "", Address("db", 6379)),
    ],
)
def test_url_is_parsed_into_address_and_credentials(
    database_type: DatabaseType, url: str, user: str, password: str, address: Address
) -> None:
    lease, clients = lease_on(database_type, url)
    instance = lease.instance
    assert (instance.credentials.user, instance.credentials.password) == (user, password)
    assert instance.address == address
    assert instance.status is InstanceStatus.RUNNING
    assert (
        clients.subject == instance.name == f"{database_type.name} at {address.host}:{address.port}"
    )
    assert (lease.origin, lease.outlives_run) == ("external", True)


@pytest.mark.parametrize(
    ("database_type", "url", "expected"),
    [
        (POSTGRES, "postgresql://me:pw@db:5433/x", "postgresql://me:pw@db:5433/n"),
        (POSTGRES, "postgres://me:p%40@db/x", "postgres://me:p%40@db:5432/n"),
        (
            *(POSTGRES, "postgresql://me:pw@db/x?sslmode=require"),
            "postgresql://me:pw@db:5432/n?sslmode=require",
        ),
        (MYSQL, "mysql://me@db", "mysql://me@db:3306/n"),
        (MONGODB, "mongodb://me:pw@db", "mongodb://me:pw@db:27017/n?authSource=admin"),
        (MONGODB, "mongodb://me:pw@db/x?authSource=x", "mongodb://me:pw@db:27017/n?authSource=x"),
        (MONGODB, "mongodb://db", "mongodb://db:27017/n"),
        (REDIS, "rediss://:pw@[::1]", "rediss://default:pw@[::1]:6379/n"),
    ],
)
def test_database_urls_keep_the_form_of_the_server_url(
    database_type: DatabaseType, url: str, expected: str
) -> None:
    lease, _ = lease_on(database_type, url)
    assert Database(lease.instance, "n", lease.database_type).url == expected


def test_equal_urls_give_the_same_instance() -> None:
    one, other = (lease_on(REDIS, f"redis://db/{number}")[0] for number in (1, 2))
    assert one.instance.id == other.instance.id
    assert one.instance.id != lease_on(REDIS, "redis://db:7000")[0].instance.id


def test_interrupted_create_drops_the_database() -> None:
    lease, clients = lease_on(POSTGRES, "postgresql://me:pw@db")
    assert isinstance(POSTGRES.operations.drop, str)
    databases_on(lease).create("shop")
    assert clients.commands == [
        ("command", "-v", "psql"),
        ("later", "psql", POSTGRES.operations.drop.replace("{database}", "shop")),
        ("psql", 'CREATE DATABASE "shop";'),
    ]


def test_init_scripts_are_refused_on_external_servers(tmp_path: Any) -> None:
    lease, clients = lease_on(
        replace(POSTGRES, init_scripts=(tmp_path / "fill.sql",)), "postgresql://db"
    )
    databases_on(lease).create("shop")
    assert clients.commands[-1] == ("psql", 'CREATE DATABASE "shop";')


def test_password_is_passed_in_the_environment_only() -> None:
    for database_type in BUILTIN:
        scheme = database_type.addresses.url.partition(":")[0]
        lease, clients = lease_on(database_type, f"{scheme}://me:hunter2@db:1234")
        assert "hunter2" in " ".join(clients.environment.values())
        assert "hunter2" not in repr(clients.commands)
        assert "hunter2" not in repr(lease)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "db",
        "db:5432",
        "postgresql://",
        "postgresql:///shop",
        "postgresql://me:hunter2@:5432",
        "postgresql://me:hunter2@db:port",
        "postgresql://me:hunter2@db:0",
        "postgresql://me:hunter2@db:99999",
        "postgresql://me:hunter2@[::1",
        "//me:hunter2@db",
    ],
)
def test_invalid_url_error_shows_the_format_without_the_password(url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        lease_on(POSTGRES, url)
    assert caught.value.subject == "LDB_POSTGRES_URL"
    assert caught.value.remedy == "Write it like postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
    assert "hunter2" not in str(caught.value)


def test_type_without_drop_needs_no_client() -> None:
    clients = Clients(missing=True)
    lease = external_lease(replace(MONGODB, operations=Operations()), "mongodb://db", clients)
    assert databases_on(lease).create("shop").database == "shop"
    assert clients.commands == []


def test_missing_client_is_an_error_before_creation() -> None:
    clients = Clients(missing=True)
    with pytest.raises(InvalidRequest) as caught:
        external_lease(POSTGRES, "postgresql://db", clients)
    assert "`psql`, which is not installed here" in caught.value.fact
    assert "client programs of postgres" in caught.value.remedy
    assert clients.closed
